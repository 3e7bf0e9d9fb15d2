"""Measuring a model: its scores on labelled faces enter, a calibration and metrics with their intervals leave.

The calibration is fitted on one half of the validation groups and everything is measured on the other half, so that no
figure of a card comes from data that a number of that card was fitted on. (The best checkpoint of a training is chosen
by the AUC on all of them: with a few dozen checkpoints that flatters the AUC by less than its interval.)
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, roc_auc_score

from stream_detect.errors import DatasetError
from stream_detect.evaluation import bootstrap
from stream_detect.evaluation.dataset import Faces
from stream_detect.evaluation.sources import source
from stream_detect.models.card import Calibration, Metric, Thresholds
from stream_detect.types import Calibration as Platt

_BATCH = 64

COUNTED_FROM = 0.5
"""The calibrated fake_probability from which on one picture counts as said to be fake."""
MAX_ERRORS = 0.02
"""Share of single real faces that may lie where the badge says fake, and of fake ones where it says real. A window's
scores share what is unusual about one face, camera or light, so its verdict errs about as often as a single picture."""
_FAKE_FROM = (0.8, 0.85, 0.9, 0.95)
_REAL_TO = (0.2, 0.15, 0.1, 0.05)
_HYSTERESIS = 0.2
"""How far the window's mean must come back before a verdict is left."""

_FEWEST_OF_A_TRAIT = 20
"""Real faces below which a rate says nothing: one alarm would be 5 % and more."""

STILLS = ("ffhq", "sdfd_sd21")
"""Two sources that are one task: portraits, and portraits made by Stable Diffusion."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Faces with a model's judgement.

    Args:
        probability: float64 (n,), fake_probability in [0, 1].
        fake: bool (n,), the truth.
        source: str (n,), collection each comes from.
        group: str (n,), source video each comes from; the unit of the bootstrap.
    """

    probability: NDArray[np.float64]
    fake: NDArray[np.bool_]
    source: NDArray[np.str_]
    group: NDArray[np.str_]

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Scored":
        """The chosen ones."""
        return Scored(self.probability[chosen], self.fake[chosen], self.source[chosen], self.group[chosen])

    def of(self, *sources: str) -> "Scored":
        """Those of these sources."""
        return self.where(np.isin(self.source, sources))

    @property
    def both(self) -> bool:
        """Whether there are real ones and fake ones."""
        return bool(self.fake.any() and not self.fake.all())


def score(faces: Faces, predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> Scored:
    """Judges every face, some at a time.

    Args:
        faces: of one split.
        predict: crops, uint8 (n, h, w, 3), to fake_probability (n,).
    """
    parts = [predict(np.asarray(faces.crops[i : i + _BATCH])) for i in range(0, len(faces.rows), _BATCH)]
    return Scored(np.concatenate(parts).astype(np.float64), faces.fake, faces.sources, faces.groups)


def halves(scored: Scored) -> tuple[Scored, Scored]:
    """Two halves, every group in one of them, by a hash of the group's name: the same for every model."""
    second = np.array([held_out(name) for name in scored.group], bool)
    return scored.where(~second), scored.where(second)


def held_out(group: str) -> bool:
    """Whether a group is in the second half, that no calibration is fitted on."""
    return hashlib.sha256(group.encode()).digest()[0] % 2 == 1


def fit_calibration(scored: Scored, fitted_on: str) -> Calibration:
    """Platt scaling (Platt 1999) of raw scores, real and fake weighing the same.

    Raises:
        DatasetError: one class only, or the scores do not rise with the truth.
    """
    if not scored.both:
        raise DatasetError("expected real and fake faces to calibrate on, received one kind only")
    logits = _logits(scored.probability)[:, None]
    model = LogisticRegression(C=1e6, class_weight="balanced").fit(logits, scored.fake)
    slope = float(model.coef_[0, 0])
    if slope <= 0:
        raise DatasetError(f"expected scores that rise with the truth, received a slope of {slope:.3g}: train longer")
    return Calibration(slope=round(slope, 4), intercept=round(float(model.intercept_[0]), 4), fitted_on=fitted_on)


def choose_thresholds(scored: Scored) -> Thresholds:
    """Where the badge shall say fake and real: the boldest of a few steps at which both kinds of error are rare.

    Args:
        scored: calibrated, the faces that the calibration was fitted on.
    """
    real, fake = scored.probability[~scored.fake], scored.probability[scored.fake]
    fake_enter = next((at for at in _FAKE_FROM if (real >= at).mean() <= MAX_ERRORS), _FAKE_FROM[-1])
    real_enter = next((at for at in _REAL_TO if (fake <= at).mean() <= MAX_ERRORS), _REAL_TO[-1])
    return Thresholds(
        fake_enter=fake_enter,
        fake_leave=round(fake_enter - _HYSTERESIS, 2),
        real_enter=real_enter,
        real_leave=round(real_enter + _HYSTERESIS, 2),
    )


def calibrated(scored: Scored, platt: Platt) -> Scored:
    """The same faces with calibrated fake_probability."""
    logits = [platt.logit(float(p)) for p in scored.probability]
    probability = np.array([1 / (1 + math.exp(-logit)) for logit in logits])
    return Scored(probability, scored.fake, scored.source, scored.group)


def measure(
    scored: Scored,
    threshold: float,
    on: str,
    badge: Thresholds = Thresholds(),  # noqa: B008 - it is frozen
) -> tuple[Metric, ...]:
    """All figures of a card.

    Args:
        scored: calibrated, none of them used for the calibration.
        threshold: fake_probability from which on a face counts as said to be fake.
        on: which data these are, in words ("held-out faces").
        badge: where the badge says fake and real.

    Returns:
        AUC, accuracy, precision, recall and false-alarm rate; recall, false alarms and fakes taken for real as the
        badge counts; then by source, where a source has what it takes.

    Raises:
        DatasetError: one class only.
    """
    if not scored.both:
        raise DatasetError("expected real and fake faces to measure on, received one kind only")
    metrics = [
        *_judged(scored, threshold, on),
        _recall(scored, badge.fake_enter, on),
        _false_alarms(scored, badge.fake_enter, on),
        _taken_for_real(scored, badge.real_enter, on),
    ]
    sources = set(scored.source.tolist())
    for part in (*((name,) for name in sorted(sources - set(STILLS))), STILLS):
        chosen, what = scored.of(*part), f"{on} of {' and '.join(source(name).title for name in part)}"
        if len(sources) > 1 and chosen.both:
            metrics += [
                _metric("auc", chosen, auc, what),
                _metric("accuracy", chosen, _accuracy(threshold), what, threshold),
            ]
        if len(sources) > 1 and len(chosen.fake) and not chosen.fake.all():
            metrics += [_false_alarms(chosen, at, what) for at in (threshold, badge.fake_enter)]
    return tuple(metrics)


def alarms_by_trait(
    scored: Scored, traits: Mapping[str, Mapping[str, str]], on: str, badge: Thresholds
) -> tuple[Metric, ...]:
    """False-alarm rates at the badge's threshold, by what is known of the people: "race" -> "Black".

    Args:
        scored: calibrated, none of them used for the calibration.
        traits: of groups that are one person's picture each.
        on: which data these are, in words.
        badge: where the badge says fake.

    Returns:
        One metric for each value that enough real faces have.
    """
    real = scored.where(~scored.fake)
    names = sorted({name for known in traits.values() for name in known})
    metrics = []
    for name in names:
        has = np.array([traits.get(group, {}).get(name, "") for group in real.group])
        for value in sorted(set(has.tolist()) - {""}):
            some = real.where(has == value)
            if len(some.fake) >= _FEWEST_OF_A_TRAIT:
                metrics.append(_false_alarms(some, badge.fake_enter, f"{on}, {name} {value}"))
    return tuple(metrics)


def confusion(scored: Scored, threshold: float) -> NDArray[np.int64]:
    """Counts (2, 2): rows the truth (real, fake), columns what is said (real, fake)."""
    said = scored.probability >= threshold
    return np.asarray(confusion_matrix(scored.fake, said, labels=[False, True]), np.int64)


def _judged(scored: Scored, threshold: float, on: str) -> list[Metric]:
    def precision(some: Scored) -> float:
        said = some.probability >= threshold
        return float(some.fake[said].mean()) if said.any() else 0.0

    return [
        _metric("auc", scored, auc, on),
        _metric("accuracy", scored, _accuracy(threshold), on, threshold),
        _metric("precision", scored, precision, on, threshold),
        _recall(scored, threshold, on),
        _false_alarms(scored, threshold, on),
    ]


def auc(scored: Scored) -> float:
    """Area under the ROC curve of real and fake faces."""
    return float(roc_auc_score(scored.fake, scored.probability))


def _accuracy(threshold: float) -> Callable[[Scored], float]:
    return lambda scored: float(((scored.probability >= threshold) == scored.fake).mean())


def _recall(scored: Scored, threshold: float, on: str) -> Metric:
    return _metric("recall", scored.where(scored.fake), _share(threshold), on, threshold)


def _false_alarms(scored: Scored, threshold: float, on: str) -> Metric:
    return _metric("false_alarm_rate", scored.where(~scored.fake), _share(threshold), on, threshold)


def _taken_for_real(scored: Scored, threshold: float, on: str) -> Metric:
    said = scored.where(scored.fake)
    return _metric("taken_for_real", said, lambda some: float((some.probability <= threshold).mean()), on, threshold)


def _share(threshold: float) -> Callable[[Scored], float]:
    """Share of the faces that are said to be fake."""
    return lambda scored: float((scored.probability >= threshold).mean())


def _metric(
    name: str, scored: Scored, figure: Callable[[Scored], float], on: str, threshold: float | None = None
) -> Metric:
    low, high = _interval(scored, figure)
    value = round(figure(scored), 4)
    return Metric(name=name, value=value, low=low, high=high, data=on, n=len(scored.fake), threshold=threshold)


def _interval(scored: Scored, figure: Callable[[Scored], float]) -> tuple[float, float]:
    """95 % interval of a figure, groups drawn with replacement."""
    names, which = np.unique(scored.group, return_inverse=True)
    everyone = np.arange(len(which))
    needs_both = scored.both
    values = []
    for part in bootstrap.draws(len(names), len(which)):
        for times in part.astype(np.intp):
            some = scored.where(np.repeat(everyone, times[which]))
            if some.both or not needs_both:
                values.append(figure(some))
    low, high = bootstrap.interval(values, len(names))
    return round(low, 4), round(high, 4)


def _logits(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    raw = Platt()
    return np.array([raw.logit(float(p)) for p in probability])
