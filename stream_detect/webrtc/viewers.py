"""Viewers: WHEP offers enter, answers leave; how many may watch, and that all of them end."""

import asyncio
import secrets
from collections.abc import Callable

from stream_detect.errors import CapacityError, NotFoundError
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.types import Answer, Result
from stream_detect.webrtc.hub import Hub, Look
from stream_detect.webrtc.offer import read_offer
from stream_detect.webrtc.playback import Playback, PlaybackParts
from stream_detect.webrtc.session_table import SessionTable

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
