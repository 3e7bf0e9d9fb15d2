"""Intervals of measured figures: whole groups are drawn with replacement, as pictures of one video are much alike."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 1000
_SEED = 20261122
_INTERVAL = (2.5, 97.5)
"""Per cent: a 95 % interval."""
_AT_ONCE = 4_000_000
"""Numbers held at once while drawing: 32 MB."""

Floats = NDArray[np.float64]


def draws(groups: int, width: int) -> Iterator[Floats]:
    """How often each group is drawn, in parts of (draws, groups); seeded, so the same every time.

    Args:
        groups: to draw from.
        width: numbers that the caller makes of each draw, for the memory's sake.
    """
    rng = np.random.default_rng(_SEED)
    at_once = max(_AT_ONCE // max(groups, width), 1)
    shares = np.full(groups, 1 / groups)
    for begun in range(0, DRAWS, at_once):
        yield rng.multinomial(groups, shares, min(at_once, DRAWS - begun)).astype(np.float64)


def interval(drawn: ArrayLike, groups: int) -> tuple[float, float]:
    """The 95 % interval of a figure.

    Args:
        drawn: its value in each draw.
        groups: that could have made a difference.
    """
    low, high = np.percentile(np.asarray(drawn, np.float64), _INTERVAL)
    if low == high in (0.0, 1.0):
        # No draw differs where nothing, or all, was seen to happen: the exact bound on a share (Clopper, Pearson 1934).
        beyond = 1 - ((100 - _INTERVAL[1]) / 100) ** (1 / groups)
        low, high = (0.0, beyond) if low == 0 else (1 - beyond, 1.0)
    return float(low), float(high)
