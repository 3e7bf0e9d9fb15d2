"""Check session: one peer's offer enters; its video goes back with the badge, its results over the data channel.

new ──answer──> connecting ──ICE, DTLS──> connected ──close──> closed
                    └── connect_timeout_s, failure ──────────────┘
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass

from aiortc import (
    InvalidAccessError,
    InvalidStateError,
    MediaStreamTrack,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, OperationError

from stream_detect.analysis.engine import Engine
from stream_detect.errors import OfferError
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.types import Result
from stream_detect.video.encoder import H264Encoder
from stream_detect.video.overlay import Overlay
from stream_detect.webrtc import ice
from stream_detect.webrtc.annotator import Annotator
from stream_detect.webrtc.channel import ResultsChannel
from stream_detect.webrtc.feedback import Feedback
from stream_detect.webrtc.frames import FrameQueue, Pump
from stream_detect.webrtc.messages import ByeReason, Introduction
from stream_detect.webrtc.offer import Codec, Offer
from stream_detect.webrtc.tracks import AnnotatedTrack
from stream_detect.webrtc.uplink import raise_uplink

WATCH_S = 1.0
"""How often a session looks whether its peer is still there."""

CLOSE_S = 3.0
"""Bound on each of the two things that a closing session waits for, the connection's end and the analysis'."""

_AIORTC_ERRORS = (InvalidAccessError, InvalidStateError, InternalError, OperationError, ValueError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What every session of a server is made from.

    Args:
        engine: analyses.
        settings: time-outs, ICE servers.
        video: bitrates, codec.
        about: the model, for `hello`.
        pool: where pictures are drawn and encoded.
    """

    engine: Engine
    settings: WebRtcSettings
    video: VideoSettings
    about: Introduction
    pool: Executor


class CheckSession:
    """One peer connection, from offer to end. Lives on the event loop.

    Args:
        session_id: unguessable.
        codec: what the picture goes back in.
        parts: what it is made from.
        on_gone: called, perhaps more than once, when the peer failed, left, vanished or never came, with the reason in
            words; the session is then to be closed.
    """

    def __init__(
        self, session_id: str, codec: Codec, parts: SessionParts, on_gone: Callable[["CheckSession", str], None]
    ) -> None:
        self.session_id = session_id
        self._loop = asyncio.get_running_loop()
        self._settings = parts.settings
        self._stale_s = parts.engine.settings.window.stale_s
        self._on_gone = on_gone
        self._newest: Result | None = None
        self._frames = FrameQueue()
        self._channel = ResultsChannel(session_id, parts.about, self._note_life)
        self._worker = parts.engine.worker(self._deliver)
        self._pump = Pump(self._frames, parts.engine.sampler(), self._worker.submit)
        self._connection = RTCPeerConnection(ice.configuration(parts.settings.ice_servers))
        self._annotator = self._add_video(codec, parts)
        self._connection.on("track", self._on_track)
        self._connection.on("datachannel", self._channel.adopt)
        self._connection.on("connectionstatechange", self._on_state)
        self._made_s = time.monotonic()
        self._life_s: float | None = None  # the newest sign of life; None until connected
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: asyncio.Task[None] | None = None
        self._begin(self._watch(), "watch")

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing is not None

    async def answer(self, offer: Offer) -> str:
        """The answer to the peer's offer, with all of our candidates.

        Raises:
            OfferError: aiortc cannot answer it.
        """
        connection = self._connection
        try:
            await connection.setRemoteDescription(RTCSessionDescription(sdp=offer.sdp, type="offer"))
            for transceiver in connection.getTransceivers()[1:]:
                transceiver.direction = "inactive"  # audio, further video: declined
            await connection.setLocalDescription()
        except _AIORTC_ERRORS as error:
            raise OfferError(f"expected an offer that can be answered, received one that cannot: {error}") from error
        return str(connection.localDescription.sdp)

    def introduce(self, about: Introduction) -> None:
        """Tells the peer, and the badge, that another model judges."""
        self._annotator.draw_with(Overlay(about.thresholds, self._stale_s))
        self._channel.introduce(about)

    async def close(self, reason: ByeReason) -> None:
        """Ends the session within a bounded time; called again, waits for the same end."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._close(reason), name=f"check {self.session_id[:6]} close")
        await asyncio.shield(self._closing)

    def _add_video(self, codec: Codec, parts: SessionParts) -> Annotator:
        """The transceiver of the annotated picture; codec preferences work only before the remote description."""
        video = parts.video
        bounds_bps = (video.min_bitrate_bps, video.max_bitrate_bps)
        encoder = H264Encoder(bounds_bps[0], video.start_bitrate_bps, bounds_bps[1]) if codec is Codec.H264 else None
        feedback = Feedback(video.start_bitrate_bps, bounds_bps)
        annotator = Annotator(Overlay(parts.about.thresholds, self._stale_s), lambda: self._newest, encoder)
        transceiver = self._connection.addTransceiver(
            AnnotatedTrack(self._frames, annotator, feedback, parts.pool), "sendrecv"
        )
        transceiver.setCodecPreferences(
            [
                capability
                for capability in RTCRtpSender.getCapabilities("video").codecs
                if capability.mimeType in {codec.value, "video/rtx"}
            ]
        )
        raise_uplink(transceiver.receiver, parts.settings.min_uplink_bps)
        if encoder is not None:
            feedback.attach(transceiver.sender)
        return annotator

    def _begin(self, work: Coroutine[None, None, None], name: str) -> None:
        task = self._loop.create_task(work, name=f"check {self.session_id[:6]} {name}")
        task.add_done_callback(self._note_failure)
        self._tasks.append(task)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed", task.get_name(), exc_info=error)
            self._on_gone(self, "a task of it failed")

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track is self._connection.getTransceivers()[0].receiver.track:
            self._begin(self._pump.run(track), "pump")

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and self._life_s is None and not self.closing:
            self._note_life()
            self._worker.start()
        elif state in {"failed", "closed"}:
            self._on_gone(self, f"connection {state}")

    def _note_life(self) -> None:
        self._life_s = time.monotonic()

    def _deliver(self, result: Result) -> None:
        """Takes a result on the analysis' thread: the badge has it at once, the channel from the loop."""
        self._newest = result
        self._loop.call_soon_threadsafe(self._send, result)

    def _send(self, result: Result) -> None:
        if not self.closing:
            self._channel.send_result(result, self._frames.dropped)

    async def _watch(self) -> None:
        """Ends when the peer did not come, or went without a word."""
        connect_s, vanish_s = self._settings.connect_timeout_s, self._settings.vanish_timeout_s
        while True:
            await asyncio.sleep(min(WATCH_S, connect_s / 4, vanish_s / 4))
            now_s = time.monotonic()
            if self._life_s is None:
                if now_s - self._made_s > connect_s:
                    return self._on_gone(self, f"not connected within {connect_s:g} s")
            elif now_s - max(self._life_s, self._pump.last_frame_s or 0.0) > vanish_s:
                return self._on_gone(self, f"neither frame nor ping for {vanish_s:g} s")

    async def _close(self, reason: ByeReason) -> None:
        await self._channel.say_bye(reason)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._frames.close()
        await asyncio.gather(self._close_connection(), asyncio.to_thread(self._worker.close, CLOSE_S))
        self._annotator.close()

    async def _close_connection(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await ice.close(self._connection)
        except TimeoutError:
            _log.warning("session %s: the connection did not close within %g s", self.session_id[:6], CLOSE_S)
