"""Figures of scored items, with intervals: ranking, calibration, decisions at a threshold; in all and by family.

A family or generator of fakes is measured against real faces of two kinds. *Own* reals are those of the collections
that the fakes come from: camera, light and compression are similar, and only the manipulation differs. *All* reals are
what a server meets; a collection of fakes without reals of its own can only be measured against these.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_curve

from stream_detect.evaluation.bootstrap import Estimate, Floats, area, draws, interval, rounded, share
from stream_detect.evaluation.scored import Scored
from stream_detect.types import Thresholds

BINS = 10
"""Number of equally wide bins of the calibration error and the reliability plot."""


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """Figures if items from this fake_probability on are called fake.

    Args:
        threshold: in [0, 1].
        accuracy: share of correct answers.
        precision: share of fakes among items called fake; None if there are none, or no fakes.
        recall: share of the fakes called fake; None without fakes.
        f1: harmonic mean of precision and recall; None without fakes.
        false_alarm_rate: share of the real items called fake; None without real items.
        confusion: counts; rows are the label (real, fake), columns the answer (real, fake).
    """

    threshold: float
    accuracy: Estimate | None
    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None
    false_alarm_rate: Estimate | None
    confusion: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of some scored items; None for those that need both labels if there is only one.

    Args:
        real: number of real items.
        fake: number of fakes.
        groups: number of their groups.
        auc: area under the ROC curve.
        average_precision: average precision of the fakes.
        equal_error_rate: where misses and false alarms are equally frequent, between the two nearest points of the ROC.
        recall_at_1_percent: highest recall with at most 1 % of the real items called fake.
        recall_at_5_percent: highest recall with at most 5 %.
        calibration_error: expected calibration error, ten equally wide bins of fake_probability.
        at: figures by threshold.
    """

    real: int
    fake: int
    groups: int
    auc: Estimate | None
    average_precision: float | None
    equal_error_rate: float | None
    recall_at_1_percent: float | None
    recall_at_5_percent: float | None
    calibration_error: float | None
    at: tuple[AtThreshold, ...]


def figures(scored: Scored, thresholds: tuple[float, ...]) -> Figures:
    """Computes all figures.

    Args:
        scored: at least one item.
        thresholds: from which an item counts as called fake.
    """
    fake = int(scored.fake.sum())
    both = scored.both
    return Figures(
        real=len(scored.fake) - fake,
        fake=fake,
        groups=len(np.unique(scored.group)),
        auc=area(scored.fake, scored.probability, scored.group) if both else None,
        average_precision=rounded(average_precision_score(scored.fake, scored.probability)) if both else None,
        equal_error_rate=rounded(equal_error_rate(scored)) if both else None,
        recall_at_1_percent=rounded(recall_at(scored, 0.01)) if both else None,
        recall_at_5_percent=rounded(recall_at(scored, 0.05)) if both else None,
        calibration_error=rounded(calibration_error(scored)) if both else None,
        at=tuple(_at(scored, threshold) for threshold in thresholds),
    )


def equal_error_rate(scored: Scored) -> float:
    """The rate at which misses and false alarms are equally frequent, between the two nearest points of the ROC."""
    alarms, recall, _ = roc_curve(scored.fake, scored.probability, drop_intermediate=False)
    gap = (1 - recall) - alarms  # decreases from 1 to -1
    after = int(np.argmax(gap <= 0))
    before = after - 1
    share = gap[before] / (gap[before] - gap[after])
    return float(alarms[before] + share * (alarms[after] - alarms[before]))


def recall_at(scored: Scored, most_alarms: float) -> float:
    """The highest recall with at most this share of false alarms."""
    alarms, recall, _ = roc_curve(scored.fake, scored.probability, drop_intermediate=False)
    return float(recall[alarms <= most_alarms].max())


def reliability(scored: Scored, weights: Floats | None = None) -> tuple[Floats, Floats, Floats]:
    """For each bin of fake_probability: mean, share of fakes, and weight of the items; empty bins are omitted.

    Args:
        scored: the items.
        weights: (n,), weight of each item; None for equal weights.
    """
    weights = np.ones(len(scored)) if weights is None else weights
    which = np.minimum((scored.probability * BINS).astype(np.int64), BINS - 1)
    weight = np.bincount(which, weights, BINS).astype(np.float64)
    filled = weight > 0
    mean = np.bincount(which, weights * scored.probability, BINS)[filled] / weight[filled]
    fakes = np.bincount(which, weights * scored.fake, BINS)[filled] / weight[filled]
    return mean, fakes, weight[filled]


def calibration_error(scored: Scored, weights: Floats | None = None) -> float:
    """Expected calibration error (Naeini et al. 2015): |mean fake_probability - share of fakes| over the bins."""
    mean, fakes, weight = reliability(scored, weights)
    return float(np.abs(mean - fakes) @ weight / weight.sum())


def _at(scored: Scored, threshold: float) -> AtThreshold:
    said = scored.probability >= threshold
    cell = 2 * scored.fake.astype(np.int64) + said  # in the flattened confusion matrix
    names, which = np.unique(scored.group, return_inverse=True)
    by_group = np.zeros((len(names), 4))
    np.add.at(by_group, (which, cell), 1.0)
    counts = by_group.sum(axis=0)
    drawn = np.concatenate([times @ by_group for times in draws(len(names), 4)])
    right, wrong = np.array((1, 0, 0, 1)), np.array((0, 1, 1, 0))
    true, false, missed = np.array((0, 0, 0, 1)), np.array((0, 1, 0, 0)), np.array((0, 0, 1, 0))
    n_real, n_fake = (len(np.unique(scored.group[scored.fake == fake])) for fake in (False, True))
    (tn, fp), (fn, tp) = counts.astype(int).reshape(2, 2).tolist()
    return AtThreshold(
        threshold=threshold,
        accuracy=_share(counts, drawn, right, wrong, len(names)),
        precision=_share(counts, drawn, true, false, len(np.unique(scored.group[said]))) if n_fake else None,
        recall=_share(counts, drawn, true, missed, n_fake),
        f1=_share(counts, drawn, 2 * true, false + missed, n_fake) if n_fake else None,
        false_alarm_rate=_share(counts, drawn, false, np.array((1, 0, 0, 0)), n_real),
        confusion=((tn, fp), (fn, tp)),
    )


def _share(counts: Floats, drawn: Floats, ups: NDArray[np.int64], others: NDArray[np.int64], n: int) -> Estimate | None:
    """The share ups / (ups + others), of the items and in each draw; None if both are 0."""
    whole = float(counts @ (ups + others))
    if whole == 0:
        return None
    of = drawn @ (ups + others)
    low, high = interval((drawn @ ups)[of > 0] / of[of > 0], n)
    return Estimate(rounded(float(counts @ ups) / whole), rounded(low), rounded(high))


@dataclass(frozen=True, slots=True)
class FamilyFigures:
    """Figures of the fakes of one family, or of one of its generators.

    Args:
        family: kind of manipulation: "swap", "gan", ...
        generator: program that made them; None for the whole family.
        fakes: number of fakes.
        groups: number of their groups.
        sources: their collections.
        auc: AUC against all real items.
        own_reals: number of real items in the same collections.
        own_auc: AUC against those; None if there are none.
        recall: share of the fakes with at least `fake_enter`.
        taken_for_real: share of the fakes with at most `real_enter`.
        calibration_error: of these fakes and all real items, both with the same weight, in ten bins.
        mean_fake_probability: mean fake_probability of these fakes.
    """

    family: str
    generator: str | None
    fakes: int
    groups: int
    sources: tuple[str, ...]
    auc: Estimate
    own_reals: int
    own_auc: Estimate | None
    recall: Estimate
    taken_for_real: Estimate
    calibration_error: float
    mean_fake_probability: float


@dataclass(frozen=True, slots=True)
class RealSourceFigures:
    """Figures of the real items of one collection.

    Args:
        source: name of the collection.
        reals: number of items.
        groups: number of their groups.
        false_alarms: share of them with at least `fake_enter`.
        called_real: share of them with at most `real_enter`.
    """

    source: str
    reals: int
    groups: int
    false_alarms: Estimate
    called_real: Estimate


def by_family(scored: Scored, thresholds: Thresholds) -> tuple[FamilyFigures, ...]:
    """Figures of every family, each followed by its generators if it has more than one.

    Args:
        scored: calibrated scores; without real items the result is empty.
        thresholds: of the model.
    """
    return tuple(_by_family(scored, thresholds)) if (~scored.fake).any() else ()


def by_real_source(scored: Scored, thresholds: Thresholds) -> tuple[RealSourceFigures, ...]:
    """False alarms by collection of real items, because collections represent kinds of cameras.

    Args:
        scored: calibrated scores.
        thresholds: of the model.
    """
    real = scored.where(~scored.fake)
    found = []
    for name in sorted(set(real.source.tolist())):
        some = real.of(name)
        found.append(
            RealSourceFigures(
                source=name,
                reals=len(some),
                groups=len(np.unique(some.group)),
                false_alarms=share(some.probability >= thresholds.fake_enter, some.group),
                called_real=share(some.probability <= thresholds.real_enter, some.group),
            )
        )
    return tuple(found)


def _by_family(scored: Scored, thresholds: Thresholds) -> Iterator[FamilyFigures]:
    for family in scored.families:
        of_family = scored.fake & (scored.family == family)
        yield _figures(scored, of_family, family, None, thresholds)
        generators = sorted(set(scored.generator[of_family].tolist()))
        for generator in generators if len(generators) > 1 else ():
            yield _figures(scored, of_family & (scored.generator == generator), family, generator, thresholds)


def _figures(
    scored: Scored, chosen: np.ndarray, family: str, generator: str | None, thresholds: Thresholds
) -> FamilyFigures:
    fakes = scored.where(chosen)
    sources = tuple(sorted(set(fakes.source.tolist())))
    own = ~scored.fake & np.isin(scored.source, sources)
    against_all = scored.where(chosen | ~scored.fake)
    n_fake = int(chosen.sum())
    weights = np.where(against_all.fake, 0.5 / n_fake, 0.5 / (len(against_all) - n_fake))
    return FamilyFigures(
        family=family,
        generator=generator,
        fakes=n_fake,
        groups=len(np.unique(fakes.group)),
        sources=sources,
        auc=_area(against_all),
        own_reals=int(own.sum()),
        own_auc=_area(scored.where(chosen | own)) if own.any() else None,
        recall=share(fakes.probability >= thresholds.fake_enter, fakes.group),
        taken_for_real=share(fakes.probability <= thresholds.real_enter, fakes.group),
        calibration_error=rounded(calibration_error(against_all, weights)),
        mean_fake_probability=rounded(fakes.probability.mean()),
    )


def _area(scored: Scored) -> Estimate:
    return area(scored.fake, scored.probability, scored.group)
