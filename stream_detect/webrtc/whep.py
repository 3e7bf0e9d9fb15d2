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
"""Minimum time between two keyframes requested by one viewer, because all other viewers get them too."""

MAX_UNSENT_BYTES = 128 * 1024
"""Bytes that may wait in a viewer's socket: one second of 1 Mbit/s."""


@dataclass(frozen=True, slots=True)
class WhepParts:
    """Parts shared by all WHEP sessions of a server.

    Args:
        settings: time limits.
        video: bitrates.
        network: addresses, ports, ICE servers.
    """

    settings: WebRtcSettings
    video: VideoSettings
    network: Network


class WhepSession:
    """One viewer of a camera. Used on the event loop. A `Session`, a hub's `Viewer`, and an `RtcpListener`.

    Drop policy: frames are queued only in its socket. If that holds more than MAX_UNSENT_BYTES, or the viewer's link is
    congested (`CongestionControl`), nothing is sent until there is space and a keyframe.

    Args:
        session_id: unguessable id.
        codec: its codec.
        hub: hub of the camera.
        parts: the shared parts.
        on_gone: called, possibly repeatedly, when the viewer failed, left, vanished or never connected.
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
        """Number of sent frames."""
        self.left_out = 0
        """Number of frames not sent because this viewer was too slow; those before its first one are not counted."""
        name = f"whep {session_id[:6]}"
        self._closing = CloseOnce(name, self._close)
        self._connection = PeerConnection(
            name,
            parts.settings,
            PeerEvents(
                connected=lambda: None,  # the sender knows better when frames can be sent
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
        """Hub of the camera."""
        return self._hub

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

    @property
    def bitrate_bps(self) -> int:
        """See `Viewer`."""
        return self._congestion.bitrate_bps

    async def answer(self, offer: Offer) -> str:
        """See `Session`."""
        return await self._connection.answer(offer)

    async def close(self, reason: ByeReason) -> None:
        """See `Session`."""
        await self._closing.run(reason)

    async def take(self, frame: EncodedFrame) -> None:
        """See `Viewer`."""
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
        """See `Viewer`."""
        self._on_gone(self, "a frame could not be sent")

    def request_keyframe(self) -> None:
        """See `RtcpListener`: the keyframe is requested with the next frame."""
        self._keyframes.request()

    def estimate(self, bitrate_bps: int) -> None:
        """See `RtcpListener`."""
        self._congestion.estimate(bitrate_bps)
        self._hub.retarget(self.codec)

    def report(self, lost: float) -> None:
        """See `RtcpListener`."""
        self._congestion.report(lost)

    def _join(self) -> None:
        if not self.closing:
            self._hub.attach(self)

    async def _close(self, _reason: ByeReason) -> None:
        self._hub.detach(self)
        self._hub.leave()
        await self._connection.close()


RETRY_AFTER_S = 10
"""When a rejected viewer may try again: a vanished one is closed within ten seconds."""


class Viewers(CameraSessions[WhepSession]):
    """All viewers of a server's cameras.

    `viewing` and `draw_with` are thread-safe and need no event loop; everything else is used on one event loop. End it
    with `close_all`.

    Args:
        settings: time limits.
        video: bitrates and codec.
        style: style of the badge.
        limit: maximum number of viewers of all cameras.
        network: addresses, ports, ICE servers; default: those of the settings.
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
        """Number of viewers that hold a place, including closing ones."""
        return len(self._sessions)

    def viewing(self, camera: str) -> Hub:
        """Hub of a camera; the same one until it is forgotten."""
        hub = self._hubs.get(camera)
        if hub is None:
            hub = self._hubs.setdefault(camera, Hub(camera, self._style, self._parts.video))
        return hub

    def draw_with(self, style: OverlayStyle) -> None:
        """Changes the style from the next frames on, for another model."""
        self._style = style
        for hub in list(self._hubs.values()):
            hub.draw_with(style)

    async def answer(self, camera: str, offer_sdp: str, client: str = "") -> Answer:
        """Opens a session for a viewer. The caller ensures that the camera exists.

        Args:
            camera: name of the camera.
            offer_sdp: the offer.
            client: its IP address.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) contains no video to receive.
            CodecError: it contains no supported codec.
            CapacityError: there are too many viewers, or the server is closing.
        """
        offer = read_offer(offer_sdp, h264=self._parts.video.h264, direction="recvonly")
        if self._sessions.closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if not self._sessions.make_room(self.limit):
            raise CapacityError(
                f"all {self.limit} viewer places are taken; try again later, or raise monitoring.max_viewers",
                RETRY_AFTER_S,
            )
        hub = self.viewing(camera)
        session = WhepSession(secrets.token_urlsafe(16), offer.codec, hub, self._parts, self._sessions.gone)
        sdp = await self._sessions.open(session, offer, client)
        return Answer(session.session_id, sdp, etag=session.connection.etag)

    async def forget(self, camera: str) -> None:
        """Ends all viewers of a removed camera."""
        hub = self._hubs.pop(camera, None)
        if hub is not None:
            watching = [session for session in self._sessions.all() if session.hub is hub]
            await asyncio.gather(*(self._sessions.end(session) for session in watching))
            await hub.close()

    async def close_all(self) -> None:
        """Ends all sessions in parallel, within five seconds, and accepts no more."""
        await self._sessions.close_all()
        await asyncio.gather(*(hub.close() for hub in self._hubs.values()))

    def _running(self, camera: str, session_id: str) -> WhepSession:
        session = self._sessions.running(session_id)
        if session.hub is not self._hubs.get(camera):
            raise NotFoundError("expected the id of a viewer of this camera, received another one")
        return session
