"""A window's trace and the marker of its probability, drawn on the luma of a badge's strip."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.video.layout import Layout
from stream_detect.video.picture import Plane

WIDTH_IN_SAMPLES = 50
"""Samples that fill the trace's width: ten seconds at five a second. Fewer stand at its right end."""

LINE_LUMA = 215
MARKER_LUMA = 235
EDGE_LUMA = 16
SHIFT = 4
"""Fractional bits of the coordinates given to OpenCV."""

Line = NDArray[np.int32]
"""Points (n, 2) in the badge, in 1/16 px."""


def trace_lines(trace: tuple[float, ...], width_px: int, layout: Layout) -> tuple[Line, ...]:
    """The trace as one line a run of samples; a gap (NaN) parts two lines.

    Args:
        trace: fake_probability of each sample, oldest first, NaN for none.
        width_px: of the badge.
        layout: of the badge.
    """
    right, length = width_px - layout.pad_px - 1, width_px - 2 * layout.pad_px
    step = length / (max(len(trace), WIDTH_IN_SAMPLES) - 1)
    rise = layout.trace_px - 1
    bottom = layout.trace_top_px + rise
    lines: list[Line] = []
    run: list[tuple[float, float]] = []
    for index, probability in enumerate((*trace, math.nan)):
        if math.isfinite(probability):
            share = min(max(probability, 0.0), 1.0)
            run.append((right - (len(trace) - 1 - index) * step, bottom - share * rise))
        elif run:
            points = run if len(run) > 1 else [run[0], (run[0][0] + 1.0, run[0][1])]
            lines.append(np.rint(np.array(points) * (1 << SHIFT)).astype(np.int32))
            run = []
    return tuple(lines)


def draw_trace(luma: Plane, lines: tuple[Line, ...], layout: Layout) -> None:
    """Draw a trace into the luma of a badge (h, w)."""
    cv2.polylines(luma, lines, isClosed=False, color=LINE_LUMA, thickness=layout.px(1.2), lineType=cv2.LINE_AA,
                  shift=SHIFT)  # fmt: skip


def draw_marker(luma: Plane, probability: float, layout: Layout) -> None:
    """Draw a bright bar with dark edges across the band at a probability (clipped to 0..1; none for NaN)."""
    if math.isnan(probability):
        return
    length = luma.shape[1] - 2 * layout.pad_px
    half = layout.px(1.5)
    x = layout.pad_px + round(min(max(probability, 0.0), 1.0) * (length - 1))
    rows = slice(layout.band_top_px - layout.px(3), layout.band_top_px + layout.band_px + layout.px(3))
    luma[rows, x - half - 1 : x + half + 2] = EDGE_LUMA
    luma[rows, x - half : x + half + 1] = MARKER_LUMA
