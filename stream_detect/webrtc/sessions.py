"""Check sessions: offers enter, answers leave; how many there may be, and that all of them end."""

import asyncio
import logging
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from stream_detect.analysis.engine import Engine
from stream_detect.errors import CapacityError, NotFoundError
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.types import Answer
from stream_detect.webrtc import memory
from stream_detect.webrtc.check import CheckSession, SessionParts
from stream_detect.webrtc.messages import ByeReason, Introduction
from stream_detect.webrtc.offer import read_offer

RETRY_AFTER_S = 10
"""When a refused peer may try again: a session that vanished is closed within ten seconds."""

_log = logging.getLogger(__name__)


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
        self._sessions: dict[str, CheckSession] = {}
        self._ends: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def count(self) -> int:
        """Sessions that hold a place, those still closing among them."""
        return len(self._sessions)

    def introduce(self, about: Introduction) -> None:
        """Tells all peers, and those to come, that another model judges."""
        self._parts = replace(self._parts, about=about)
        for session in self._sessions.values():
            session.introduce(about)

    async def answer(self, offer_sdp: str) -> Answer:
        """Opens a session for a peer.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) has no video to send and receive.
            CodecError: it has no codec that we have.
            CapacityError: all places are taken, or the server is closing.
        """
        offer = read_offer(offer_sdp, h264=self._parts.video.h264)
        if self._closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if self.count >= self.limit:
            raise CapacityError(
                f"all {self.limit} sessions are taken; try again later, or raise webrtc.max_sessions", RETRY_AFTER_S
            )
        session = CheckSession(secrets.token_urlsafe(16), offer.codec, self._parts, self._on_gone)
        self._sessions[session.session_id] = session
        try:
            sdp = await session.answer(offer)
        except BaseException:  # a request that is cancelled must give back its place too
            self._end_later(session, "closed")
            raise
        _log.info("session %s: answered in %s, %d of %d", session.session_id[:6], offer.codec, self.count, self.limit)
        return Answer(session.session_id, sdp)

    async def close(self, session_id: str) -> None:
        """Ends a session.

        Raises:
            NotFoundError: there is none of that id, or it is closing already.
        """
        session = self._sessions.get(session_id)
        if session is None or session.closing:
            raise NotFoundError("expected the id of a running session, received another one; it may have ended already")
        await self._end(session, "closed")

    async def close_all(self) -> None:
        """Ends all sessions at once, within five seconds, and takes no more."""
        self._closed = True
        ends = [self._end(session, "server_shutdown") for session in list(self._sessions.values())]
        await asyncio.gather(*ends, *self._ends)
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    def _on_gone(self, session: CheckSession, reason: str) -> None:
        if not session.closing:
            _log.info("session %s: %s", session.session_id[:6], reason)
            self._end_later(session, "closed")

    def _end_later(self, session: CheckSession, reason: ByeReason) -> None:
        task = asyncio.get_running_loop().create_task(self._end(session, reason))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _end(self, session: CheckSession, reason: ByeReason) -> None:
        try:
            await session.close(reason)
        finally:
            self._sessions.pop(session.session_id, None)
        if not self._closed:
            del session
            await asyncio.to_thread(memory.give_back)
