"""Frames on their way through a session: decoded frames of the peer's track enter, and each goes two ways.

track ──> Pump ──> FrameQueue ──> AnnotatedTrack      every frame, at once
              └──> sampler ──> worker                 some, when the analysis has time
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import av
from aiortc import MediaStreamError, MediaStreamTrack

from stream_detect.media.planes import to_rgb
from stream_detect.types import Frame

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


QUEUED_FRAMES = 3
"""Frames that may wait to be sent back: a tenth of a second at 30 fps rides out a busy moment; more would be lag."""


class Sampler(Protocol):
    """Which frames to analyse."""

    def wants(self, time_s: float) -> bool:
        """Whether the frame at this stream time is to be analysed."""
        ...


class FrameQueue:
    """Frames from one pump to one sending track.

    Drop policy: when full, the oldest frame goes and is counted. Nothing waits to put.
    """

    def __init__(self) -> None:
        self._frames: deque[av.VideoFrame] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def put(self, frame: av.VideoFrame) -> None:
        """Adds the newest frame."""
        if self._closed:
            return
        if len(self._frames) == QUEUED_FRAMES:
            self._frames.popleft()
            self.dropped += 1
        self._frames.append(frame)
        self._changed.set()

    async def get(self) -> av.VideoFrame:
        """Waits for the oldest frame and takes it off.

        Raises:
            MediaStreamError: there are no more.
        """
        while not self._frames:
            if self._closed:
                raise MediaStreamError
            self._changed.clear()
            await self._changed.wait()
        return self._frames.popleft()

    def close(self) -> None:
        """Ends the stream for whoever waits; frames still queued are dropped."""
        self._closed = True
        self._frames.clear()
        self._changed.set()


class Pump:
    """Drains a peer's track for as long as it lasts: aiortc queues without bound what is not read.

    Args:
        frames: where every frame goes.
        sampler: which frames are analysed.
        submit: takes a supplier of a frame to be analysed; returns at once.
    """

    def __init__(self, frames: FrameQueue, sampler: Sampler, submit: Callable[[Callable[[], Frame]], None]) -> None:
        self._frames = frames
        self._sampler = sampler
        self._submit = submit
        self._clock = StreamClock()
        self._gap = False
        self.last_frame_s: float | None = None
        """Monotonic wall clock of the newest frame; None before the first."""

    async def run(self, track: MediaStreamTrack) -> None:
        """Until the track ends, or forever."""
        try:
            while True:
                received = await track.recv()
                if isinstance(received, av.VideoFrame):
                    self._take(received)
        except MediaStreamError:
            pass  # the peer's track has ended
        finally:
            self._frames.close()

    def _take(self, frame: av.VideoFrame) -> None:
        arrived_s = self.last_frame_s = time.monotonic()
        if frame.pts is None:  # the decoder lost its packet's timestamp: there is no place in time to send it back to
            self._frames.dropped += 1
            return
        self._frames.put(frame)
        moment = self._clock.read(frame.pts, arrived_s)
        self._gap |= moment.gap or frame.is_corrupt
        if self._sampler.wants(moment.time_s):
            self._submit(partial(self._supply, frame, moment.time_s, arrived_s))

    def _supply(self, frame: av.VideoFrame, time_s: float, arrived_s: float) -> Frame:
        """The frame as the analysis takes it, made on the analysis' thread.

        A gap belongs to the next frame that is really analysed, so it is taken off here and not when sampled: a sample
        that is replaced by a newer one must not take it along.
        """
        gap, self._gap = self._gap, False
        return Frame(image=to_rgb(frame), time_s=time_s, arrived_s=arrived_s, pts=frame.pts, gap=gap)
