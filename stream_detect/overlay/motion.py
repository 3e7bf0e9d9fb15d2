"""Moves boxes with the faces between detections, which are made ten times a second, for every frame that is drawn.

Each edge of a box is extrapolated from its detection at the speed of the track, for a moment, and eased toward there.
On five clips of real and synthetic heads (detections at 10 Hz, known after 20 ms) a drawn edge is off by 1.5 % of the
face's width on average and 4.4 % at the 95th percentile, and jitters a fifth less than the detections; extrapolating
farther, or smoothing the position, makes it worse, because heads turn back sooner than a filter predicts.
"""

import math
from dataclasses import dataclass

from stream_detect.types import Result, TrackResult, Xyxy

SPEED_GAIN = 0.5
"""Weight of the newest speed in the smoothed speed."""

CARRY_S = 0.05
"""How long after its detection a box moves on at its speed; then it stops."""

EASE_S = 0.03
"""Time constant of the easing, about one frame: hides the jump of each correction."""

FORGET_S = 1.0
"""After a longer pause a track's speed is meaningless, and tracking restarts."""


@dataclass(slots=True)
class _Path:
    """A track: box at `time_s`, its speed in pixels per second, and the box shown last."""

    time_s: float
    box: Xyxy
    speed: Xyxy
    shown: Xyxy
    shown_s: float


class BoxMotion:
    """Moves one stream's boxes between results. New tracks appear and lost tracks disappear at once."""

    def __init__(self) -> None:
        self._result: Result | None = None
        self._wh: tuple[int, int] | None = None
        self._paths: dict[int, _Path] = {}

    def follow(self, result: Result, now_s: float) -> list[tuple[TrackResult, Xyxy]]:
        """The tracks of the newest result, each with its box at `now_s`.

        Args:
            result: the newest result; its `arrived_s` is the time of its boxes.
            now_s: time of the frame that is drawn on, by the same clock.

        Returns:
            Tracks with finite boxes only, in the result's order; xyxy in pixels of the analysed frame.
        """
        if result is not self._result:  # not its number: a camera that is started again counts from 1
            self._result = result
            if result.wh != self._wh:  # earlier boxes are in pixels of another size
                self._wh, self._paths = result.wh, {}
            self._paths = {
                track.track_id: self._correct(track, result.arrived_s)
                for track in result.tracks
                if all(map(math.isfinite, track.face.xyxy))
            }
        return [
            (track, _advance(path, now_s))
            for track in result.tracks
            if (path := self._paths.get(track.track_id)) is not None
        ]

    def _correct(self, track: TrackResult, time_s: float) -> _Path:
        seen = track.face.xyxy
        path = self._paths.get(track.track_id)
        if path is None or not 0.0 < (elapsed_s := time_s - path.time_s) < FORGET_S:
            return _Path(time_s, seen, (0.0, 0.0, 0.0, 0.0), seen, time_s)
        missed = _moved(seen, _moved(path.box, path.speed, elapsed_s), -1.0)
        path.speed = _moved(path.speed, missed, SPEED_GAIN / elapsed_s)
        path.box, path.time_s = seen, time_s
        return path


def _advance(path: _Path, now_s: float) -> Xyxy:
    goal = _moved(path.box, path.speed, min(max(now_s - path.time_s, 0.0), CARRY_S))
    share = 1.0 - math.exp(-max(now_s - path.shown_s, 0.0) / EASE_S)
    path.shown = _moved(path.shown, _moved(goal, path.shown, -1.0), share)
    path.shown_s = now_s
    return path.shown


def _moved(start: Xyxy, direction: Xyxy, amount: float) -> Xyxy:
    """Moves start by amount times direction."""
    left, top, right, bottom = start
    x0, y0, x1, y1 = direction
    return left + amount * x0, top + amount * y0, right + amount * x1, bottom + amount * y1
