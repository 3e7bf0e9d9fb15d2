"""Stream time: makes increasing times from the timestamps of a source, paces files to real time, and detects gaps."""

import time
from dataclasses import dataclass
from fractions import Fraction
from threading import Event
from typing import Self


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment by both clocks.

    Args:
        at_s: wall clock, unix seconds: what is written down.
        now_s: monotonic seconds: what durations are measured by, as wall clocks jump.
    """

    at_s: float
    now_s: float

    @classmethod
    def now(cls) -> Self:
        """The present one."""
        return cls(time.time(), time.monotonic())


LIVE_JUMP_S = 2.0
"""A live stream's timestamps may run so far ahead of their arrival; beyond it they have jumped."""

REST_S = 60.0
"""A file may rest so long on one frame; beyond it its timestamps have jumped."""

SHORTEST_STEP_S = 0.001

LEAN = 0.01
"""Share of the difference from the arrivals' clock that each frame takes away: no camera's clock is ours (50 ppm are
four seconds a day), and 100 ms of jitter move a timestamp by 1 ms."""

MOST_LEAN = 0.1
"""Of an interval: after a network's pause time runs a little faster for a while, and a regular stream stays regular."""


class StreamClock:
    """Times of one source's frames, which rise even if its timestamps fall, wrap, leap or are missing.

    Args:
        jump_s: a step of the timestamps that is so much longer than the arrivals' is no time that passed.
        lean: share of the difference from the arrivals' clock that each frame takes away; 0 for a source that is held
            back to real time, or read as fast as it goes: its arrivals say nothing about its clock.
    """

    def __init__(self, *, jump_s: float = LIVE_JUMP_S, lean: float = 0.0) -> None:
        self._jump_s = jump_s
        self._lean = lean
        self._pts_s: float | None = None
        self._arrived_s: float | None = None
        self._time_s = 0.0

    def restart(self) -> None:
        """The next frame's timestamp has another origin: the time to it is that of its arrival."""
        self._pts_s = None

    def at(self, pts_s: float | None, arrived_s: float) -> float:
        """Time of the next frame in seconds, above the last one's; the first one's is its arrival.

        Args:
            pts_s: the frame's timestamp; None if it has none, or one that means nothing.
            arrived_s: monotonic clock; of what does not arrive, when it was to be expected.
        """
        if self._arrived_s is None:
            self._time_s = arrived_s
        else:
            elapsed_s = arrived_s - self._arrived_s
            step_s = elapsed_s if pts_s is None or self._pts_s is None else pts_s - self._pts_s
            if not 0 < step_s < elapsed_s + self._jump_s:
                step_s = elapsed_s
            if self._lean:
                late_s = arrived_s - self._time_s - step_s
                step_s += max(-MOST_LEAN * step_s, min(self._lean * late_s, MOST_LEAN * step_s))
            self._time_s += max(step_s, SHORTEST_STEP_S)
        self._pts_s = pts_s
        self._arrived_s = arrived_s
        return self._time_s


RTP_CLOCK_RATE_HZ = 90_000
"""Ticks a second of every RTP video clock (RFC 3551)."""

RTP_TIME_BASE = Fraction(1, RTP_CLOCK_RATE_HZ)

GAP_S = 0.5
"""A step of the timestamps above this is a loss: even a dark room's webcam, at 5 fps, sends a frame every 0.2 s."""


@dataclass(frozen=True, slots=True)
class StreamTime:
    """When a frame is of.

    Args:
        time_s: stream time since the first frame in seconds; never falls.
        gap: frames were lost, or the timestamps started anew, just before it.
    """

    time_s: float
    gap: bool


class RtpClock:
    """Times of one RTP stream's frames since its first, and whether frames were lost in between."""

    def __init__(self) -> None:
        self._clock = StreamClock(jump_s=REST_S)
        self._began_s = 0.0
        self._pts: int | None = None

    def read(self, pts: int, arrived_s: float) -> StreamTime:
        """The time of the next frame.

        Args:
            pts: its timestamp in 90 kHz ticks; it may have fallen, wrapped or leapt.
            arrived_s: monotonic seconds when it arrived.
        """
        gap = False
        if self._pts is None:
            self._began_s = arrived_s
        else:
            gap = not 0 <= pts - self._pts <= GAP_S * RTP_CLOCK_RATE_HZ
        self._pts = pts
        return StreamTime(self._clock.at(pts / RTP_CLOCK_RATE_HZ, arrived_s) - self._began_s, gap)


class Pacer:
    """Holds a source back to real time.

    Args:
        stopping: ends a wait.
    """

    LATE_S = 1.0
    """What is later than this stays late: a machine that was busy does not then show a file in fast motion."""

    def __init__(self, stopping: Event) -> None:
        self._stopping = stopping
        self._late_s = 0.0

    def wait(self, time_s: float) -> None:
        """Waits until a frame is due, at a time of `StreamClock`."""
        ahead_s = time_s + self._late_s - time.monotonic()
        if ahead_s > 0:
            self._stopping.wait(ahead_s)
        elif ahead_s < -self.LATE_S:
            self._late_s -= ahead_s


class Cadence:
    """Notices that a frame is missing in a stream that sent them regularly.

    RTP's lost packets are not reported by FFmpeg, and H.264 decodes on from the wrong reference when a whole frame is
    lost (measured: smeared, yet marked sound). A stream that is irregular by itself never gets as far as to be judged.
    """

    NEEDED = 25
    """Regular intervals in a row before one is judged."""

    def __init__(self) -> None:
        self._last_s = 0.0
        self._usual_s = 0.0
        self._regular = 0

    def hole(self, time_s: float) -> bool:
        """Whether frames are missing before the one of this time (in seconds, rising)."""
        interval_s, self._last_s = time_s - self._last_s, time_s
        if 0.6 * self._usual_s < interval_s < 1.6 * self._usual_s:
            self._usual_s += 0.1 * (interval_s - self._usual_s)
            self._regular += 1
            return False
        judged = self._regular >= self.NEEDED
        if judged and interval_s < self._usual_s:
            return False  # late ones that came together
        self._regular = 0
        if not judged:
            self._usual_s = interval_s
        return judged

    def forget(self) -> None:
        """Starts anew: what comes next has another rhythm."""
        self._regular = 0
