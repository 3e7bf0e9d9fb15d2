"""Stream clock: the timestamps of a track's frames enter, stream time and gaps leave."""

from dataclasses import dataclass

CLOCK_RATE_HZ = 90_000
"""Ticks a second of every RTP video clock (RFC 3551)."""

GAP_S = 0.5
"""A jump of the timestamps above this is a loss: even a dark room's webcam, at 5 fps, sends a frame every 0.2 s."""

MAX_PAUSE_S = 60.0
"""A jump above this is a wrap or a new origin of the timestamps, not time that passed."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a frame is of.

    Args:
        time_s: stream time since the first frame in seconds; never falls.
        gap: frames were lost, or the timestamps started anew, just before it.
    """

    time_s: float
    gap: bool


class StreamClock:
    """Turns presentation timestamps into a stream time that never falls, whatever the timestamps do.

    After timestamps that fall or leap (a wrap, a new sender), stream time goes on by the wall clock.
    """

    def __init__(self) -> None:
        self._time_s = 0.0
        self._last: tuple[int, float] | None = None

    def read(self, pts: int, arrived_s: float) -> Moment:
        """The moment of the next frame.

        Args:
            pts: its timestamp in 90 kHz ticks.
            arrived_s: monotonic wall clock when it reached us.
        """
        gap = False
        if self._last is not None:
            last_pts, last_arrived_s = self._last
            step_s = (pts - last_pts) / CLOCK_RATE_HZ
            gap = not 0.0 <= step_s <= GAP_S
            if not 0.0 <= step_s <= MAX_PAUSE_S:
                step_s = max(arrived_s - last_arrived_s, 0.0)
            self._time_s += step_s
        self._last = pts, arrived_s
        return Moment(self._time_s, gap)
