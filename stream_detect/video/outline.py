"""The outline of a face's box: rounded corner brackets, or dashes when what it says is stale."""

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.types import Xyxy
from stream_detect.video.palette import Yuv
from stream_detect.video.picture import Planes

SHIFT = 4
"""Fractional bits of the coordinates given to OpenCV: boxes move by less than a pixel."""

Strokes = NDArray[np.float64]
"""Open lines of one length each, (n, points, 2) in luma pixels."""

_TURN = np.linspace(0.0, np.pi / 2, 5)
_ARC = np.stack([1.0 - np.cos(_TURN), 1.0 - np.sin(_TURN)], axis=1)
"""A quarter circle of radius 1 from (0, 1) to (1, 0)."""


def draw_outline(planes: Planes, box: Xyxy, colour: Yuv, thickness_px: int, *, dashed: bool) -> None:
    """Draw a box's outline; what falls outside the picture is left out.

    Args:
        planes: of the picture.
        box: finite, right of left and below top, no farther than some pictures' sizes away.
        colour: of the line; a dark edge of one pixel keeps it visible on any ground.
        thickness_px: of the line.
        dashed: dashes all round instead of brackets at the corners.
    """
    strokes = _dashes(box) if dashed else _brackets(box)
    _draw(planes.y, strokes, 16, thickness_px + 2)
    _draw(planes.y, strokes, colour[0], thickness_px)
    half = strokes / 2.0
    _draw(planes.u, half, colour[1], max(1, (thickness_px + 1) // 2))
    _draw(planes.v, half, colour[2], max(1, (thickness_px + 1) // 2))


def _draw(plane: NDArray[np.uint8], strokes: Strokes, value: int, thickness_px: int) -> None:
    fixed = np.rint(strokes * (1 << SHIFT)).astype(np.int32)
    cv2.polylines(plane, list(fixed), isClosed=False, color=value, thickness=thickness_px, lineType=cv2.LINE_AA,
                  shift=SHIFT)  # fmt: skip


def _brackets(box: Xyxy) -> Strokes:
    """Four corners, arms a fifth of the shorter side."""
    left, top, right, bottom = box
    side = min(right - left, bottom - top)
    arm, radius = 0.2 * side, 0.07 * side
    corner = np.concatenate([[[0.0, arm]], _ARC * radius, [[arm, 0.0]]])
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float64)
    origins = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    strokes: Strokes = origins[:, None] + signs[:, None] * corner
    return strokes


def _dashes(box: Xyxy) -> Strokes:
    """Six dashes a side, gaps as long as dashes."""
    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    starts = np.arange(6) / 5.5
    shares = np.stack([starts, np.minimum(starts + 1 / 11, 1.0)], axis=1).reshape(1, 6, 2, 1)
    sides = np.roll(corners, -1, axis=0) - corners
    strokes: Strokes = (corners[:, None, None] + shares * sides[:, None, None]).reshape(24, 2, 2)
    return strokes
