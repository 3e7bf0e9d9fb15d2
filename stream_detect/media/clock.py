"""Stream time: makes increasing times from the timestamps of a source, paces files to real time, and detects gaps."""

import time
from dataclasses import dataclass
from fractions import Fraction
from threading import Event
from typing import Self


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on two clocks.

    Args:
        at_s: wall clock in unix seconds, for records.
        now_s: monotonic seconds, for durations, because wall clocks jump.
    """

    at_s: float
    now_s: float

    @classmethod
    def now(cls) -> Self:
        """The current moment."""
        return cls(time.time(), time.monotonic())


LIVE_JUMP_S = 2.0
"""How far the timestamps of a live stream may run ahead of their arrival; beyond that they have jumped."""

REST_S = 60.0
"""How long a file may stay on one frame; beyond that its timestamps have jumped."""

SHORTEST_STEP_S = 0.001

LEAN = 0.01
"""Share of the difference from the arrival clock that each frame corrects: no camera's clock agrees with ours (50 ppm
are four seconds a day), and 100 ms of jitter move a timestamp by 1 ms."""

MOST_LEAN = 0.1
"""Largest correction, as a share of an interval: after a network pause time runs a little faster for a while, and a
regular stream stays regular.
"""


class StreamClock:
    """Times of one source's frames, which increase even if its timestamps fall, wrap, jump or are missing.

    Args:
        jump_s: a step of the timestamps that exceeds that of the arrivals by this much is a jump.
        lean: share of the difference from the arrival clock that each frame corrects; 0 for a source that is paced or
            read as fast as possible, because its arrivals say nothing about its clock.
    """

    def __init__(self, *, jump_s: float = LIVE_JUMP_S, lean: float = 0.0) -> None:
        self._jump_s = jump_s
        self._lean = lean
        self._pts_s: float | None = None
        self._arrived_s: float | None = None
        self._time_s = 0.0

    def restart(self) -> None:
        """Called when the timestamps restart: the time to the next frame is taken from its arrival."""
        self._pts_s = None

    def at(self, pts_s: float | None, arrived_s: float) -> float:
        """Time of the next frame in seconds, later than the previous one; that of the first is its arrival.

        Args:
            pts_s: the frame's timestamp; None if it has none, or a meaningless one.
            arrived_s: arrival on the monotonic clock, or the time at which it was expected.
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
"""Clock rate of every RTP video stream, in ticks per second (RFC 3551)."""

RTP_TIME_BASE = Fraction(1, RTP_CLOCK_RATE_HZ)

GAP_S = 0.5
"""A longer step of the timestamps is a loss: even a webcam in a dark room, at 5 fps, sends a frame every 0.2 s."""


@dataclass(frozen=True, slots=True)
class StreamTime:
    """Stream time of a frame.

    Args:
        time_s: stream time since the first frame in seconds; never decreases.
        gap: frames were lost, or the timestamps restarted, just before it.
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
            pts: its timestamp in 90 kHz ticks; it may have fallen, wrapped or jumped.
            arrived_s: arrival in monotonic seconds.
        """
        gap = False
        if self._pts is None:
            self._began_s = arrived_s
        else:
            gap = not 0 <= pts - self._pts <= GAP_S * RTP_CLOCK_RATE_HZ
        self._pts = pts
        return StreamTime(self._clock.at(pts / RTP_CLOCK_RATE_HZ, arrived_s) - self._began_s, gap)


class Pacer:
    """Slows a source down to real time.

    Args:
        stopping: ends a wait.
    """

    LATE_S = 1.0
    """A longer delay is kept: after a machine was busy, a file is not played in fast motion."""

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
    """Detects a missing frame in a regular stream.

    FFmpeg does not report lost RTP packets, and after the loss of a whole frame H.264 is decoded from the wrong
    reference (measured: smeared, but not marked as corrupt). An irregular stream is never examined.
    """

    NEEDED = 25
    """Consecutive regular intervals before the next one is examined."""

    def __init__(self) -> None:
        self._last_s = 0.0
        self._usual_s = 0.0
        self._regular = 0

    def hole(self, time_s: float) -> bool:
        """Whether frames are missing before the one at this time (in seconds, increasing)."""
        interval_s, self._last_s = time_s - self._last_s, time_s
        if 0.6 * self._usual_s < interval_s < 1.6 * self._usual_s:
            self._usual_s += 0.1 * (interval_s - self._usual_s)
            self._regular += 1
            return False
        judged = self._regular >= self.NEEDED
        if judged and interval_s < self._usual_s:
            return False  # late frames that arrived together
        self._regular = 0
        if not judged:
            self._usual_s = interval_s
        return judged

    def forget(self) -> None:
        """Forgets the interval: the stream may have another one from now on."""
        self._regular = 0
