"""From a trained network to a bundle: weights and validation faces enter, a calibrated, measured bundle leaves."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from stream_detect.models.bundle import Bundle
from stream_detect.training.card import trained_card
from stream_detect.training.convert import write_bundle
from stream_detect.training.dataset import Faces, Row
from stream_detect.training.evaluate import (
    COUNTED_FROM,
    calibrated,
    choose_thresholds,
    fit_calibration,
    halves,
    measure,
    score,
)
from stream_detect.training.report import write_curves, write_report
from stream_detect.training.train import CURVES_FILE, predict
from stream_detect.types import Calibration as Platt
from stream_detect.types import CropPolicy

MEASURED_ON = "held-out faces"
"""In words for the card: validation faces of the groups that the calibration did not use."""

_PROBED = 32
"""Faces that the two backends are compared on."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training leaves.

    Args:
        name: of the bundle to be.
        architecture: by name.
        crop: how its faces were cut.
        rows: what it was trained on.
        recipe: the command that trains it again.
        blended: whether fakes were made of its real faces too.
    """

    name: str
    architecture: str
    crop: CropPolicy
    rows: tuple[Row, ...]
    recipe: str
    blended: bool = False


def publish(trained: Trained, weights: Path, val: Faces, to: Path) -> Bundle:
    """Calibrates on one half of the validation groups, measures on the other, writes the bundle and its report.

    Args:
        trained: where the weights come from.
        weights: .keras file of a network that gives fake_probability (n, 1).
        val: faces that it was not trained on.
        to: the bundle's folder is made in it, and beside it "report", with pictures.

    Raises:
        DatasetError: the validation faces are one-sided.
        BundleError: the backends disagree, or `to` is something else.
    """
    model = keras.saving.load_model(weights, compile=False)
    scored = score(val, lambda crops: predict(model, crops))
    fitted, measured = halves(scored)
    calibration = fit_calibration(
        fitted, f"{len(fitted.fake):,} validation faces, of other groups than the held-out ones"
    )
    platt = Platt(calibration.slope, calibration.intercept)
    thresholds = choose_thresholds(calibrated(fitted, platt))
    judged = calibrated(measured, platt)
    metrics = measure(judged, COUNTED_FROM, MEASURED_ON, thresholds)
    card = trained_card(
        name=trained.name,
        architecture=trained.architecture,
        crop=trained.crop,
        rows=trained.rows,
        calibration=calibration,
        thresholds=thresholds,
        metrics=metrics,
        recipe=trained.recipe,
        blended=trained.blended,
    )
    bundle = write_bundle(model, card, to / trained.name, np.asarray(val.crops[:_PROBED]))
    write_report(judged, COUNTED_FROM, to / "report")
    if (curves := to / CURVES_FILE).is_file():
        write_curves(curves, to / "report" / "curves.png")
    return bundle
