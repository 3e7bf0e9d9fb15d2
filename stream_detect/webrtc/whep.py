"""WHEP sessions: viewers watch a camera, each at the rate that its link allows."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from stream_detect.errors import CapacityError, NotFoundError
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.types import Answer
from stream_detect.webrtc.aiortc_private.rtcp import listen
from stream_detect.webrtc.aiortc_private.sender import RtpSender
from stream_detect.webrtc.congestion import CongestionControl
from stream_detect.webrtc.encoding import EncodedFrame, KeyframeGate
from stream_detect.webrtc.hub import Hub, OverlayStyle
from stream_detect.webrtc.network import Network
from stream_detect.webrtc.offer import Codec, Offer, read_offer
from stream_detect.webrtc.peer_connection import CloseOnce, PeerConnection, PeerEvents
from stream_detect.webrtc.results_channel import ByeReason
from stream_detect.webrtc.session_table import CameraSessions, SessionTable

KEYFRAME_INTERVAL_S = 1.0
"""Least time between two keyframes that one viewer gets for asking: all others pay for each, too."""

MAX_UNSENT_BYTES = 128 * 1024
"""What may wait in a viewer's socket: one second of 1 Mbit/s."""


@dataclass(frozen=True, slots=True)
class WhepParts:
    """What every WHEP session of a server is made from.

    Args:
        settings: time limits.
        video: bitrates.
        network: addresses, ports, ICE servers.
    """

    settings: WebRtcSettings
    video: VideoSettings
    network: Network


class WhepSession:
    """One viewer of a camera. Lives on the event loop. Fits `Session`, a hub's `Viewer`, and `RtcpListener`.

    Drop policy: nothing is queued but in its socket. When that holds more than MAX_UNSENT_BYTES, or the viewer's link
    does not follow (`CongestionControl`), it gets nothing until there is room and a keyframe comes.

    Args:
        session_id: unguessable.
        codec: what it watches in.
        hub: of the camera.
        parts: what it is made from.
        on_gone: called, perhaps more than once, when the viewer failed, left, vanished or never came.
    """

    def __init__(
        self, session_id: str, codec: Codec, hub: Hub, parts: WhepParts, on_gone: Callable[["WhepSession", str], None]
    ) -> None:
        self.session_id = session_id
        self.codec = codec
        self._hub = hub
        self._on_gone = on_gone
        self._congestion = CongestionControl(parts.video.start_bitrate_bps)
        self._keyframes = KeyframeGate(KEYFRAME_INTERVAL_S)
        self._waiting = True
        self.sent = 0
        """Frames that were sent."""
        self.left_out = 0
        """Frames that were not, as this viewer could not follow; those before its first one are not counted."""
        name = f"whep {session_id[:6]}"
        self._closing = CloseOnce(name, self._close)
        self._connection = PeerConnection(
            name,
            parts.settings,
            PeerEvents(
                connected=lambda: None,  # the sender knows better when frames may be sent
                gone=lambda reason: on_gone(self, reason),
                life_s=lambda: self._congestion.unanswered_s or time.monotonic(),
                silence="no report of the viewer",
            ),
            parts.network,
        )
        sender = self._connection.add_video("sendonly", codec).sender
        listen(sender, self)
        self._sender = RtpSender(sender, self._join)
        hub.enter()

    @property
    def hub(self) -> Hub:
        """Of the camera that is watched."""
        return self._hub

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

    @property
    def bitrate_bps(self) -> int:
        """Fits `Viewer`."""
        return self._congestion.bitrate_bps

    async def answer(self, offer: Offer) -> str:
        """Fits `Session`."""
        return await self._connection.answer(offer)

    async def close(self, reason: ByeReason) -> None:
        """Fits `Session`."""
        await self._closing.run(reason)

    async def take(self, frame: EncodedFrame) -> None:
        """Fits `Viewer`."""
        if not self._congestion.admits() or self._sender.unsent_bytes > MAX_UNSENT_BYTES:
            self._waiting = True
            self.left_out += 1
            return
        if self._waiting and not frame.keyframe:
            self.left_out += bool(self.sent)
            self._keyframes.request()
        else:
            self._waiting = False
            self._congestion.sent(await self._sender.send(frame))
            self.sent += 1
        if self._keyframes.take():
            self._hub.request_keyframe(self.codec)

    def failed(self) -> None:
        """Fits `Viewer`."""
        self._on_gone(self, "a frame could not be sent")

    def request_keyframe(self) -> None:
        """Fits `RtcpListener`: it is asked for with the next frame."""
        self._keyframes.request()

    def estimate(self, bitrate_bps: int) -> None:
        """Fits `RtcpListener`."""
        self._congestion.estimate(bitrate_bps)
        self._hub.retarget(self.codec)

    def report(self, lost: float) -> None:
        """Fits `RtcpListener`."""
        self._congestion.report(lost)

    def _join(self) -> None:
        if not self.closing:
            self._hub.attach(self)

    async def _close(self, _reason: ByeReason) -> None:
        self._hub.detach(self)
        self._hub.leave()
        await self._connection.close()


RETRY_AFTER_S = 10
"""When a refused viewer may try again: one that vanished is closed within ten seconds."""


class Viewers(CameraSessions[WhepSession]):
    """All who watch cameras of a server.

    `viewing` and `draw_with` may be called before there is an event loop, and from any thread; all else on one loop.
    `close_all` is its end.

    Args:
        settings: time limits.
        video: bitrates, codec.
        style: how the badge is drawn.
        limit: viewers of all cameras at once.
        network: addresses, ports, ICE servers; those of the settings if not given.
    """

    def __init__(
        self,
        settings: WebRtcSettings,
        video: VideoSettings,
        style: OverlayStyle,
        limit: int,
        network: Network | None = None,
    ) -> None:
        self.limit = limit
        self._parts = WhepParts(settings, video, network or Network.of(settings))
        self._style = style
        self._hubs: dict[str, Hub] = {}
        super().__init__(SessionTable("whep"))

    @property
    def count(self) -> int:
        """Viewers who hold a place, those still closing among them."""
        return len(self._sessions)

    def viewing(self, camera: str) -> Hub:
        """Where the frames of a camera go; always the same until it is forgotten."""
        hub = self._hubs.get(camera)
        if hub is None:
            hub = self._hubs.setdefault(camera, Hub(camera, self._style, self._parts.video))
        return hub

    def draw_with(self, style: OverlayStyle) -> None:
        """Another style from the next frames on: another model judges."""
        self._style = style
        for hub in list(self._hubs.values()):
            hub.draw_with(style)

    async def answer(self, camera: str, offer_sdp: str, client: str = "") -> Answer:
        """Opens a session for a viewer. Whether there is such a camera is the caller's to know.

        Args:
            camera: its name.
            offer_sdp: the offer.
            client: its IP address.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) has no video to receive.
            CodecError: it has no codec that we have.
            CapacityError: too many watch, or the server is closing.
        """
        offer = read_offer(offer_sdp, h264=self._parts.video.h264, direction="recvonly")
        if self._sessions.closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if not self._sessions.make_room(self.limit):
            raise CapacityError(
                f"all {self.limit} places of viewers are taken; try again later, or raise monitoring.max_viewers",
                RETRY_AFTER_S,
            )
        hub = self.viewing(camera)
        session = WhepSession(secrets.token_urlsafe(16), offer.codec, hub, self._parts, self._sessions.gone)
        sdp = await self._sessions.open(session, offer, client)
        return Answer(session.session_id, sdp, etag=session.connection.etag)

    async def forget(self, camera: str) -> None:
        """Ends all who watch a camera that is no more."""
        hub = self._hubs.pop(camera, None)
        if hub is not None:
            watching = [session for session in self._sessions.all() if session.hub is hub]
            await asyncio.gather(*(self._sessions.end(session) for session in watching))
            await hub.close()

    async def close_all(self) -> None:
        """Ends all sessions at once, within five seconds, and takes no more."""
        await self._sessions.close_all()
        await asyncio.gather(*(hub.close() for hub in self._hubs.values()))

    def _running(self, camera: str, session_id: str) -> WhepSession:
        session = self._sessions.running(session_id)
        if session.hub is not self._hubs.get(camera):
            raise NotFoundError("expected the id of a viewer of this camera, received another one")
        return session
