"""Bootstrap intervals of measured figures, drawn by whole groups, because the frames of one video are correlated."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 1000
_SEED = 20261122
_INTERVAL = (2.5, 97.5)
"""Percentiles of a 95 % interval."""
_AT_ONCE = 4_000_000
"""Numbers held at once while drawing: 32 MB."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the 95 % interval of a bootstrap over whole groups."""

    value: float
    low: float
    high: float


def draws(groups: int, width: int) -> Iterator[Floats]:
    """Yields how often each group is drawn, in parts of (draws, groups); seeded, so always the same.

    Args:
        groups: number of groups.
        width: numbers that the caller computes for each draw, to bound the memory.
    """
    rng = np.random.default_rng(_SEED)
    at_once = max(_AT_ONCE // max(groups, width), 1)
    shares = np.full(groups, 1 / groups)
    for begun in range(0, DRAWS, at_once):
        yield rng.multinomial(groups, shares, min(at_once, DRAWS - begun)).astype(np.float64)


def interval(drawn: ArrayLike, groups: int) -> tuple[float, float]:
    """The 95 % interval of a figure in [0, 1].

    A single group says nothing of how groups differ: unless something was never, or always, observed, the interval is
    the whole range. If all groups are alike, so are all draws: then the interval is the exact one of a share of that
    many groups (Clopper and Pearson 1934).

    Args:
        drawn: its value in each draw.
        groups: number of groups that could have made a difference; for a comparison, of the side that has fewer.
    """
    low, high = np.percentile(np.asarray(drawn, np.float64), _INTERVAL)
    if groups < 2 and not low == high in (0.0, 1.0):
        return 0.0, 1.0
    if low == high:
        hits = round(low * groups, 6)
        low, high = 1 - _most(groups - math.floor(hits), groups), _most(math.ceil(hits), groups)
    return float(low), float(high)


def _most(hits: int, groups: int) -> float:
    """The largest share of which so few of the groups, or fewer, would be hits with a probability of 2.5 %."""
    if hits >= groups:
        return 1.0
    ways = [math.lgamma(groups + 1) - math.lgamma(k + 1) - math.lgamma(groups - k + 1) for k in range(hits + 1)]
    low, high = 0.0, 1.0
    for _ in range(50):  # halvings, to 1e-15
        share = (low + high) / 2
        hit, missed = math.log(share), math.log1p(-share)
        below = sum(math.exp(each + k * hit + (groups - k) * missed) for k, each in enumerate(ways))
        low, high = (share, high) if below > _INTERVAL[0] / 100 else (low, share)
    return high


def share(hits: NDArray[np.bool_], groups: NDArray[np.str_]) -> Estimate:
    """The share of items that are hits.

    Args:
        hits: (n,), at least one.
        groups: (n,), the group of each.
    """
    names, which = np.unique(groups, return_inverse=True)
    of_group = np.bincount(which, hits.astype(np.float64), len(names))
    n = np.bincount(which, minlength=len(names)).astype(np.float64)
    drawn = np.concatenate([(times @ of_group) / (times @ n) for times in draws(len(names), len(names))])
    low, high = interval(drawn, len(names))
    return Estimate(rounded(hits.mean()), rounded(low), rounded(high))


def area(fake: NDArray[np.bool_], probability: Floats, groups: NDArray[np.str_]) -> Estimate:
    """The area under the ROC curve; a tie counts half.

    Args:
        fake: (n,), with both labels.
        probability: (n,), fake_probability.
        groups: (n,), the group of each.
    """
    names, which = np.unique(groups, return_inverse=True)
    fewest = min(len(np.unique(groups[fake])), len(np.unique(groups[~fake])))
    order = np.argsort(probability, kind="stable")
    fake, which = fake[order], which[order]
    # Indices at which a new score begins.
    starts = np.flatnonzero(np.diff(probability[order], prepend=-np.inf))

    def areas(times: Floats) -> Floats:
        weights = times[:, which]
        fakes = np.add.reduceat(np.where(fake, weights, 0.0), starts, axis=1)
        reals = np.add.reduceat(np.where(fake, 0.0, weights), starts, axis=1)
        below = np.cumsum(reals, axis=1) - reals / 2
        pairs = fakes.sum(axis=1) * reals.sum(axis=1)
        return np.asarray((fakes * below).sum(axis=1)[pairs > 0] / pairs[pairs > 0], np.float64)

    value = float(areas(np.ones((1, len(names))))[0])
    drawn = np.concatenate([areas(times) for times in draws(len(names), len(fake))])
    low, high = interval(drawn, fewest) if len(drawn) else (0.0, 1.0)
    return Estimate(rounded(value), rounded(low), rounded(high))


def rounded(value: float) -> float:
    """Rounded to four digits, as figures are stored."""
    return round(float(value), 4)
