"""Makes the sprites of badges, one for each state, value and size, and caches them.

A badge is a header in the state's colour (icon, word, value at the right) and, when there is room, a dark strip with
the probability band (both thresholds drawn in) and the trace of the window. Its empty form and the text of its value
are cached; `face_badge` puts them together with the trace and the band's marker, once for each face and result.
"""

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.overlay import sprite as palette
from stream_detect.overlay.layout import BadgeForm, Layout
from stream_detect.overlay.lettering import STATE_ICON, Icon, Lettering, draw_icon
from stream_detect.overlay.sprite import Mask, Rgb, Sprite
from stream_detect.types import Image, Thresholds, TrackResult, VerdictState

STRIP_OPACITY = 205
"""Of 255. The video shines through a little; light lines on the strip keep a contrast of 7 : 1 over white."""

MAX_SPRITES = 256
"""Sprites kept per stream; at 640x480 the largest takes 30 kB. The least recently used one is dropped first."""


@dataclass(frozen=True, slots=True)
class Label:
    """Content of a badge's header.

    Args:
        icon: shown at the left.
        word: shown in capitals.
        ground: background colour.
        hatched: whether diagonals mark it as stale or unavailable.
    """

    icon: Icon
    word: str
    ground: Rgb
    hatched: bool = False


@cache
def state_label(state: VerdictState) -> Label:
    """The label of a verdict state."""
    return Label(STATE_ICON[state], state.value.replace("_", " ").upper(), palette.STATE_RGB[state])


def stale_label(word: str) -> Label:
    """A label for a result that is too old."""
    return Label(Icon.CLOCK, word, palette.STALE_RGB, hatched=True)


def failed_label(word: str) -> Label:
    """A label for a stream without analysis."""
    return Label(Icon.CROSS, word, palette.STALE_RGB, hatched=True)


class BadgeSet:
    """One stream's badge sprites. Not safe to use from two threads at once.

    Args:
        thresholds: drawn in the band.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._zones = (0.0, thresholds.real_enter, thresholds.fake_enter, 1.0)
        self._lettering = Lettering()
        self.badge = lru_cache(MAX_SPRITES)(self._badge)
        self.value = lru_cache(MAX_SPRITES)(self._value)
        self.face_width_px = lru_cache(MAX_SPRITES)(self._face_width_px)

    def face_badge(self, track: TrackResult, label: Label, form: BadgeForm, layout: Layout) -> Sprite:
        """The whole badge of a face: with its value unless the label is hatched, its trace and its marker.

        Args:
            track: the face's result.
            label: content of the header.
            form: how much is shown.
            layout: sizes.
        """
        badge = self.badge(label, form, layout, of_face=True)
        if form is not BadgeForm.ICON and not label.hatched:
            value = self.value(_value_of(track), label, layout)
            badge = badge.under(value, (badge.wh[0] - layout.pad_px - value.wh[0]) & ~1, 0)
        if form is BadgeForm.FULL:
            badge = _with_trace(badge, track.trace, layout)
        probability = track.verdict.fake_probability
        return badge if probability is None or not layout.strip_px(form) else _with_marker(badge, probability, layout)

    def _face_width_px(self, layout: Layout) -> int:
        """Width of all face badges at a scale, so that the badge does not jump from state to state."""
        widest = max(self._lettering.width_px(word, layout.font_px) for word in ("GATHERING", "UNCERTAIN"))
        value = self._lettering.width_px("12/12", layout.font_px)
        return _even(layout.pad_px * 2 + layout.icon_px + layout.px(5) + widest + layout.px(10) + value)

    def _badge(self, label: Label, form: BadgeForm, layout: Layout, *, of_face: bool) -> Sprite:
        """A badge without value, marker and trace.

        Args:
            label: content of the header.
            form: how much is shown.
            layout: sizes.
            of_face: whether it is as wide as all face badges; otherwise it is as wide as its word.
        """
        height = layout.header_px + layout.strip_px(form)
        if form is BadgeForm.ICON:
            width = _even(layout.icon_px + layout.px(8))
        elif of_face:
            width = self.face_width_px(layout)
        else:
            word = self._lettering.width_px(label.word, layout.font_px)
            width = _even(layout.pad_px * 2 + layout.icon_px + layout.px(5) + word)
        rgb = np.empty((height, width, 3), np.uint8)
        opacity = _rounded((width, height), layout.px(5))
        rgb[: layout.header_px] = _ground(label, (width, layout.header_px), layout)
        self._write_label(rgb, label, form, layout)
        if layout.strip_px(form):
            rgb[layout.header_px :] = palette.INK
            opacity[layout.header_px :] = np.minimum(opacity[layout.header_px :], STRIP_OPACITY)
            self._draw_band(rgb, opacity, layout, dim=label.ground == palette.GREY)
        return Sprite.of(rgb, opacity)

    def _value(self, text: str, label: Label, layout: Layout) -> Sprite:
        """The text of a value, to be drawn at the right of a header."""
        mask = np.zeros((layout.header_px, _even(self._lettering.width_px(text, layout.font_px))), np.uint8)
        self._lettering.write(mask, text, 0, _baseline(layout), layout.font_px)
        rgb = np.full((*mask.shape, 3), palette.text_on(label.ground), np.uint8)
        return Sprite.of(rgb, mask)

    def _write_label(self, rgb: Image, label: Label, form: BadgeForm, layout: Layout) -> None:
        mask = np.zeros(rgb.shape[:2], np.uint8)
        x = (rgb.shape[1] - layout.icon_px) // 2 if form is BadgeForm.ICON else layout.pad_px
        y = (layout.header_px - layout.icon_px) // 2
        mask[y : y + layout.icon_px, x : x + layout.icon_px] = draw_icon(label.icon, layout.icon_px)
        if form is not BadgeForm.ICON:
            x += layout.icon_px + layout.px(5)
            self._lettering.write(mask, label.word, x, _baseline(layout), layout.font_px)
        share = mask[..., None] / 255.0
        rgb[...] = np.rint(rgb * (1 - share) + np.array(palette.text_on(label.ground)) * share)

    def _draw_band(self, rgb: Image, opacity: Mask, layout: Layout, *, dim: bool) -> None:
        """The probability from 0 to 1 as three zones, with a tick at each of the two thresholds."""
        left, length = layout.pad_px, rgb.shape[1] - 2 * layout.pad_px
        rows = slice(layout.band_top_px, layout.band_top_px + layout.band_px)
        edges = [left + round(share * (length - 1)) for share in self._zones]
        for (start, end), colour in zip(
            pairwise(edges), (palette.BLUE, palette.ORANGE, palette.VERMILION), strict=True
        ):
            rgb[rows, start : end + 1] = np.array(colour) // (2 if dim else 1)
            opacity[rows, start : end + 1] = 255
        ticks = slice(rows.start - layout.px(2), rows.stop + layout.px(2))
        for edge in edges[1:3]:
            rgb[ticks, edge : edge + layout.px(1)] = palette.WHITE
            opacity[ticks, edge : edge + layout.px(1)] = 255


_OLD_S = 1.0
"""Age from which a score's age is shown: faces that are scored in turn wait this long if there are many."""


def _value_of(track: TrackResult) -> str:
    """The number in the header: the probability (with its age once it is old), or the amount of evidence."""
    verdict = track.verdict
    if verdict.fake_probability is None or verdict.state is VerdictState.GATHERING:
        if verdict.needed > 99:
            return f"{min(100 * verdict.admitted // verdict.needed, 99)} %"
        return f"{min(verdict.admitted, verdict.needed)}/{verdict.needed}"
    text = f"{verdict.fake_probability:.2f}"
    age_s = track.score_age_s or 0.0
    return text if age_s < _OLD_S else f"{text.removeprefix('0')} {min(age_s, 99.0):.0f}s"


def _even(length_px: int) -> int:
    return (length_px + 1) & ~1


def _baseline(layout: Layout) -> int:
    """Baseline of vertically centred capitals, whose height is .7 of the font size."""
    return round((layout.header_px + 0.7 * layout.font_px) / 2)


def _rounded(wh: tuple[int, int], radius_px: int) -> Mask:
    """Opacity of a rectangle with rounded corners."""
    fine = 8
    w, h = wh[0] * fine, wh[1] * fine
    radius = min(radius_px * fine, w // 2, h // 2)
    mask = np.zeros((h, w), np.uint8)
    cv2.rectangle(mask, (radius, 0), (w - radius - 1, h - 1), 255, cv2.FILLED)
    cv2.rectangle(mask, (0, radius), (w - 1, h - radius - 1), 255, cv2.FILLED)
    for x in (radius, w - radius - 1):
        for y in (radius, h - radius - 1):
            cv2.circle(mask, (x, y), radius, 255, cv2.FILLED)
    return cv2.resize(mask, wh, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _ground(label: Label, wh: tuple[int, int], layout: Layout) -> Image:
    """Background of a header (h, w, 3), with diagonals if hatched."""
    ground = np.full((wh[1], wh[0], 3), label.ground, np.uint8)
    if label.hatched:
        column, row = np.meshgrid(np.arange(wh[0]), np.arange(wh[1]))
        period = layout.px(10)
        ground[(column + row) % period < period / 2] = palette.HATCH_RGB
    return ground


WIDTH_IN_SAMPLES = 50
"""Samples that fill the width of the trace: ten seconds at five per second. Fewer are drawn at its right end."""

LINE_LUMA = 215
MARKER_LUMA = 235
EDGE_LUMA = 16
SHIFT = 4
"""Fractional bits of the coordinates given to OpenCV."""

Line = NDArray[np.int32]
"""Points (n, 2) in the badge, in 1/16 px."""


def _trace_lines(trace: tuple[float, ...], width_px: int, layout: Layout) -> tuple[Line, ...]:
    """The trace as one line per run of samples; a gap (NaN) separates two lines.

    Args:
        trace: fake_probability of each sample, oldest first; NaN for none.
        width_px: width of the badge.
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


def _with_trace(badge: Sprite, trace: tuple[float, ...], layout: Layout) -> Sprite:
    """A badge with the trace of its face."""
    coverage = _uncovered(badge)
    lines = _trace_lines(trace, badge.wh[0], layout)
    cv2.polylines(coverage, lines, isClosed=False, color=255, thickness=layout.px(1.2), lineType=cv2.LINE_AA,
                  shift=SHIFT)  # fmt: skip
    return badge.painted(LINE_LUMA, coverage)


def _with_marker(badge: Sprite, probability: float, layout: Layout) -> Sprite:
    """A badge with a bright bar with dark edges across its band at a probability, clipped to 0..1; none for NaN."""
    if math.isnan(probability):
        return badge
    length = badge.wh[0] - 2 * layout.pad_px
    half = layout.px(1.5)
    x = layout.pad_px + round(min(max(probability, 0.0), 1.0) * (length - 1))
    rows = slice(layout.band_top_px - layout.px(3), layout.band_top_px + layout.band_px + layout.px(3))
    for luma, reach in ((EDGE_LUMA, half + 1), (MARKER_LUMA, half)):
        coverage = _uncovered(badge)
        coverage[rows, x - reach : x + reach + 1] = 255
        badge = badge.painted(luma, coverage)
    return badge


def _uncovered(badge: Sprite) -> Mask:
    return np.zeros((badge.wh[1], badge.wh[0]), np.uint8)
