"""The outline of a face's box: rounded corner brackets, or dashes when what it says is stale."""

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.types import Xyxy
from stream_detect.video.palette import Yuv
from stream_detect.video.picture import Planes

SHIFT = 4
"""Fractional bits of the coordinates given to OpenCV: boxes move by less than a pixel."""

EDGE_LUMA = 16
"""Of the dark edge."""

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
    strokes = list(np.rint((_dashes(box) if dashed else _brackets(box)) * (1 << SHIFT)).astype(np.int32))
    chroma_px = max(1, (thickness_px + 1) // 2)
    for plane, value, width_px, shift in (
        (planes.y, EDGE_LUMA, thickness_px + 2, SHIFT),
        (planes.y, colour[0], thickness_px, SHIFT),
        (planes.u, colour[1], chroma_px, SHIFT + 1),  # one bit more: half as large
        (planes.v, colour[2], chroma_px, SHIFT + 1),
    ):
        cv2.polylines(plane, strokes, False, value, width_px, cv2.LINE_AA, shift)  # noqa: FBT003 - open lines


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
