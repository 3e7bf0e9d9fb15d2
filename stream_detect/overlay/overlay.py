"""The overlay: draws boxes, badges and traces of the newest `Result` on the yuv420p planes of a frame.

It runs on every frame: sprites are made once and blended, and only the region under them is written.
`annotated` makes a snapshot of one frame.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import MediaError
from stream_detect.media.jpeg import encode_snapshot
from stream_detect.media.planes import Planes, copy_yuv420p, to_rgb
from stream_detect.overlay import sprite as palette
from stream_detect.overlay.badge import (
    BadgeSet,
    Label,
    failed_label,
    stale_label,
    state_label,
)
from stream_detect.overlay.layout import BadgeForm, Layout, Wh, place
from stream_detect.overlay.motion import BoxMotion
from stream_detect.overlay.sprite import Sprite, Yuv
from stream_detect.types import Result, Thresholds, TrackResult, VerdictState, Xyxy

SHIFT = 4
"""Fractional bits of the coordinates passed to OpenCV: boxes move by less than a pixel."""

EDGE_LUMA = 16
"""Luma of the dark edge."""

Strokes = NDArray[np.float64]
"""Open lines with the same number of points, (n, points, 2) in luma pixels."""

_TURN = np.linspace(0.0, np.pi / 2, 4)
_ARC = np.stack([1.0 - np.cos(_TURN), 1.0 - np.sin(_TURN)], axis=1)
"""A quarter circle of radius 1 from (0, 1) to (1, 0)."""

_BRACKET: Strokes = np.concatenate([[[0.0, 0.2]], 0.07 * _ARC, [[0.2, 0.0]]])
_BRACKETS: Strokes = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float64)[:, None] * _BRACKET
"""Corners of a box whose shorter side is 1, from each corner: a rounded bracket with arms of a fifth of it."""


def draw_outline(planes: Planes, box: Xyxy, colour: Yuv, thickness_px: int, *, dashed: bool) -> None:
    """Draws the outline of a box, clipped to the frame.

    Args:
        planes: planes of the frame.
        box: finite, with left < right and top < bottom, at most a few frame sizes outside the frame.
        colour: colour of the line; a dark edge of one pixel keeps it visible on any background.
        thickness_px: thickness of the line.
        dashed: draw dashes on all sides instead of brackets at the corners.
    """
    strokes = list(np.rint((_dashes(box) if dashed else _brackets(box)) * (1 << SHIFT)).astype(np.int32))
    chroma_px = max(1, (thickness_px + 1) // 2)
    # The dark edge is one pixel wide on each side, so steps do not show; without smoothing, an outline takes a quarter
    # less time (80 us at 640 x 480). Chroma that is not smoothed lies beside the line and leaves a grey seam.
    for plane, value, width_px, line, shift in (
        (planes.y, EDGE_LUMA, thickness_px + 2, cv2.LINE_8, SHIFT),
        (planes.y, colour[0], thickness_px, cv2.LINE_AA, SHIFT),
        (planes.u, colour[1], chroma_px, cv2.LINE_AA, SHIFT + 1),  # one more bit, because chroma has half the size
        (planes.v, colour[2], chroma_px, cv2.LINE_AA, SHIFT + 1),
    ):
        cv2.polylines(plane, strokes, False, value, width_px, line, shift)  # noqa: FBT003 - open lines


def _brackets(box: Xyxy) -> Strokes:
    """Four corners with arms of a fifth of the shorter side."""
    left, top, right, bottom = box
    corners = np.array([[[left, top]], [[right, top]], [[right, bottom]], [[left, bottom]]])
    strokes: Strokes = corners + min(right - left, bottom - top) * _BRACKETS
    return strokes


def _dashes(box: Xyxy) -> Strokes:
    """Six dashes per side, with gaps as long as dashes."""
    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    starts = np.arange(6) / 5.5
    shares = np.stack([starts, np.minimum(starts + 1 / 11, 1.0)], axis=1).reshape(1, 6, 2, 1)
    sides = np.roll(corners, -1, axis=0) - corners
    strokes: Strokes = (corners[:, None, None] + shares * sides[:, None, None]).reshape(24, 2, 2)
    return strokes


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A frame that is being drawn on.

    Args:
        planes: its planes.
        wh: its size in pixels.
        layout: sizes of the badges.
        taken: areas covered by badges.
        sides: position of the badge of each track.
    """

    planes: Planes
    wh: Wh
    layout: Layout
    taken: list[Xyxy] = field(default_factory=list)
    sides: dict[int, int] = field(default_factory=dict)


class Overlay:
    """One stream's overlay. Not safe to use from two threads at once.

    Args:
        thresholds: of the model, drawn in the probability band.
        stale_s: once the frame of the newest result arrived this long ago, everything is shown hatched grey.
        since_s: while there is no result, the monotonic seconds since which there is none; default the first frame.
    """

    def __init__(self, thresholds: Thresholds, stale_s: float, since_s: float | None = None) -> None:
        self._stale_s = stale_s
        self._badges = BadgeSet(thresholds)
        self._motion = BoxMotion()
        self._since_s = since_s  # arrival of the newest result's frame, or of the first frame
        self._sides: dict[int, int] = {}
        self._layout = lru_cache(1)(Layout.of)
        self._drawn: Result | None = None
        self._face_badges: dict[tuple[int, Label, BadgeForm, Layout], Sprite] = {}  # of that result

    def draw(self, frame: av.VideoFrame, result: Result | None, now_s: float) -> None:
        """Draws the newest result on a frame.

        Args:
            frame: yuv420p of even width and height, a copy (`copy_yuv420p`); it is modified.
            result: newest of the stream; None before the first.
            now_s: monotonic seconds, on the clock of `Result.arrived_s`.

        Raises:
            MediaError: the frame is not yuv420p.
        """
        wh = frame.width, frame.height
        canvas = _Canvas(Planes.of(frame), wh, self._layout(wh))
        if result is not None:
            self._since_s = result.arrived_s
        elif self._since_s is None:
            self._since_s = now_s
        age_s = now_s - self._since_s
        stale = age_s > self._stale_s
        label = _picture_label(result, age_s if stale else None)
        if label is not None:
            self._draw_picture_badge(canvas, label)
        if result is None:
            return
        if result is not self._drawn:
            self._drawn = result
            self._face_badges.clear()
        hatched = _hatched_label(result, stale=stale)
        faces = [(track, _fitted(box, result.wh, wh)) for track, box in self._motion.follow(result, now_s)]
        for track, box in faces:
            colour = palette.STALE_YUV if hatched else palette.STATE_YUV[track.verdict.state]
            draw_outline(canvas.planes, box, colour, canvas.layout.px(2.5), dashed=hatched is not None)
        for track, box in faces:
            others = [other for _, other in faces if other is not box]
            self._draw_face_badge(canvas, track, box, hatched, others)
        self._sides = canvas.sides

    def _draw_picture_badge(self, canvas: _Canvas, label: Label) -> None:
        """Draws the badge of the whole frame in its upper left corner; only the icon if the words do not fit."""
        margin = canvas.layout.even(8)
        for form in (BadgeForm.HEADER, BadgeForm.ICON):
            sprite = self._badges.badge(label, form, canvas.layout, of_face=False)
            if sprite.wh[0] + margin <= canvas.wh[0] and sprite.wh[1] + margin <= canvas.wh[1]:
                sprite.lay(canvas.planes, margin, margin)
                canvas.taken.append((0.0, 0.0, margin + sprite.wh[0], margin + sprite.wh[1]))
                return

    def _draw_face_badge(
        self, canvas: _Canvas, track: TrackResult, box: Xyxy, hatched: Label | None, others: Sequence[Xyxy]
    ) -> None:
        """Draws as much of a face's badge as there is space for; nothing for a face outside the frame."""
        if box[0] >= canvas.wh[0] or box[1] >= canvas.wh[1] or box[2] <= 0 or box[3] <= 0:
            return
        label = hatched or state_label(track.verdict.state)
        for form in _forms(canvas.layout, box, bare=hatched is not None):
            sprite = self._face_badge(track, label, form, canvas.layout)
            if sprite.wh[0] > canvas.wh[0] or sprite.wh[1] > canvas.wh[1]:
                continue
            side = self._sides.get(track.track_id, 0)
            spot = place(sprite.wh, box, canvas.wh, canvas.taken, side, others=others)
            if not spot.hides:
                break
        else:
            return
        x, y = spot.x, spot.y
        canvas.sides[track.track_id] = spot.side
        canvas.taken.append((x, y, x + sprite.wh[0], y + sprite.wh[1]))
        sprite.lay(canvas.planes, x, y)

    def _face_badge(self, track: TrackResult, label: Label, form: BadgeForm, layout: Layout) -> Sprite:
        """The badge of a face, put together once for each result."""
        key = track.track_id, label, form, layout
        badge = self._face_badges.get(key)
        if badge is None:
            badge = self._face_badges[key] = self._badges.face_badge(track, label, form, layout)
        return badge


def _picture_label(result: Result | None, stale_age_s: float | None) -> Label | None:
    """Label of the whole frame; None if the badges of its faces say everything."""
    if stale_age_s is not None:
        return stale_label(f"NO RESULT FOR {math.floor(min(stale_age_s, 999.0))} s")
    if result is None:
        return state_label(VerdictState.GATHERING)
    if result.error is not None:
        return failed_label("ANALYSIS UNAVAILABLE")
    return None if result.tracks else state_label(result.verdict.state)


def _hatched_label(result: Result, *, stale: bool) -> Label | None:
    """Label that replaces the state on each face's badge if the state must not be trusted."""
    if stale:
        return stale_label("STALE")
    return None if result.error is None else failed_label("NO SCORE")


def _forms(layout: Layout, box: Xyxy, *, bare: bool) -> tuple[BadgeForm, ...]:
    """Forms of a face's badge, fullest first: at most half the height of the face, with only the band two thirds."""
    forms = (BadgeForm.HEADER, BadgeForm.ICON)
    if bare:
        return forms
    height = box[3] - box[1]
    if height >= 2.0 * (layout.header_px + layout.strip_px(BadgeForm.FULL)):
        return (BadgeForm.FULL, BadgeForm.BAND, *forms)
    return (BadgeForm.BAND, *forms) if height >= 1.5 * (layout.header_px + layout.strip_px(BadgeForm.BAND)) else forms


def _fitted(box: Xyxy, of: Wh, to: Wh) -> Xyxy:
    """A box scaled to another frame size, with its corners in order and at most one frame size outside."""
    xs = [min(max(x * to[0] / max(of[0], 1), -to[0]), 2.0 * to[0]) for x in (box[0], box[2])]
    ys = [min(max(y * to[1] / max(of[1], 1), -to[1]), 2.0 * to[1]) for y in (box[1], box[3])]
    return min(xs), min(ys), max(xs), max(ys)


def annotated(  # noqa: PLR0913, PLR0917 - a snapshot of three parts, and how it is drawn
    frame: av.VideoFrame,
    result: Result | None,
    arrived_s: float,
    thresholds: Thresholds,
    stale_s: float,
    width: int | None,
) -> bytes:
    """Encodes a frame as JPEG; the badge is drawn at the final size, so that it is readable in small pictures. Blocks.

    Args:
        frame: read only.
        result: the newest result; None before the first.
        arrived_s: arrival of the frame in monotonic seconds: an old frame without a result waits for none.
        thresholds: of the model.
        stale_s: a result older than this is drawn as stale.
        width: in pixels; None, or more than the frame's width, keeps the frame's.

    Raises:
        MediaError: the frame has a format that cannot be drawn on.
    """
    picture = copy_yuv420p(_narrowed(frame, width))
    Overlay(thresholds, stale_s, arrived_s).draw(picture, result, time.monotonic())
    return encode_snapshot(to_rgb(picture))


def _narrowed(frame: av.VideoFrame, width: int | None) -> av.VideoFrame:
    if width is None or width >= frame.width:
        return frame
    height = max(2, round(frame.height * width / frame.width / 2) * 2)
    try:
        return frame.reformat(width=width & ~1, height=height, format="yuv420p", threads=1)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"a frame in {frame.format.name} cannot be scaled down") from error
