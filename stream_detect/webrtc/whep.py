"""Playback session: one viewer's offer enters; a camera's pictures go to it, as many as its line takes."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from stream_detect.errors import CapacityError, NotFoundError
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.types import Answer, Result
from stream_detect.webrtc.aiortc_private import listen
from stream_detect.webrtc.encoding import Coded, KeyframeGate
from stream_detect.webrtc.hub import Hub, Look
from stream_detect.webrtc.offer import Codec, Offer, read_offer
from stream_detect.webrtc.peer_connection import Ending, Link, Watch
from stream_detect.webrtc.results_channel import ByeReason
from stream_detect.webrtc.sender import Outlet, Pace
from stream_detect.webrtc.sessions import SessionTable

KEYFRAME_INTERVAL_S = 1.0
"""Least time between two keyframes that one viewer gets for asking: all others pay for each, too."""

MAX_UNSENT_BYTES = 128 * 1024
"""What may wait in a viewer's socket: one second of 1 Mbit/s."""


@dataclass(frozen=True, slots=True)
class PlaybackParts:
    """What every playback of a server is made from.

    Args:
        settings: time-outs, ICE servers.
        video: bitrates.
    """

    settings: WebRtcSettings
    video: VideoSettings


class Playback:
    """One viewer of a camera. Lives on the event loop. As a `Session`, a hub's `Viewer`, and an `RtcpListener`.

    Drop policy: nothing is queued but in its socket. When that is over MAX_UNSENT_BYTES, or the viewer's line does not
    follow (`Pace`), it gets nothing until there is room and a keyframe comes.

    Args:
        session_id: unguessable.
        codec: what it watches in.
        hub: of the camera.
        parts: what it is made from.
        on_gone: called, perhaps more than once, when the viewer failed, left, vanished or never came.
    """

    def __init__(
        self, session_id: str, codec: Codec, hub: Hub, parts: PlaybackParts, on_gone: Callable[["Playback", str], None]
    ) -> None:
        self.session_id = session_id
        self.codec = codec
        self._hub = hub
        self._pace = Pace(parts.video.start_bitrate_bps)
        self._keyframes = KeyframeGate(KEYFRAME_INTERVAL_S)
        self._waiting = True
        self.sent = 0
        """Pictures that went out."""
        self.left_out = 0
        """Pictures that did not, since this viewer could not follow; those before its first one are not counted."""
        name = f"whep {session_id[:6]}"
        self._ending = Ending(name, self._close)
        self._link = Link(
            name,
            parts.settings,
            Watch(
                connected=lambda: None,  # the outlet knows better when pictures may be sent
                gone=lambda reason: on_gone(self, reason),
                life_s=lambda: self._pace.unanswered_s or time.monotonic(),
                silence="no report of the viewer",
            ),
        )
        sender = self._link.add_video("sendonly", codec).sender
        listen(sender, self)
        self._outlet = Outlet(sender, self._join)
        hub.enter()

    @property
    def hub(self) -> Hub:
        """Of the camera that is watched."""
        return self._hub

    @property
    def closing(self) -> bool:
        """As a `Session`."""
        return self._ending.begun

    @property
    def bitrate_bps(self) -> int:
        """As a `Viewer`."""
        return self._pace.bitrate_bps

    async def answer(self, offer: Offer) -> str:
        """As a `Session`."""
        return await self._link.answer(offer)

    async def close(self, reason: ByeReason) -> None:
        """As a `Session`."""
        await self._ending.run(reason)

    async def take(self, coded: Coded) -> None:
        """As a `Viewer`."""
        if not self._pace.admits() or self._outlet.unsent_bytes > MAX_UNSENT_BYTES:
            self._waiting = True
            self.left_out += 1
            return
        if self._waiting and not coded.keyframe:
            self.left_out += bool(self.sent)
            self._keyframes.request()
        else:
            self._waiting = False
            self._pace.sent(await self._outlet.send(coded))
            self.sent += 1
        if self._keyframes.take():
            self._hub.request_keyframe(self.codec)

    def request_keyframe(self) -> None:
        """As an `RtcpListener`: asked for with the next picture."""
        self._keyframes.request()

    def estimate(self, bitrate_bps: int) -> None:
        """As an `RtcpListener`."""
        self._pace.estimate(bitrate_bps)
        self._hub.retarget(self.codec)

    def report(self, lost: float) -> None:
        """As an `RtcpListener`."""
        self._pace.report(lost)

    def _join(self) -> None:
        if not self.closing:
            self._hub.attach(self)

    async def _close(self, _reason: ByeReason) -> None:
        self._hub.detach(self)
        self._hub.leave()
        await self._link.close()


RETRY_AFTER_S = 10
"""When a refused viewer may try again: one that vanished is closed within ten seconds."""


class Viewers:
    """All who watch cameras of a server.

    `viewing`, `show_results_of` and `look_as` may be called before there is an event loop, and from any thread; all
    else on one loop. `close_all` is its end.

    Args:
        settings: time-outs, ICE servers.
        video: bitrates, codec.
        look: how pictures are drawn.
        limit: viewers of all cameras at once.
    """

    def __init__(self, settings: WebRtcSettings, video: VideoSettings, look: Look, limit: int) -> None:
        self.limit = limit
        self._parts = PlaybackParts(settings, video)
        self._look = look
        self._hubs: dict[str, Hub] = {}
        self._sessions: SessionTable[Playback] = SessionTable("whep")

    @property
    def count(self) -> int:
        """Viewers who hold a place, those still closing among them."""
        return len(self._sessions)

    def viewing(self, camera: str) -> Hub:
        """Where the pictures of a camera go; always the same until it is forgotten."""
        hub = self._hubs.get(camera)
        if hub is None:
            hub = self._hubs.setdefault(camera, Hub(camera, self._look, _no_result, self._parts.video))
        return hub

    def show_results_of(self, camera: str, newest: Callable[[], Result | None]) -> None:
        """Where the newest result of a camera is found; it is called for every picture that is drawn."""
        self.viewing(camera).show_results(newest)

    def look_as(self, look: Look) -> None:
        """Another look from the next pictures on: another model judges."""
        self._look = look
        for hub in list(self._hubs.values()):
            hub.draw_with(look)

    async def answer(self, camera: str, offer_sdp: str) -> Answer:
        """Opens a session for a viewer. Whether there is such a camera is the caller's to know.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) has no video to receive.
            CodecError: it has no codec that we have.
            CapacityError: too many watch, or the server is closing.
        """
        offer = read_offer(offer_sdp, h264=self._parts.video.h264, direction="recvonly")
        if self._sessions.closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if self.count >= self.limit:
            raise CapacityError(
                f"all {self.limit} places of viewers are taken; try again later, or raise monitoring.max_viewers",
                RETRY_AFTER_S,
            )
        hub = self.viewing(camera)
        session = Playback(secrets.token_urlsafe(16), offer.codec, hub, self._parts, self._sessions.gone)
        sdp = await self._sessions.open(session, offer)
        return Answer(session.session_id, sdp, etag=secrets.token_hex(8))

    async def close(self, camera: str, session_id: str) -> None:
        """Ends a viewer's session.

        Raises:
            NotFoundError: that camera has none of that id, or it is closing already.
        """
        session = self._sessions.running(session_id)
        if session.hub is not self._hubs.get(camera):
            raise NotFoundError("expected the id of a viewer of this camera, received another one")
        await self._sessions.end(session)

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


def _no_result() -> None:
    """Of a camera whose results nobody shows."""
