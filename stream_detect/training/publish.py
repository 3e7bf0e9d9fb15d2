"""From a trained network to a bundle: weights and validation faces enter, a calibrated, measured bundle leaves."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from stream_detect.models.bundle import Bundle
from stream_detect.training.card import trained_card
from stream_detect.training.convert import write_bundle
from stream_detect.training.dataset import Faces, Row
from stream_detect.training.evaluate import calibrated, fit_calibration, halves, measure, score
from stream_detect.training.report import write_report
from stream_detect.types import Calibration as Platt
from stream_detect.types import CropPolicy

COUNTED_FROM = 0.5
"""The calibrated fake_probability from which on one picture counts as said to be fake."""

MEASURED_ON = "validation faces, the half of the groups that the calibration did not use"

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
    """

    name: str
    architecture: str
    crop: CropPolicy
    rows: tuple[Row, ...]
    recipe: str


def publish(trained: Trained, model: keras.Model, val: Faces, to: Path, report: Path) -> Bundle:
    """Calibrates on one half of the validation groups, measures on the other, writes the bundle and its report.

    Args:
        trained: where the weights come from.
        model: the weights, giving fake_probability (n, 1).
        val: faces that it was not trained on.
        to: the bundle's folder.
        report: folder for the pictures.

    Raises:
        DatasetError: the validation faces are one-sided.
        BundleError: the backends disagree, or `to` is something else.
    """

    scored = score(val, lambda crops: predict(model, crops))
    fitted, measured = halves(scored)
    calibration = fit_calibration(fitted, f"{len(fitted.fake):,} validation faces, half of the validation groups")
    judged = calibrated(measured, Platt(calibration.slope, calibration.intercept))
    metrics = measure(judged, COUNTED_FROM, MEASURED_ON)
    card = trained_card(
        name=trained.name,
        architecture=trained.architecture,
        crop=trained.crop,
        rows=trained.rows,
        calibration=calibration,
        metrics=metrics,
        recipe=trained.recipe,
    )
    bundle = write_bundle(model, card, to, np.asarray(val.crops[:_PROBED]))
    write_report(judged, COUNTED_FROM, report)
    return bundle


def predict(model: keras.Model, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Raw fake_probability (n,) of crops, uint8 (n, h, w, 3), by a network of ours in training."""
    scaled = crops.astype(np.float32) / np.float32(255)
    return np.asarray(model.predict_on_batch(scaled), np.float32)[:, 0]
