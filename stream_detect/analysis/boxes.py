"""Boxes: two sets of xyxy boxes enter, how far they overlap leaves."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def overlaps(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Intersection over union of each box of a (n, 4) with each of b (m, 4): (n, m) in [0, 1]; 0 without area."""
    wh = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.maximum(wh, 0).prod(axis=2, dtype=np.float64)
    union = _areas(a)[:, None] + _areas(b)[None, :] - shared
    share: NDArray[np.float64] = np.zeros_like(shared)
    np.divide(shared, union, out=share, where=union > 0)
    return share


def _areas(boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    wh = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).astype(np.float64)
    return np.asarray(wh[:, 0] * wh[:, 1])
