"""The live checks of a server: their places, who may open one, and which process takes it."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from stream_detect.analysis.challenge_control import ChallengeActions
from stream_detect.analysis.engine import Engine
from stream_detect.errors import CapacityError
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.storage.checks import CheckRecord
from stream_detect.types import Answer
from stream_detect.webrtc.live_check import Check, CheckIds, CheckParts, CheckSession, Client, Gone, printable
from stream_detect.webrtc.network import Network
from stream_detect.webrtc.offer import Offer, read_offer
from stream_detect.webrtc.results_channel import ByeReason, Introduction
from stream_detect.webrtc.session_table import SessionTable

_log = logging.getLogger(__name__)

RETRY_AFTER_S = 10
"""When a rejected peer may try again: a vanished session is closed within ten seconds."""


class RemoteChecks(Protocol):
    """Live checks in other processes."""

    def sessions(self, offer_sdp: str, client: Client, gone: Gone) -> Iterator[Check]:
        """Yields unanswered checks, one for each process that may accept it, the one with most free places first.

        Args:
            offer_sdp: the peer's offer.
            client: the client.
            gone: called when the check has ended in the other process.
        """
        ...


def _keep_no_record(_record: CheckRecord) -> None:
    """Used by a server without a database, as in tests."""


class CheckSessions:
    """All live checks of a server. Created and used on one event loop; end it with `close_all`.

    Args:
        engine: makes the analyses.
        settings: limits and time limits.
        video: bitrates and codec.
        about: the model, for the peers.
        network: addresses, ports, ICE servers; default: those of the settings.
        keep: stores the record of each ended check; called on the event loop, returns at once.
        remote: other processes that accept checks before this one does; default none.
    """

    def __init__(  # noqa: PLR0913 - what all checks of a server are made from
        self,
        engine: Engine,
        settings: WebRtcSettings,
        video: VideoSettings,
        about: Introduction,
        network: Network | None = None,
        *,
        keep: Callable[[CheckRecord], None] = _keep_no_record,
        remote: RemoteChecks | None = None,
    ) -> None:
        self._remote = remote
        self.limit = settings.max_sessions
        self._pool = ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, self.limit), thread_name_prefix="annotate")
        self._parts = CheckParts(engine, settings, video, about, self._pool, network or Network.of(settings), keep)
        self._sessions: SessionTable[Check] = SessionTable("check")

    @property
    def count(self) -> int:
        """Number of sessions that hold a place, including closing ones."""
        return len(self._sessions)

    def introduce(self, about: Introduction) -> None:
        """Announces a new model to all current and future peers."""
        self._parts = replace(self._parts, about=about)
        for session in self._sessions.all():
            session.introduce(about)

    async def answer(self, offer_sdp: str, client: Client | None = None, ids: CheckIds | None = None) -> Answer:
        """Opens a session for a peer.

        Args:
            offer_sdp: its offer.
            client: the client; default unknown.
            ids: ids of the check if another process has reserved a place; default new ones.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) contains no video to send and receive.
            CodecError: it contains no supported codec.
            CapacityError: all places are taken, or the server is closing.
        """
        offer = read_offer(offer_sdp, h264=self._parts.video.h264)
        self._expect_place()
        client = client or Client()
        client = replace(client, source_label=printable(client.source_label))
        for session in self._elsewhere(offer_sdp, client):
            try:
                return await self._opened(session, offer, client)
            except CapacityError as error:
                _log.info("check %s: %s; trying another process", session.session_id[:6], error)
                self._expect_place()  # an answer may take seconds
        session = CheckSession(ids or CheckIds.new(), offer.codec, client, self._parts, self._sessions.gone)
        return await self._opened(session, offer, client)

    def _expect_place(self) -> None:
        if self._sessions.closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if not self._sessions.make_room(self.limit):
            raise CapacityError(
                f"all {self.limit} sessions are in use; try again later, or raise webrtc.max_sessions", RETRY_AFTER_S
            )

    def _elsewhere(self, offer_sdp: str, client: Client) -> Iterable[Check]:
        """Other processes that may accept the check."""
        return () if self._remote is None else self._remote.sessions(offer_sdp, client, self._sessions.gone)

    async def _opened(self, session: Check, offer: Offer, client: Client) -> Answer:
        answer = Answer(session.session_id, await self._sessions.open(session, offer, client.address))
        if client.source_label:
            _log.info("check %s: the camera's name is %r", session.session_id[:6], client.source_label)
        return answer

    def challenge(self, session_id: str) -> ChallengeActions:
        """The challenge of a session. Thread-safe.

        Raises:
            NotFoundError: there is no session with that id, or it is closing.
        """
        return self._sessions.running(session_id).challenge

    def runs(self, session_id: str) -> bool:
        """Whether there is a session with that id that is not closing."""
        return self._sessions.runs(session_id)

    def connected(self) -> dict[str, bool]:
        """All sessions that hold a place, by id, and whether their peers have connected."""
        return {session.session_id: session.connected for session in self._sessions.all()}

    async def close(self, session_id: str, reason: ByeReason = "closed") -> None:
        """Ends a session.

        Args:
            session_id: id of the session.
            reason: the reason in `bye`.

        Raises:
            NotFoundError: there is no session with that id, or it is closing already.
        """
        await self._sessions.end(self._sessions.running(session_id), reason)

    def end_soon(self, session_id: str, reason: str, bye: ByeReason) -> None:
        """Ends a session soon, if it runs.

        Args:
            session_id: id of the session.
            reason: the reason in words.
            bye: the reason in `bye`.
        """
        if self.runs(session_id):
            self._sessions.gone(self._sessions.running(session_id), reason, bye)

    def end_all(self, reason: str) -> None:
        """Ends all sessions soon, for a reason in words; accepts new ones."""
        for session in self._sessions.all():
            self._sessions.gone(session, reason)

    async def close_all(self) -> None:
        """Ends all sessions at once, within five seconds, and accepts no more.

        Their records are stored before anything is awaited, because the store may be closing as well.
        """
        for session in self._sessions.all():
            session.keep_record()
        await self._sessions.close_all()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
