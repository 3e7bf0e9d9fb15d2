"""From a trained network to a bundle: weights and validation faces enter, a calibrated, measured bundle leaves.

What was learnt from some collections only is calibrated on those only, on fakes made of their real faces where they
have none: no number of such a bundle comes from data under other terms. It is measured on all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import DatasetError
from stream_detect.evaluation.alarms import alarms_an_hour
from stream_detect.evaluation.calibration import (
    COUNTED_FROM,
    alarms_by_trait,
    calibrated,
    choose_thresholds,
    fit_calibration,
    halves,
    held_out,
    measure,
    score,
)
from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.models.backend import Precision, load_model
from stream_detect.models.bundle import Bundle, write_card
from stream_detect.models.card import Metric
from stream_detect.models.openvino import has_bf16
from stream_detect.training.architectures import architecture_named
from stream_detect.training.blended_pairs import with_made_fakes
from stream_detect.training.card import trained_card
from stream_detect.training.checkpoint import CURVES_FILE
from stream_detect.training.convert import write_bundle
from stream_detect.training.recipe import Recipe
from stream_detect.training.report import write_curves, write_report
from stream_detect.training.train import predict
from stream_detect.types import Calibration as Platt
from stream_detect.types import CropPolicy

NOISE = 1
"""Grey levels of 255 that each value is moved by, up or down or not: less than any camera's own noise."""
_SEED = 20261122


def with_bf16(bundle: Bundle, crops: NDArray[np.uint8], measured_on: str) -> Bundle:
    """The bundle with bf16 allowed on its card where it changes faces' scores less than noise of one grey level does.

    What is compared is the mean change of calibrated fake_probability; the largest one is on the card either way. A
    processor that has no bf16 (AVX512-BF16, AMX) cannot measure it: the bundle comes back as it is.

    Args:
        bundle: as trained, calibrated; its card is written anew.
        crops: uint8 (n, h, w, 3), faces that it was not trained on.
        measured_on: what they are, in words for the card.
    """
    if not has_bf16():
        return bundle
    allowed = Bundle(bundle.folder, bundle.card.model_copy(update={"precision": "bf16"}))
    exact = _judged(bundle, crops, "f32")
    by_bf16 = np.abs(_judged(allowed, crops, "card") - exact)
    by_noise = np.abs(_judged(bundle, _noisy(crops), "f32") - exact)
    figure = Metric(name="bf16_difference", value=round(float(by_bf16.max()), 4), data=measured_on, n=len(crops))
    others = tuple(metric for metric in bundle.card.metrics if metric.name != figure.name)
    precision = "bf16" if by_bf16.mean() < by_noise.mean() else "f32"
    write_card(bundle.folder, bundle.card.model_copy(update={"precision": precision, "metrics": (*others, figure)}))
    return Bundle.load(bundle.folder)


def _noisy(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    moves = np.random.default_rng(_SEED).integers(-NOISE, NOISE, crops.shape, np.int16, endpoint=True)
    return np.asarray(np.clip(crops + moves, 0, 255), np.uint8)


def _judged(bundle: Bundle, crops: NDArray[np.uint8], precision: Precision) -> NDArray[np.float64]:
    """Calibrated fake_probability of each crop."""
    classifier = load_model(bundle, "openvino", precision=precision).classifier()
    logits = np.array([classifier.calibration.logit(float(raw)) for raw in classifier.predict(crops)])
    return np.asarray(1 / (1 + np.exp(-logits)), np.float64)


MEASURED_ON = "held-out faces"
"""In words for the card: validation faces of the groups that the calibration did not use."""

_PROBED = 32
"""Faces that the two backends are compared on."""
_EVERY = 4
"""One validation face in so many shows what bf16 changes."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training leaves.

    Args:
        name: of the bundle to be.
        recipe: every number of it.
        command: that trains it again.
        crop: how its faces were cut.
        rows: what it was trained on.
    """

    name: str
    recipe: Recipe
    command: str
    crop: CropPolicy
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """What is measured beside the validation faces.

    Args:
        traits: of real faces, by file: "race" -> "Black"; false alarms are counted for each value.
        clips: of real people; false alarms an hour are counted in them.
    """

    traits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    clips: Sequence[Path] = ()


def check_halves(val: Faces, recipe: Recipe) -> None:
    """Tells before a training what would end it at its end: faces of one kind in a half of the validation groups.

    Raises:
        DatasetError: which half lacks what.
    """
    second = np.array([held_out(group) for group in val.groups], bool)
    # Where the recipe names sources, the first half is made two-sided if it is not.
    wanted = {"measured on": second} if recipe.sources else {"calibrated on": ~second, "measured on": second}
    for what, half in wanted.items():
        real, fake = int((half & ~val.fake).sum()), int((half & val.fake).sum())
        if not (real and fake):
            raise DatasetError(
                "expected real and fake faces in both halves of split val, drawn by group; the one that the model is "
                f"{what} has {real:,} real and {fake:,} fake ones: put more groups of both into split val"
            )


def publish(trained: Trained, weights: Path, val: Faces, to: Path, beside: Beside = Beside()) -> Bundle:
    """Calibrates on one half of the validation groups, measures on the other, writes the bundle and its report.

    Args:
        trained: where the weights come from.
        weights: .keras file of a network of that architecture.
        val: faces that it was not trained on.
        to: the bundle's folder is made in it, and beside it "report", with pictures.
        beside: what else is measured.

    Raises:
        DatasetError: the validation faces are one-sided.
        BundleError: the backends disagree, or `to` is something else.
    """
    model = keras.saving.load_model(weights, compile=False)
    network = architecture_named(trained.recipe.architecture)
    scored = score(val, lambda crops: predict(model, crops, network))
    fitted, measured = halves(scored)
    fitted_on = f"{len(fitted.fake):,} validation faces, of other groups than the held-out ones"
    if trained.recipe.sources:
        fitted = fitted.of(*trained.recipe.sources)
        names = " and ".join(trained.recipe.sources)
        fitted_on = f"{len(fitted.fake):,} validation faces of {names}, of other groups than the held-out ones"
        if not fitted.both:
            made = with_made_fakes(val, trained.recipe)
            fitted, _ = halves(score(made, lambda crops: predict(model, crops, network)))
            fitted_on = f"{len(fitted.fake):,} validation faces of {names}, half of them fakes made of the others"
    calibration = fit_calibration(fitted, fitted_on)
    platt = Platt(calibration.slope, calibration.intercept)
    thresholds = choose_thresholds(calibrated(fitted, platt))
    judged = calibrated(measured, platt)
    metrics = measure(judged, COUNTED_FROM, MEASURED_ON, thresholds)
    metrics += alarms_by_trait(judged, beside.traits, MEASURED_ON, thresholds)
    card = trained_card(
        name=trained.name,
        recipe=trained.recipe,
        command=trained.command,
        crop=trained.crop,
        rows=trained.rows,
        calibration=calibration,
        thresholds=thresholds,
        metrics=metrics,
    )
    bundle = write_bundle(model, card, to / trained.name, np.asarray(val.crops[:_PROBED]))
    bundle = with_bf16(bundle, np.asarray(val.crops[::_EVERY]), "validation faces")
    if beside.clips:
        counted = alarms_an_hour(bundle, beside.clips)
        write_card(bundle.folder, bundle.card.model_copy(update={"metrics": (*bundle.card.metrics, counted)}))
        bundle = Bundle.load(bundle.folder)
    write_report(judged, COUNTED_FROM, to / "report")
    if (curves := to / CURVES_FILE).is_file():
        write_curves(curves, to / "report" / "curves.png")
    return bundle
