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
from stream_detect.media.encoder import H264Encoder
from stream_detect.media.planes import copy_yuv420p
from stream_detect.overlay.overlay import Overlay
from stream_detect.types import Result
from stream_detect.webrtc.aiortc_private.rtcp import listen
from stream_detect.webrtc.encoding import KeyframeGate
from stream_detect.webrtc.frames import FrameQueue

_log = logging.getLogger(__name__)

KEYFRAME_INTERVAL_S = 0.4
"""Least time between two keyframes that a peer asked for."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a peer asks of the next frame.

    Args:
        bitrate_bps: its estimate of its bandwidth (REMB), within the encoder's bounds.
        keyframe: the frame must decode by itself.
    """

    bitrate_bps: int
    keyframe: bool


class Feedback:
    """What the receiving peer last asked of our encoder. Read and written on the event loop.

    Args:
        bitrate_bps: what to send until the peer has estimated its bandwidth.
        bounds_bps: lowest and highest bitrate followed.
        clock: monotonic seconds.
    """

    def __init__(
        self, bitrate_bps: int, bounds_bps: tuple[int, int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bounds_bps = bounds_bps
        self._keyframes = KeyframeGate(KEYFRAME_INTERVAL_S, clock)
        self.estimate(bitrate_bps)

    def take(self) -> Demand:
        """What the next frame must be like; a keyframe that is granted by it is taken off."""
        return Demand(self._bitrate_bps, self._keyframes.take())

    def request_keyframe(self) -> None:
        """Fits `RtcpListener`."""
        self._keyframes.request()

    def estimate(self, bitrate_bps: int) -> None:
        """Fits `RtcpListener`."""
        low, high = self._bounds_bps
        self._bitrate_bps = min(max(bitrate_bps, low), high)

    def report(self, lost: float) -> None:
        """Fits `RtcpListener`: what is lost is retransmitted, or asked for as a keyframe."""

    def attach(self, sender: RTCRtpSender) -> None:
        """Listens to the RTCP that reaches a sender."""
        listen(sender, self)


@dataclass(slots=True)
class NewestResult:
    """Holds a stream's newest result: the analysis puts it here, and each frame that is drawn takes it, on any thread.

    Args:
        result: None before the first, and while there is none.
    """

    result: Result | None = None


class Drawing:
    """Draws the newest result on one stream's frames. One call at a time, from any thread.

    A badge that fails costs the badge of a frame, never the frame.

    Args:
        overlay: draws on the copies.
        newest: the stream's.
    """

    def __init__(self, overlay: Overlay, newest: NewestResult) -> None:
        self._overlay = overlay
        self._newest = newest
        self._trouble: str | None = None

    def draw_with(self, overlay: Overlay) -> None:
        """Draws with another overlay from the next frame on."""
        self._overlay = overlay

    def draw(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A copy in yuv420p with the badge, or without where it failed.

        Args:
            frame: as decoded; only read.

        Raises:
            MediaError: the frame is of no kind that can be sent.
        """
        copy = copy_yuv420p(frame)
        try:
            self._overlay.draw(copy, self._newest.result, time.monotonic())
        except Exception as error:  # noqa: BLE001 - the session's edge: a badge that fails must not end the video
            self.note(f"frames are sent without a badge: {error!r}")
            return copy_yuv420p(frame)
        return copy

    def note(self, trouble: str) -> None:
        """Logs a trouble when it changes, not once a frame."""
        if trouble != self._trouble:
            _log.error("%s", trouble)
            self._trouble = trouble


Sendable: TypeAlias = "av.VideoFrame | av.Packet[Any]"
"""What aiortc's sender takes: a frame to encode, or a packet that is encoded."""


class Annotator:
    """Draws and encodes one session's frames. Synchronous; one call at a time, from any thread.

    What fails here costs the badge or the compression of a frame, never the stream: an undrawn copy is encoded, and an
    unencoded one is left to aiortc's own encoder.

    Args:
        overlay: draws on the copies.
        newest: the stream's.
        encoder: compresses; None leaves it to aiortc.
    """

    def __init__(self, overlay: Overlay, newest: NewestResult, encoder: H264Encoder | None) -> None:
        self._drawing = Drawing(overlay, newest)
        self._encoder = encoder
        self._broken = False  # aiortc's encoder stepped in: the peer's decoder knows no frame of ours
        self._closed = False

    def annotate(self, frame: av.VideoFrame, demand: Demand) -> "Sendable | None":
        """What to send for a frame, with the frame's pts.

        Args:
            frame: as decoded; only read.
            demand: what the peer asks of the encoder.

        Returns:
            A packet, or a frame for aiortc to encode; None when the frame is of no kind that can be sent.
        """
        try:
            drawn = self._drawing.draw(frame)
        except MediaError as error:
            self._drawing.note(f"frames are dropped: {error}")
            return None
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
        """Draws with another overlay from the next frame on."""
        self._drawing.draw_with(overlay)

    def close(self) -> None:
        """Frees the encoder; a call in progress, which outlives the sender that asked for it, gives nothing."""
        self._closed = True
        if self._encoder is not None:
            self._encoder.close()


class AnnotatedTrack(MediaStreamTrack):
    """The video that goes back. What `recv` awaits delays every frame: a draw and an encode off the loop, no model.

    Args:
        frames: what the peer sent.
        annotator: draws and encodes.
        feedback: what the peer asks of the encoder.
        pool: where the annotator works.
    """

    kind = "video"

    def __init__(self, frames: FrameQueue, annotator: Annotator, feedback: Feedback, pool: Executor) -> None:
        super().__init__()
        self._frames = frames
        self._annotator = annotator
        self._feedback = feedback
        self._pool = pool
        self._outage = Outage(_log, "a live check's video")

    async def recv(self) -> Sendable:
        """The next frame or packet to send.

        Raises:
            MediaStreamError: the peer's track has ended. Nothing else: any other error would end the sender unseen.
        """
        while True:
            frame = await self._frames.get()
            demand = self._feedback.take()
            try:
                sendable = await asyncio.get_running_loop().run_in_executor(
                    self._pool, self._annotator.annotate, frame, demand
                )
            except Exception as error:  # noqa: BLE001 - the session's edge: aiortc's sender would end without a word
                self._outage.failed("frames are sent back as they came", error)
                return frame
            self._outage.ended()
            if sendable is not None:
                return sendable
            self._frames.dropped += 1
