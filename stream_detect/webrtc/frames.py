"""Distributes the decoded frames of a live check: each is sent back, and some are analysed.

VideoReceiver ──> FrameTee ──> FrameQueue ──> AnnotatedTrack    every frame, at once
                         └───> sampler ──> worker               some, when the analysis has time
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

import av
from aiortc import MediaStreamError

from stream_detect.media.clock import RtpClock
from stream_detect.media.planes import RgbConverter
from stream_detect.types import Frame
from stream_detect.webrtc.video_receiver import ReceivedFrame

QUEUED_FRAMES = 3
"""Frames that may wait to be returned: a tenth of a second at 30 fps covers a busy moment; more would be delay."""


class SamplingRate(Protocol):
    """Chooses the frames to analyse (`analysis.sampler.Sampler` fits)."""

    def wants(self, time_s: float) -> bool:
        """Whether the frame at this stream time is to be analysed."""
        ...


class FrameQueue:
    """Frames from one receiver to one sending track.

    Drop policy: when full, the oldest frame is dropped and counted. `put` never waits.
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
        """Waits for the oldest frame and removes it.

        Raises:
            MediaStreamError: there are no more frames.
        """
        while not self._frames:
            if self._closed:
                raise MediaStreamError
            self._changed.clear()
            await self._changed.wait()
        return self._frames.popleft()

    def close(self) -> None:
        """Ends the stream; queued frames are dropped."""
        self._closed = True
        self._frames.clear()
        self._changed.set()


class FrameTee:
    """Passes each frame to the queue of the sending track, and some to the analysis. Used on the event loop.

    Args:
        frames: queue for all frames.
        sampler: chooses the frames to analyse.
        submit: accepts the supplier of a frame to be analysed; returns at once.
    """

    def __init__(
        self, frames: FrameQueue, sampler: SamplingRate, submit: Callable[[Callable[[], Frame]], None]
    ) -> None:
        self._frames = frames
        self._sampler = sampler
        self._submit = submit
        self._clock = RtpClock()
        self._gaps = 0
        self._gaps_analysed = 0  # used on the worker's thread only
        self._rgb = RgbConverter()
        self.last_frame_s: float | None = None
        """Arrival of the newest frame in monotonic seconds; None before the first."""

    def take(self, received: ReceivedFrame) -> None:
        """Accepts the next frame."""
        frame, arrived_s = received.frame, received.arrived_s
        self.last_frame_s = arrived_s
        self._gaps += received.gap
        if frame.pts is None:  # the decoder lost its packet's timestamp, so there is no time at which to return it
            self._frames.dropped += 1
            return
        self._frames.put(frame)
        at = self._clock.read(frame.pts, arrived_s)
        self._gaps += at.gap
        if self._sampler.wants(at.time_s):
            self._submit(partial(self._supply, frame, at.time_s, arrived_s, self._gaps))

    def _supply(self, frame: av.VideoFrame, time_s: float, arrived_s: float, gaps: int) -> Frame:
        """The frame in the form of the analysis, made on its thread.

        Gaps are counted, not flagged: no mark is lost with a sample that a newer one replaced, and none is given to a
        sample from before the gap.
        """
        gap, self._gaps_analysed = gaps != self._gaps_analysed, gaps
        return Frame(image=self._rgb.convert(frame), time_s=time_s, arrived_s=arrived_s, pts=frame.pts, gap=gap)
