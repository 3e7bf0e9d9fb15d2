"""Check sessions: offers enter, answers leave; how many there may be, and that all of them end."""

import asyncio
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from stream_detect.analysis.engine import Engine
from stream_detect.errors import CapacityError
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.types import Answer
from stream_detect.webrtc.check import CheckSession, SessionParts
from stream_detect.webrtc.messages import Introduction
from stream_detect.webrtc.offer import read_offer
from stream_detect.webrtc.session_table import SessionTable

RETRY_AFTER_S = 10
"""When a refused peer may try again: a session that vanished is closed within ten seconds."""


class CheckSessions:
    """All live checks of a server. Made and used on one event loop; `close_all` is its end.

    Args:
        engine: analyses.
        settings: limits, time-outs, ICE servers.
        video: bitrates, codec.
        about: the model that judges, for the peers.
    """

    def __init__(self, engine: Engine, settings: WebRtcSettings, video: VideoSettings, about: Introduction) -> None:
        self.limit = settings.max_sessions
        self._pool = ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, self.limit), thread_name_prefix="annotate")
        self._parts = SessionParts(engine, settings, video, about, self._pool)
        self._sessions: SessionTable[CheckSession] = SessionTable("check")

    @property
    def count(self) -> int:
        """Sessions that hold a place, those still closing among them."""
        return len(self._sessions)

    def introduce(self, about: Introduction) -> None:
        """Tells all peers, and those to come, that another model judges."""
        self._parts = replace(self._parts, about=about)
        for session in self._sessions.all():
            session.introduce(about)

    async def answer(self, offer_sdp: str) -> Answer:
        """Opens a session for a peer.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) has no video to send and receive.
            CodecError: it has no codec that we have.
            CapacityError: all places are taken, or the server is closing.
        """
        offer = read_offer(offer_sdp, h264=self._parts.video.h264)
        if self._sessions.closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if self.count >= self.limit:
            raise CapacityError(
                f"all {self.limit} sessions are taken; try again later, or raise webrtc.max_sessions", RETRY_AFTER_S
            )
        session = CheckSession(secrets.token_urlsafe(16), offer.codec, self._parts, self._sessions.gone)
        return Answer(session.session_id, await self._sessions.open(session, offer))

    async def close(self, session_id: str) -> None:
        """Ends a session.

        Raises:
            NotFoundError: there is none of that id, or it is closing already.
        """
        await self._sessions.end(self._sessions.running(session_id))

    async def close_all(self) -> None:
        """Ends all sessions at once, within five seconds, and takes no more."""
        await self._sessions.close_all()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
