"""WHIP sessions: publishers send the video of `whip:` cameras."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import av

from stream_detect.errors import CapacityError, ConflictError, NotFoundError, StreamDetectError
from stream_detect.media.clock import RtpClock
from stream_detect.settings import WebRtcSettings
from stream_detect.types import Answer
from stream_detect.webrtc.aiortc_private.rtcp import raise_uplink
from stream_detect.webrtc.network import Network
from stream_detect.webrtc.offer import Codec, Offer, read_offer
from stream_detect.webrtc.peer_connection import CLOSE_S, CloseOnce, PeerConnection, PeerEvents
from stream_detect.webrtc.results_channel import ByeReason
from stream_detect.webrtc.session_table import CameraSessions, SessionTable
from stream_detect.webrtc.video_receiver import ReceivedFrame, VideoEvents, VideoReceiver

_WORDS: dict[ByeReason, str] = {
    "closed": "the publisher left",
    "server_shutdown": "the server is shutting down",
    "video_too_large": "the publisher's video is too large",
}


class PublisherSink(Protocol):
    """Receives a publisher's frames (cameras fit). Called on the event loop: must return at once."""

    def push(self, frame: av.VideoFrame, codec: str, *, arrived_s: float, gap: bool = False) -> None:
        """Accepts a frame with pts and time base.

        Args:
            frame: as decoded; read only.
            codec: its codec, in FFmpeg's name ("h264").
            arrived_s: its arrival before decoding, in monotonic seconds.
            gap: something was lost just before it.

        Raises:
            StreamDetectError: it no longer accepts frames.
        """
        ...

    def publisher_left(self, reason: str) -> None:
        """No more frames follow, for a reason in words.

        Raises:
            StreamDetectError: it no longer accepted frames.
        """
        ...


@dataclass(frozen=True, slots=True)
class PublisherEvents:
    """Callbacks of a session, called on the event loop.

    Args:
        connected: the publisher has connected.
        gone: it failed, left, vanished, never connected or was refused, with the reason in words; possibly repeatedly.
        alone: returns whether nobody else publishes to its camera, or is about to.
    """

    connected: Callable[["WhipSession"], None]
    gone: Callable[["WhipSession", str], None]
    alone: Callable[["WhipSession"], bool]


@dataclass(frozen=True, slots=True)
class WhipParts:
    """Parts shared by all WHIP sessions of a server.

    Args:
        settings: time limits, bitrate and the largest frame.
        network: addresses, ports, ICE servers.
    """

    settings: WebRtcSettings
    network: Network


class WhipSession:
    """One publisher of a camera. Used on the event loop. A `Session`.

    Args:
        camera: name of the camera.
        codec: its codec.
        sink: receives its frames.
        parts: the shared parts.
        events: the callbacks.
    """

    def __init__(
        self,
        camera: str,
        codec: Codec,
        sink: PublisherSink,
        parts: WhipParts,
        events: PublisherEvents,
    ) -> None:
        self.camera = camera
        self.session_id = secrets.token_urlsafe(16)
        self._sink = sink
        self._codec = codec.value.removeprefix("video/").lower()
        self._events = events
        self._clock = RtpClock()
        self._frame_s: float | None = None
        self._gap = False
        self._gone: str | None = None
        self.publishing = False
        """Whether it is the camera's publisher: set if it was the first to connect."""
        name = f"whip {self.session_id[:6]}"
        self._closing = CloseOnce(name, self._close)
        self._connection = PeerConnection(
            name,
            parts.settings,
            PeerEvents(
                connected=lambda: events.connected(self),
                gone=self._note_gone,
                life_s=lambda: self._frame_s,
                silence="no frame",
            ),
            parts.network,
        )
        self._receiver = VideoReceiver(
            name,
            parts.settings.max_pixels,
            VideoEvents(
                self._take, self._note_gone, self._note_gone, lambda: self._note_gone("the publisher's video ended")
            ),
        )
        receiver = self._connection.add_video("recvonly", codec).receiver
        raise_uplink(receiver, parts.settings.min_uplink_bps)
        self._receiver.attach(receiver)

    @property
    def connected(self) -> bool:
        """See `Session`."""
        return self._connection.connected

    @property
    def connection(self) -> PeerConnection:
        """Connection to the peer."""
        return self._connection

    @property
    def closing(self) -> bool:
        """See `Session`."""
        return self._closing.begun

    async def answer(self, offer: Offer) -> str:
        """See `Session`."""
        return await self._connection.answer(offer)

    async def close(self, reason: ByeReason) -> None:
        """See `Session`."""
        await self._closing.run(reason)

    def _take(self, received: ReceivedFrame) -> None:
        frame = received.frame
        self._frame_s = received.arrived_s
        self._gap |= received.gap
        if frame.pts is None or not self.publishing:  # the decoder lost its packet's timestamp, so its time is unknown
            return
        at = self._clock.read(frame.pts, received.arrived_s)
        gap, self._gap = at.gap or self._gap, False
        try:
            self._sink.push(frame, self._codec, arrived_s=received.arrived_s, gap=gap)
        except StreamDetectError as error:  # the camera was removed, or has another kind now
            self._note_gone(str(error))

    def _note_gone(self, reason: str) -> None:
        self._gone = self._gone or reason
        self._events.gone(self, reason)

    async def _close(self, reason: ByeReason) -> None:
        await self._connection.end_tasks()
        self._receiver.end()
        if self.publishing or self._events.alone(self):
            with contextlib.suppress(StreamDetectError):  # it was removed, or has another kind now, and need not know
                self._sink.publisher_left(self._gone or _WORDS[reason])
        await asyncio.gather(self._connection.close(), self._receiver.close(CLOSE_S))


MAX_CONNECTING = 4
"""Publishers of one camera that may be connecting at once; the first one to connect is the publisher."""

RETRY_AFTER_S = 10
"""When to try again while the server restarts."""


class Publishers(CameraSessions[WhipSession]):
    """All publishers to a server's cameras. Used on one event loop; end it with `close_all`.

    Args:
        settings: time limits, bitrate requested from publishers, the largest frame.
        network: addresses, ports, ICE servers; default: those of the settings.
    """

    def __init__(self, settings: WebRtcSettings, network: Network | None = None) -> None:
        self._settings = settings
        self._parts = WhipParts(settings, network or Network.of(settings))
        super().__init__(SessionTable("whip"))

    @property
    def count(self) -> int:
        """Number of publishers that hold their camera, including closing ones."""
        return len(self._sessions)

    async def answer(self, camera: str, offer_sdp: str, sink: PublisherSink, client: str = "") -> Answer:
        """Opens a session for a publisher.

        Args:
            camera: name of the camera.
            offer_sdp: the offer.
            sink: receives the frames; `publisher_left` is called at the end, unless another publisher was first.
            client: its IP address.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) contains no video to send.
            CodecError: it contains no supported codec.
            ConflictError: there is another publisher, or too many are connecting.
            CapacityError: the server is closing.
        """
        offer = read_offer(offer_sdp, h264=True, direction="sendonly")
        if self._sessions.closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if self._publisher_of(camera) is not None:
            raise ConflictError(
                f"{camera} already has a publisher; end that session first (DELETE), or wait "
                f"{self._settings.vanish_timeout_s:g} s if it has vanished"
            )
        if not self._sessions.make_room(MAX_CONNECTING, self._sessions_of(camera)):
            raise ConflictError(f"{MAX_CONNECTING} publishers of {camera} are already connecting; try again later")
        events = PublisherEvents(self._note_connected, self._sessions.gone, self._is_alone)
        session = WhipSession(camera, offer.codec, sink, self._parts, events)
        sdp = await self._sessions.open(session, offer, client)
        return Answer(session.session_id, sdp, etag=session.connection.etag)

    async def forget(self, camera: str) -> None:
        """Ends the publisher of a removed camera."""
        await asyncio.gather(*(self._sessions.end(session) for session in self._sessions_of(camera)))

    async def close_all(self) -> None:
        """Ends all sessions in parallel, within five seconds, and accepts no more."""
        await self._sessions.close_all()

    def _running(self, camera: str, session_id: str) -> WhipSession:
        session = self._sessions.running(session_id)
        if session.camera != camera:
            raise NotFoundError("expected the id of this camera's publisher, received another one")
        return session

    def _note_connected(self, session: WhipSession) -> None:
        """The first one to connect is the publisher; the others are ended."""
        session.publishing = self._publisher_of(session.camera) is None
        others = [other for other in self._sessions_of(session.camera) if other is not session]
        for late in others if session.publishing else [session]:
            self._sessions.gone(late, "another publisher connected first")

    def _is_alone(self, session: WhipSession) -> bool:
        return all(other is session for other in self._sessions.all() if other.camera == session.camera)

    def _publisher_of(self, camera: str) -> WhipSession | None:
        return next((session for session in self._sessions_of(camera) if session.publishing), None)

    def _sessions_of(self, camera: str) -> list[WhipSession]:
        return [session for session in self._sessions.all() if session.camera == camera and not session.closing]
