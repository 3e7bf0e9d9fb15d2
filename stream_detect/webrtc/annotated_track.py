"""The annotated video of a live check: each frame with the badge, encoded in H.264 if the peer accepts it."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeAlias

import av
from aiortc import MediaStreamTrack, RTCRtpSender

from stream_detect.backoff import Outage
from stream_detect.errors import MediaError
from stream_detect.media.clock import RTP_CLOCK_RATE_HZ
from stream_detect.media.encoder import H264Encoder
from stream_detect.media.planes import copy_yuv420p
from stream_detect.overlay.overlay import Overlay
from stream_detect.types import Result
from stream_detect.webrtc.aiortc_private.rtcp import listen
from stream_detect.webrtc.encoding import KeyframeGate
from stream_detect.webrtc.frames import FrameQueue

_log = logging.getLogger(__name__)

KEYFRAME_INTERVAL_S = 0.4
"""Minimum time between two keyframes requested by a peer."""

SILENT_S = 1.5
"""If no frame came for this long, the newest one is sent again, and its badge shows how old the result is. Otherwise
the last frame of a source that hangs would keep the badge of a live one. Screens that stand still send one per second.
"""


@dataclass(frozen=True, slots=True)
class Demand:
    """A peer's requirements for the next frame.

    Args:
        bitrate_bps: its estimate of its bandwidth (REMB), within the encoder's bounds.
        keyframe: the frame must be a keyframe.
    """

    bitrate_bps: int
    keyframe: bool


class Feedback:
    """Latest feedback of the receiving peer for the encoder. Read and written on the event loop.

    Args:
        bitrate_bps: bitrate until the peer has estimated its bandwidth.
        bounds_bps: lowest and highest bitrate.
        clock: returns monotonic seconds.
    """

    def __init__(
        self, bitrate_bps: int, bounds_bps: tuple[int, int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bounds_bps = bounds_bps
        self._keyframes = KeyframeGate(KEYFRAME_INTERVAL_S, clock)
        self.estimate(bitrate_bps)

    def take(self) -> Demand:
        """Requirements for the next frame; granting a keyframe clears its request."""
        return Demand(self._bitrate_bps, self._keyframes.take())

    def request_keyframe(self) -> None:
        """See `RtcpListener`."""
        self._keyframes.request()

    def estimate(self, bitrate_bps: int) -> None:
        """See `RtcpListener`."""
        low, high = self._bounds_bps
        self._bitrate_bps = min(max(bitrate_bps, low), high)

    def report(self, lost: float) -> None:
        """See `RtcpListener`: lost packets are retransmitted, or a keyframe is requested."""

    def attach(self, sender: RTCRtpSender) -> None:
        """Listens to the RTCP of a sender."""
        listen(sender, self)


@dataclass(slots=True)
class NewestResult:
    """Holds a stream's newest result: set by the analysis, read for each drawn frame. Thread-safe.

    Args:
        result: the newest result; None if there is none.
    """

    result: Result | None = None


class Drawing:
    """Draws the newest result on one stream's frames. One call at a time, on any thread.

    If drawing fails, the frame is sent without a badge.

    Args:
        overlay: draws on the copies.
        newest: newest result of the stream.
    """

    def __init__(self, overlay: Overlay, newest: NewestResult) -> None:
        self._overlay = overlay
        self._newest = newest
        self._trouble: str | None = None

    def draw_with(self, overlay: Overlay) -> None:
        """Uses another overlay from the next frame on."""
        self._overlay = overlay

    def draw(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A copy in yuv420p with the badge, or without one if drawing failed.

        Args:
            frame: as decoded; read only.

        Raises:
            MediaError: the frame has a format that cannot be sent.
        """
        copy = copy_yuv420p(frame)
        try:
            self._overlay.draw(copy, self._newest.result, time.monotonic())
        except Exception as error:  # noqa: BLE001 - the session's edge: a badge that fails must not end the video
            self.note(f"frames are sent without a badge: {error!r}")
            return copy_yuv420p(frame)
        return copy

    def note(self, trouble: str) -> None:
        """Logs a problem when it changes, not for each frame."""
        if trouble != self._trouble:
            _log.error("%s", trouble)
            self._trouble = trouble


Sendable: TypeAlias = "av.VideoFrame | av.Packet[Any]"
"""What aiortc's sender accepts: a frame to encode, or an encoded packet."""


class Annotator:
    """Draws and encodes one session's frames. Synchronous; one call at a time, on any thread.

    Errors never end the stream: if drawing fails, the frame is encoded without a badge; if encoding fails, aiortc's
    encoder is used.

    Args:
        overlay: draws on the copies.
        newest: newest result of the stream.
        encoder: the encoder; None uses that of aiortc.
    """

    def __init__(self, overlay: Overlay, newest: NewestResult, encoder: H264Encoder | None) -> None:
        self._drawing = Drawing(overlay, newest)
        self._encoder = encoder
        self._broken = False  # aiortc's encoder was used, so the peer's decoder lacks our frames
        self._closed = False

    def annotate(self, frame: av.VideoFrame, demand: Demand, pts: int | None = None) -> "Sendable | None":
        """Returns what to send for a frame.

        Args:
            frame: as decoded; read only.
            demand: the peer's requirements.
            pts: pts of what is sent, in the frame's time base; None for the frame's own.

        Returns:
            A packet, or a frame for aiortc to encode; None if the frame has a format that cannot be sent.
        """
        try:
            drawn = self._drawing.draw(frame)
        except MediaError as error:
            self._drawing.note(f"frames are dropped: {error}")
            return None
        if pts is not None:
            drawn.pts = pts
        if self._encoder is None:
            return drawn
        self._encoder.target_bitrate_bps = demand.bitrate_bps
        try:
            packet: Sendable
            (packet,) = self._encoder.encode(drawn, demand.keyframe or self._broken)
        except (MediaError, ValueError) as error:
            if self._closed:
                return None
            self._broken = True
            self._drawing.note(f"frames are left to aiortc's encoder: {error}")
            return drawn
        self._broken = False
        return packet

    def draw_with(self, overlay: Overlay) -> None:
        """Uses another overlay from the next frame on."""
        self._drawing.draw_with(overlay)

    def skipped(self) -> None:
        """Called when a frame was sent without it: the peer's decoder lacks our frames, so the next is a keyframe."""
        self._broken = True

    def close(self) -> None:
        """Frees the encoder; a call in progress, which outlives its sender, returns None."""
        self._closed = True
        if self._encoder is not None:
            self._encoder.close()


class AnnotatedTrack(MediaStreamTrack):
    """The returned video. `recv` awaits only drawing and encoding, off the event loop, because it delays every frame.

    Every frame is returned with its own pts. After SILENT_S without one, the newest is returned again.

    Args:
        frames: frames from the peer.
        annotator: draws and encodes.
        feedback: feedback of the peer.
        pool: executor for the annotator.
    """

    kind = "video"

    def __init__(self, frames: FrameQueue, annotator: Annotator, feedback: Feedback, pool: Executor) -> None:
        super().__init__()
        self._frames = frames
        self._annotator = annotator
        self._feedback = feedback
        self._pool = pool
        self._outage = Outage(_log, "a live check's video")
        self._newest: av.VideoFrame | None = None
        self._newest_pts = 0
        self._newest_s = 0.0  # monotonic
        self._sent_pts = 0

    async def recv(self) -> Sendable:
        """The next frame or packet to send.

        Raises:
            MediaStreamError: the peer's track has ended. No other error is raised, because it would end the sender
                silently.
        """
        while True:
            frame, repeated = await self._next()
            demand = self._feedback.take()
            try:
                sendable = await asyncio.get_running_loop().run_in_executor(
                    self._pool, self._annotator.annotate, frame, demand, self._sent_pts
                )
            except Exception as error:  # noqa: BLE001 - the session's edge: aiortc's sender would end without a word
                self._outage.failed("frames are sent back as they came", error)
                self._annotator.skipped()
                if repeated:
                    continue
                return frame
            self._outage.ended()
            if sendable is not None:
                return sendable
            self._frames.dropped += not repeated

    async def _next(self) -> tuple[av.VideoFrame, bool]:
        """Waits for the next frame, or until the newest has to be repeated; returns it, and whether it is repeated."""
        newest = self._newest
        try:
            async with asyncio.timeout(None if newest is None else SILENT_S):
                frame = await self._frames.get()
        except TimeoutError:
            if newest is None:
                raise
            waited_s = time.monotonic() - self._newest_s
            self._sent_pts = self._newest_pts + round(RTP_CLOCK_RATE_HZ * waited_s)
            return newest, True
        pts = frame.pts or 0
        # The pts of a repeated frame was an estimate, which that of the next one may fall short of.
        overtaken = newest is not None and self._newest_pts < pts <= self._sent_pts
        self._sent_pts = self._sent_pts + 1 if overtaken else pts
        self._newest, self._newest_pts, self._newest_s = frame, pts, time.monotonic()
        return frame, False
