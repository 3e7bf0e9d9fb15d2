"""Publishes a trained network as a bundle: calibrates and measures it, chooses its thresholds, and writes its card.

A network that was trained on some collections only is calibrated on these only, with fakes made from their real faces
if they have none: no parameter of such a bundle comes from data under other terms. It is measured on all collections.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import BundleError, DatasetError
from stream_detect.evaluation.bootstrap import area
from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.evaluation.metrics import COUNTED_FROM, alarms_an_hour, alarms_by_trait, measure, measure_windows
from stream_detect.evaluation.scored import Scored, calibrated, fit_calibration, halves, held_out, score
from stream_detect.evaluation.windows import Windows, choose_thresholds, windows_of
from stream_detect.media.files import put_folder
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle, write_card
from stream_detect.models.card import Metric
from stream_detect.settings import WindowSettings
from stream_detect.training.architectures import architecture_named
from stream_detect.training.blended_pairs import with_made_fakes
from stream_detect.training.card import draft_card, trained_card
from stream_detect.training.checkpoint import CURVES_FILE
from stream_detect.training.convert import check_place, write_bundle
from stream_detect.training.precision import with_bf16, with_int8
from stream_detect.training.recipe import Recipe
from stream_detect.training.report import write_curves, write_report
from stream_detect.training.train import predict
from stream_detect.types import Calibration, CropPolicy

MEASURED_ON = "held-out faces"
"""Name on the card for validation faces of the groups not used for the calibration."""
PEOPLE = "held-out people"
"""Name on the card for the people of those groups, each a window of frames."""

_PROBED = 32
"""Number of faces on which the two backends are compared."""
_EVERY = 4
"""One in this many validation faces is used to measure bf16."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Result of a training.

    Args:
        name: name of the new bundle.
        recipe: parameters of the training.
        command: command that trains it again.
        crop: crop policy of its faces.
        rows: training data.
    """

    name: str
    recipe: Recipe
    command: str
    crop: CropPolicy
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A short training without the fakes of one family, to measure how it generalises.

    Args:
        family: left out; "" for the same short training with all families.
        weights: .keras file of the same architecture.
    """

    family: str
    weights: Path


@dataclass(frozen=True, slots=True)
class Beside:
    """What is measured in addition to the validation faces.

    Args:
        traits: traits of people, by group: "race" -> "Black"; false alarms are counted for each value.
        clips: clips of real people, in which false alarms per hour are counted.
        left_out: short trainings, each measured on the family that it was trained without.
        int8_faces: uint8 (n, h, w, 3), training faces to make an INT8 network; None for no such network.
    """

    traits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    clips: Sequence[Path] = ()
    left_out: Sequence[LeftOut] = ()
    int8_faces: NDArray[np.uint8] | None = None


def check_halves(val: Faces, recipe: Recipe) -> None:
    """Checks that a training can be measured: both halves of the validation groups need real and fake faces.

    Raises:
        DatasetError: names the half and what is missing.
    """
    second = np.array([held_out(group) for group in val.groups], bool)
    # If the recipe names sources, fakes are made for the first half if it has none.
    wanted = {"measured on": second} if recipe.sources else {"calibrated on": ~second, "measured on": second}
    for what, half in wanted.items():
        real, fake = int((half & ~val.fake).sum()), int((half & val.fake).sum())
        if not (real and fake):
            raise DatasetError(
                "expected real and fake faces in both halves of split val, drawn by group; the one that the model is "
                f"{what} has {real:,} real and {fake:,} fake ones: put more groups of both into split val"
            )


def publish(trained: Trained, weights: Path, val: Faces, to: Path, beside: Beside = Beside()) -> Bundle:
    """Calibrates on one half of the validation groups, measures on the other, and writes the bundle.

    Args:
        trained: the training.
        weights: .keras file of a network of that architecture.
        val: faces that it was not trained on.
        to: folder in which the bundle's folder and "report", with plots, are created.
        beside: additional measurements.

    Raises:
        DatasetError: the validation faces are one-sided.
        BundleError: the weights belong to another architecture, the backends disagree, or `to` is something else.
        TrainingError: an INT8 network was requested, and NNCF is not installed.
    """
    check_place(to, trained.name)
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to, prefix=".publishing-") as scratch:
        draft = draft_card(trained.name, trained.recipe, trained.command, trained.crop)
        model = load_network(weights)
        bundle = write_bundle(model, draft, Path(scratch) / trained.name, np.asarray(val.crops[:_PROBED]))
        raw = score(val, load_model(bundle, "openvino", precision="f32").classifier().predict)
        bundle, judged = _measured(trained, bundle, raw, _made_fakes(trained.recipe, val, raw, model), beside)
        bundle = with_bf16(bundle, _some(val, _EVERY), "validation faces")
        if beside.int8_faces is not None:
            bundle = with_int8(bundle, beside.int8_faces, raw, lambda predicting: score(val, predicting))
        if beside.left_out:
            bundle = _with_metrics(bundle, left_out_metrics(trained.recipe, beside.left_out, val))
        if beside.clips:
            bundle = _with_metrics(bundle, (alarms_an_hour(bundle, beside.clips),))
        home = to / trained.name
        put_folder(bundle.folder, home)
    write_report(judged, COUNTED_FROM, to / "report")
    if (curves := to / CURVES_FILE).is_file():
        write_curves(curves, to / "report" / "curves.png")
    return Bundle.load(home)


def left_out_metrics(recipe: Recipe, trainings: Sequence[LeftOut], val: Faces) -> tuple[Metric, ...]:
    """The AUC of each family against all real faces, of the training without it and of the one with all.

    Args:
        recipe: names the architecture.
        trainings: the short trainings, including the one with all families.
        val: validation faces, whose held-out half is used.

    Raises:
        DatasetError: there are no held-out fakes of a family.
    """
    scores = {each.family: halves(score(val, _predicting(load_network(each.weights), recipe)))[1] for each in trainings}
    metrics = []
    for family in (name for name in scores if name):
        for name, scored in (("left_out_auc", scores[family]), ("short_auc", scores.get(""))):
            if scored is None:
                continue
            some = scored.where(~scored.fake | (scored.family == family))
            if not some.both:
                raise DatasetError(
                    f"expected held-out fakes of the family {family!r} among the validation faces, received "
                    f"{', '.join(scored.families) or 'none'}"
                )
            seen = area(some.fake, some.probability, some.group)
            n = int(some.fake.sum())
            data = f"{MEASURED_ON}, family {family}"
            metrics.append(
                Metric(name=name, value=seen.value, low=seen.low, high=seen.high, data=data, n=n, family=family)
            )
    return tuple(metrics)


def load_network(weights: Path) -> keras.Model:
    """A Keras model from a file.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        return keras.saving.load_model(weights, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BundleError(f"expected a Keras model (.keras) at {weights}, but it cannot be read: {error}") from error


def _predicting(model: keras.Model, recipe: Recipe) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    network = architecture_named(recipe.architecture)
    return lambda crops: predict(model, crops, network)


def _made_fakes(recipe: Recipe, val: Faces, raw: Scored, model: keras.Model) -> Scored | None:
    """Scores of fakes made from the recipe's real faces, if its sources have no other fakes for the calibration."""
    if not recipe.sources or halves(raw)[0].of(*recipe.sources).both:
        return None
    return halves(score(with_made_fakes(val, recipe), _predicting(model, recipe)))[0]


def _measured(
    trained: Trained, bundle: Bundle, raw: Scored, made: Scored | None, beside: Beside
) -> tuple[Bundle, Scored]:
    """The bundle with calibration, thresholds and metrics; and the calibrated held-out faces."""
    fitted, measured = halves(raw)
    what = "validation faces, of other groups than the held-out ones"
    if trained.recipe.sources:
        names = " and ".join(trained.recipe.sources)
        fitted = made or fitted.of(*trained.recipe.sources)
        what = f"validation faces of {names}, of other groups than the held-out ones"
        what = f"validation faces of {names}, half of them fakes made of the others" if made else what
    scaling = fit_calibration(fitted, f"{len(fitted):,} {what}")
    calibration = Calibration(scaling.slope, scaling.intercept)
    people = _windows(calibrated(fitted, calibration))
    thresholds = choose_thresholds(people, f"{len(people.people):,} people in {what}")
    judged = calibrated(measured, calibration)
    metrics = measure(judged, COUNTED_FROM, MEASURED_ON, thresholds)
    metrics += measure_windows(_windows(judged), PEOPLE, thresholds)
    metrics += alarms_by_trait(judged, beside.traits, MEASURED_ON, thresholds)
    card = trained_card(
        bundle.card,
        recipe=trained.recipe,
        rows=trained.rows,
        calibration=scaling,
        thresholds=thresholds,
        metrics=metrics,
    )
    write_card(bundle.folder, card)
    return Bundle.load(bundle.folder), judged


def _windows(scored: Scored) -> Windows:
    return windows_of(scored, WindowSettings())


def _with_metrics(bundle: Bundle, more: Sequence[Metric]) -> Bundle:
    write_card(bundle.folder, bundle.card.model_copy(update={"metrics": (*bundle.card.metrics, *more)}))
    return Bundle.load(bundle.folder)


def _some(faces: Faces, every: int) -> NDArray[np.uint8]:
    return np.stack([faces.crops[i] for i in range(0, len(faces.rows), every)])
