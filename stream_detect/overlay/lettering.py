"""Draws words and icons as anti-aliased coverage masks, in any size.

The typeface is the one built into OpenCV (Rubik, a variable font), so every machine draws the same.
"""

from enum import StrEnum

import cv2
import numpy as np

from stream_detect.overlay.sprite import Mask
from stream_detect.types import VerdictState

BOLD = 600
OVERSAMPLING = 8


class Icon(StrEnum):
    """One shape for each state, recognisable without colour and without reading."""

    TICK = "tick"
    TRIANGLE = "triangle"
    QUESTION = "question"
    DOTS = "dots"
    BARRED = "barred"
    CLOCK = "clock"
    CROSS = "cross"


STATE_ICON: dict[VerdictState, Icon] = {
    VerdictState.REAL: Icon.TICK,
    VerdictState.FAKE: Icon.TRIANGLE,
    VerdictState.UNCERTAIN: Icon.QUESTION,
    VerdictState.GATHERING: Icon.DOTS,
    VerdictState.NO_FACE: Icon.BARRED,
}


class Lettering:
    """Draws text in one typeface. Not safe to use from two threads at once."""

    def __init__(self) -> None:
        self._face = cv2.FontFace("sans")

    def width_px(self, text: str, size_px: int) -> int:
        """Width of `text` at a font size."""
        x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), self._face, size_px, BOLD)
        return int(x + width) + 1

    def write(self, mask: Mask, text: str, x: int, baseline: int, size_px: int) -> None:
        """Writes text into `mask` from x on; the part that does not fit is cut off, never wrapped."""
        cv2.putText(
            mask, text, (x, baseline), (255, 0, 0, 0), self._face, size_px, BOLD, cv2.PUT_TEXT_ALIGN_LEFT,
            (0, 1 << 20),
        )  # fmt: skip


def draw_icon(icon: Icon, size_px: int) -> Mask:
    """Coverage of an icon, (size_px, size_px)."""
    side = size_px * OVERSAMPLING
    canvas = np.zeros((side, side), np.uint8)
    pen = _Pen(canvas)
    match icon:
        case Icon.TICK:
            pen.disc(0.5, 0.5, 0.47)
            pen.line([(0.28, 0.53), (0.44, 0.69), (0.73, 0.35)], 0.12, ink=0)
        case Icon.TRIANGLE:
            pen.area([(0.5, 0.04), (0.99, 0.93), (0.01, 0.93)])
            pen.line([(0.5, 0.36), (0.5, 0.62)], 0.11, ink=0)
            pen.disc(0.5, 0.78, 0.065, ink=0)
        case Icon.QUESTION:
            pen.area([(0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)])
            pen.line([(0.37, 0.41), (0.41, 0.31), (0.5, 0.27), (0.6, 0.31), (0.62, 0.41), (0.51, 0.52), (0.5, 0.61)],
                     0.09, ink=0)  # fmt: skip
            pen.disc(0.5, 0.74, 0.06, ink=0)
        case Icon.DOTS:
            for x in (0.16, 0.5, 0.84):
                pen.disc(x, 0.5, 0.13)
        case Icon.BARRED:
            pen.disc(0.5, 0.5, 0.47)
            pen.disc(0.5, 0.5, 0.36, ink=0)
            pen.line([(0.2, 0.2), (0.8, 0.8)], 0.11)
        case Icon.CROSS:
            pen.disc(0.5, 0.5, 0.47)
            pen.line([(0.33, 0.33), (0.67, 0.67)], 0.12, ink=0)
            pen.line([(0.67, 0.33), (0.33, 0.67)], 0.12, ink=0)
        case Icon.CLOCK:
            pen.disc(0.5, 0.5, 0.47)
            pen.line([(0.5, 0.22), (0.5, 0.52), (0.7, 0.62)], 0.1, ink=0)
    return np.asarray(cv2.resize(canvas, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)


class _Pen:
    """Draws shapes in coordinates relative to a square canvas; ink 0 erases."""

    def __init__(self, canvas: Mask) -> None:
        self._canvas = canvas
        self._side = canvas.shape[0]

    def _px(self, share: float) -> int:
        return int(0.5 + share * self._side)

    def disc(self, x: float, y: float, radius: float, ink: int = 255) -> None:
        cv2.circle(self._canvas, (self._px(x), self._px(y)), self._px(radius), ink, cv2.FILLED)

    def area(self, corners: list[tuple[float, float]]) -> None:
        cv2.fillPoly(self._canvas, [np.array([[self._px(x), self._px(y)] for x, y in corners], np.int32)], 255)

    def line(self, points: list[tuple[float, float]], width: float, ink: int = 255) -> None:
        path = np.array([[self._px(x), self._px(y)] for x, y in points], np.int32)
        cv2.polylines(self._canvas, [path], isClosed=False, color=ink, thickness=self._px(width))
