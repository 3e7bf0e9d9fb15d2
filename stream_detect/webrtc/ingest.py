"""Publishers: WHIP offers enter, answers leave; one a camera, and all of them end."""

import secrets

from stream_detect.errors import CapacityError, ConflictError, NotFoundError
from stream_detect.settings import WebRtcSettings
from stream_detect.types import Answer
from stream_detect.webrtc.offer import read_offer
from stream_detect.webrtc.publishing import PublisherSink, Publishing
from stream_detect.webrtc.session_table import SessionTable

RETRY_AFTER_S = 10
"""When to try again while the server restarts."""


class Publishers:
    """All who publish to cameras of a server. Used on one event loop; `close_all` is its end.

    Args:
        settings: time-outs, ICE servers, bitrate asked of publishers.
    """

    def __init__(self, settings: WebRtcSettings) -> None:
        self._settings = settings
        self._sessions: SessionTable[Publishing] = SessionTable("whip")

    @property
    def count(self) -> int:
        """Publishers who hold their camera, those still closing among them."""
        return len(self._sessions)

    async def answer(self, camera: str, offer_sdp: str, sink: PublisherSink) -> Answer:
        """Opens a session for a publisher.

        Args:
            camera: its name.
            offer_sdp: the offer.
            sink: where the pictures go; `publisher_left` is called at the end, whatever ends it.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) has no video to send.
            CodecError: it has no codec that we have.
            ConflictError: another publisher is there.
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
        session = Publishing(camera, offer.codec, sink, self._settings, self._sessions.gone)
        sdp = await self._sessions.open(session, offer)
        return Answer(session.session_id, sdp, etag=secrets.token_hex(8))

    async def close(self, camera: str, session_id: str) -> None:
        """Ends a publisher's session.

        Raises:
            NotFoundError: that camera has none of that id, or it is closing already.
        """
        session = self._sessions.running(session_id)
        if session.camera != camera:
            raise NotFoundError("expected the id of this camera's publisher, received another one")
        await self._sessions.end(session)

    async def forget(self, camera: str) -> None:
        """Ends the publisher, if there is one, of a camera that is no more."""
        session = self._publisher_of(camera)
        if session is not None:
            await self._sessions.end(session)

    async def close_all(self) -> None:
        """Ends all sessions at once, within five seconds, and takes no more."""
        await self._sessions.close_all()

    def _publisher_of(self, camera: str) -> Publishing | None:
        return next((s for s in self._sessions.all() if s.camera == camera and not s.closing), None)
