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
    """Where a publisher's frames go (cameras fit). Called on the event loop: must return at once."""

    def push(self, frame: av.VideoFrame, codec: str, *, arrived_s: float, gap: bool = False) -> None:
        """Takes a frame with pts and time base.

        Args:
            frame: as decoded; only read.
            codec: that it came in, as FFmpeg names it ("h264").
            arrived_s: monotonic seconds when it arrived, before it was decoded.
            gap: something was lost just before it.

        Raises:
            StreamDetectError: it takes no frames any more.
        """
        ...

    def publisher_left(self, reason: str) -> None:
        """No more frames will come, for a reason in words.

        Raises:
            StreamDetectError: it took none any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class PublisherEvents:
    """Whom a session notifies, on the event loop.

    Args:
        connected: the publisher has come.
        gone: it failed, left, vanished, never came or was refused, with the reason in words; perhaps more than once.
        alone: whether nobody else publishes to its camera, or is about to.
    """

    connected: Callable[["WhipSession"], None]
    gone: Callable[["WhipSession", str], None]
    alone: Callable[["WhipSession"], bool]


@dataclass(frozen=True, slots=True)
class WhipParts:
    """What every WHIP session of a server is made from.

    Args:
        settings: time limits, bitrate, the largest frame.
        network: addresses, ports, ICE servers.
    """

    settings: WebRtcSettings
    network: Network


class WhipSession:
    """One publisher of a camera. Lives on the event loop. Fits `Session`.

    Args:
        camera: its name.
        codec: what it sends in.
        sink: where its frames go.
        parts: what it is made from.
        events: who is notified.
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
        self._gone: str | None = None
        self.publishing = False
        """Whether it is the camera's publisher: set when it has connected as the first."""
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
        """Fits `Session`."""
        return self._connection.connected

    @property
    def connection(self) -> PeerConnection:
        """With its peer."""
        return self._connection

    @property
    def closing(self) -> bool:
        """Fits `Session`."""
        return self._closing.begun

    async def answer(self, offer: Offer) -> str:
        """Fits `Session`."""
        return await self._connection.answer(offer)

    async def close(self, reason: ByeReason) -> None:
        """Fits `Session`."""
        await self._closing.run(reason)

    def _take(self, received: ReceivedFrame) -> None:
        frame = received.frame
        self._frame_s = received.arrived_s
        if frame.pts is None or not self.publishing:  # the decoder lost its packet's timestamp: it has no place in time
            return
        at = self._clock.read(frame.pts, received.arrived_s)
        try:
            self._sink.push(frame, self._codec, arrived_s=received.arrived_s, gap=at.gap or received.gap)
        except StreamDetectError as error:  # the camera was removed, or is of another kind now
            self._note_gone(str(error))

    def _note_gone(self, reason: str) -> None:
        self._gone = self._gone or reason
        self._events.gone(self, reason)

    async def _close(self, reason: ByeReason) -> None:
        await self._connection.end_tasks()
        self._receiver.end()
        if self.publishing or self._events.alone(self):
            with contextlib.suppress(StreamDetectError):  # it was removed, or is of another kind: it need not know
                self._sink.publisher_left(self._gone or _WORDS[reason])
        await asyncio.gather(self._connection.close(), self._receiver.close(CLOSE_S))


MAX_CONNECTING = 4
"""Publishers of one camera that may be connecting at once; the first that connects is the publisher."""

RETRY_AFTER_S = 10
"""When to try again while the server restarts."""


class Publishers(CameraSessions[WhipSession]):
    """All who publish to cameras of a server. Used on one event loop; `close_all` is its end.

    Args:
        settings: time limits, bitrate asked of publishers, the largest frame.
        network: addresses, ports, ICE servers; those of the settings if not given.
    """

    def __init__(self, settings: WebRtcSettings, network: Network | None = None) -> None:
        self._settings = settings
        self._parts = WhipParts(settings, network or Network.of(settings))
        super().__init__(SessionTable("whip"))

    @property
    def count(self) -> int:
        """Publishers who hold their camera, those still closing among them."""
        return len(self._sessions)

    async def answer(self, camera: str, offer_sdp: str, sink: PublisherSink, client: str = "") -> Answer:
        """Opens a session for a publisher.

        Args:
            camera: its name.
            offer_sdp: the offer.
            sink: where the frames go; `publisher_left` is called at the end, unless another publisher came first.
            client: its IP address.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) has no video to send.
            CodecError: it has no codec that we have.
            ConflictError: another publisher is there, or too many are just connecting.
            CapacityError: the server is closing.
        """
        offer = read_offer(offer_sdp, h264=True, direction="sendonly")
        if self._sessions.closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if self._publisher_of(camera) is not None:
            raise ConflictError(
                f"{camera} has a publisher already; end that one first (DELETE), or wait "
                f"{self._settings.vanish_timeout_s:g} s if it has vanished"
            )
        if not self._sessions.make_room(MAX_CONNECTING, self._sessions_of(camera)):
            raise ConflictError(f"{MAX_CONNECTING} publishers of {camera} are just connecting; try again later")
        events = PublisherEvents(self._note_connected, self._sessions.gone, self._is_alone)
        session = WhipSession(camera, offer.codec, sink, self._parts, events)
        sdp = await self._sessions.open(session, offer, client)
        return Answer(session.session_id, sdp, etag=session.connection.etag)

    async def forget(self, camera: str) -> None:
        """Ends whoever publishes to a camera that is no more."""
        await asyncio.gather(*(self._sessions.end(session) for session in self._sessions_of(camera)))

    async def close_all(self) -> None:
        """Ends all sessions at once, within five seconds, and takes no more."""
        await self._sessions.close_all()

    def _running(self, camera: str, session_id: str) -> WhipSession:
        session = self._sessions.running(session_id)
        if session.camera != camera:
            raise NotFoundError("expected the id of this camera's publisher, received another one")
        return session

    def _note_connected(self, session: WhipSession) -> None:
        """The first that connects is the publisher; the others end."""
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
