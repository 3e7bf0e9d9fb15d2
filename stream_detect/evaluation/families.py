"""How well a model recognises fakes of each family and of each generator, against real faces of two kinds.

*Own* reals are those of the collections that the fakes come from: camera, light and compression are similar, and only
the manipulation differs. *All* reals are what a server meets; a collection of fakes without reals of its own can only
be measured against these.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stream_detect.evaluation.bootstrap import Estimate, area, rounded, share
from stream_detect.evaluation.figures import calibration_error
from stream_detect.evaluation.scored import Scored
from stream_detect.types import Thresholds


@dataclass(frozen=True, slots=True)
class FamilyFigures:
    """The fakes of one family, or of one of its generators.

    Args:
        family: kind of manipulation: "swap", "gan", ...
        generator: what made them; None for the whole family.
        fakes: items.
        groups: that they come from.
        sources: collections that they come from.
        auc: against all real items.
        own_reals: real items of the same collections.
        own_auc: against those; None where there are none.
        recall: share of them with at least `fake_enter`.
        taken_for_real: share of them with at most `real_enter`.
        calibration_error: of these fakes and all real items, both kinds weighing the same, ten bins.
        mean_fake_probability: of these fakes.
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
    """The real items of one collection.

    Args:
        source: its name.
        reals: items.
        groups: that they come from.
        false_alarms: share of them with at least `fake_enter`.
        called_real: share of them with at most `real_enter`.
    """

    source: str
    reals: int
    groups: int
    false_alarms: Estimate
    called_real: Estimate


def by_family(scored: Scored, thresholds: Thresholds) -> tuple[FamilyFigures, ...]:
    """Every family, each followed by its generators where it has more than one.

    Args:
        scored: calibrated; empty without real items, against which all is measured.
        thresholds: of the model.
    """
    return tuple(_by_family(scored, thresholds)) if (~scored.fake).any() else ()


def by_real_source(scored: Scored, thresholds: Thresholds) -> tuple[RealSourceFigures, ...]:
    """The false alarms of every collection of real items, which stand for kinds of cameras.

    Args:
        scored: calibrated.
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
