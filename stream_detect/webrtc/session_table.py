"""The sessions of one kind by their ids: assigns their places, and ends each session once.

A place is assigned permanently to a peer once it connects. When all places are taken, the session of a peer that has
not connected is ended for a new one.
"""

import asyncio
import ctypes
import gc
import logging
import platform
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from stream_detect.access.networks import client_network
from stream_detect.errors import CapacityError, NotFoundError
from stream_detect.webrtc.offer import Offer
from stream_detect.webrtc.peer_connection import PeerConnection
from stream_detect.webrtc.results_channel import ByeReason

GRACE_S = 3.0
"""A peer whose address has sent only one offer keeps its place for this time without connecting; a browser connects
within one second, with a relay within two."""

RETRY_AFTER_S = 2
"""When a peer may try again whose session ended while it was answered."""

RELEASE_S = 1.0
"""Minimum time between two releases of memory when many sessions end."""


class Session(Protocol):
    """One peer, from offer to end. Used on the event loop."""

    @property
    def session_id(self) -> str:
        """Unguessable id."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the peer has connected; stays True after it left."""
        ...

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        ...

    async def answer(self, offer: Offer) -> str:
        """The answer to the peer's offer."""
        ...

    async def close(self, reason: ByeReason) -> None:
        """Ends within a bounded time; further calls wait for the same end."""
        ...


S = TypeVar("S", bound=Session)

_log = logging.getLogger(__name__)


class SessionTable(Generic[S]):
    """All live sessions of one kind. Created and used on one event loop; end it with `close_all`.

    Args:
        kind: name for the log.
        clock: returns monotonic seconds.
    """

    def __init__(self, kind: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._kind = kind
        self._clock = clock
        self._sessions: dict[str, S] = {}
        self._answered: dict[str, tuple[str, float]] = {}  # by session id: the client's network, and the time
        self._leaving: set[str] = set()
        self._ends: set[asyncio.Task[None]] = set()
        self._releasing = self._release_again = False
        self.closed = False
        """Whether `close_all` was called."""

    def __len__(self) -> int:
        return len(self._sessions)

    def all(self) -> list[S]:
        """Sessions that hold a place, including closing ones."""
        return list(self._sessions.values())

    def make_room(self, limit: int, among: Sequence[S] | None = None) -> bool:
        """Whether there is a place for another session; one whose peer has not connected may be ended for it.

        Of the answered ones, the oldest of the address with most of them is ended first, at once; an address with only
        one keeps it for GRACE_S.

        Args:
            limit: maximum number of sessions.
            among: sessions that share these places; default all.
        """
        sessions = self.all() if among is None else among
        holding = [session for session in sessions if session.connected or not self._is_leaving(session)]
        if len(holding) < limit:
            return True
        waiting = [s for s in holding if not s.connected and s.session_id in self._answered]
        counts = Counter(self._answered[session.session_id][0] for session in waiting)

        def rank(session: S) -> tuple[int, float]:
            network, since_s = self._answered[session.session_id]
            return -counts[network], since_s

        for session in sorted(waiting, key=rank):
            network, since_s = self._answered[session.session_id]
            if counts[network] > 1 or self._clock() - since_s > GRACE_S:
                self.gone(session, "it has not connected, and another peer asks for its place")
                return True
        return False

    async def open(self, session: S, offer: Offer, client: str = "") -> str:
        """Reserves a place for a session and answers its peer; after any error the place is released.

        Args:
            session: an unanswered session.
            offer: offer of the peer.
            client: its IP address.

        Raises:
            OfferError: it cannot be answered.
            CapacityError: it was ended meanwhile, because the server closes or the connection took too long.
        """
        self._sessions[session.session_id] = session
        try:
            sdp = await session.answer(offer)
        except BaseException as error:  # a cancelled request must release its place too
            ended = self._is_leaving(session) and isinstance(error, Exception | asyncio.CancelledError)
            self._end_later(session, "closed")
            if ended and not _is_cancelled():  # then it has failed because its connection was closed
                raise _ended_early() from error
            raise
        if self._is_leaving(session):
            raise _ended_early()
        self._answered[session.session_id] = client_network(client), self._clock()
        _log.info("%s %s: answered in %s", self._kind, session.session_id[:6], offer.codec)
        return sdp

    def runs(self, session_id: str) -> bool:
        """Whether there is a session with that id that is not closing."""
        session = self._sessions.get(session_id)
        return session is not None and not session.closing

    def running(self, session_id: str) -> S:
        """Returns a session that is not closing.

        Raises:
            NotFoundError: there is no session with that id.
        """
        session = self._sessions.get(session_id)
        if session is None or session.closing:
            raise NotFoundError("expected the id of a running session, received an unknown id; it may have ended")
        return session

    async def end(self, session: S, reason: ByeReason = "closed") -> None:
        """Ends a session and releases its place."""
        try:
            await session.close(reason)
        finally:
            self._sessions.pop(session.session_id, None)
            self._answered.pop(session.session_id, None)
            self._leaving.discard(session.session_id)
        del session
        await self._release()

    def gone(self, session: S, reason: str, bye: ByeReason = "closed") -> None:
        """Called when the peer of a session is gone, with the reason in words: the session is ended soon."""
        if not self._is_leaving(session):
            _log.info("%s %s: %s", self._kind, session.session_id[:6], reason)
            self._end_later(session, bye)

    async def close_all(self) -> None:
        """Ends all sessions in parallel, each within its time limit; one that fails is logged and keeps no other."""
        self.closed = True
        ends = [self.end(session, "server_shutdown") for session in self.all()]
        for outcome in await asyncio.gather(*ends, *self._ends, return_exceptions=True):
            if isinstance(outcome, Exception):
                _log.error("%s: a session did not end cleanly", self._kind, exc_info=outcome)

    def _is_leaving(self, session: S) -> bool:
        return session.closing or session.session_id in self._leaving

    async def _release(self) -> None:
        """Releases memory; sessions that end in quick succession share one release per second."""
        self._release_again = True
        if self._releasing:
            return
        self._releasing = True
        try:
            while self._release_again and not self.closed:
                self._release_again = False
                await asyncio.to_thread(release_memory)
                if self._release_again:
                    await asyncio.sleep(RELEASE_S)
        finally:
            self._releasing = False

    def _end_later(self, session: S, reason: ByeReason) -> None:
        self._leaving.add(session.session_id)
        task = asyncio.get_running_loop().create_task(self.end(session, reason))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)


def _is_cancelled() -> bool:
    """Whether the current task is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _ended_early() -> CapacityError:
    return CapacityError("the session was ended while it was answered; try again", RETRY_AFTER_S)


class CameraSession(Session, Protocol):
    """A peer that watches a camera, or publishes to one."""

    @property
    def connection(self) -> PeerConnection:
        """Connection to the peer."""
        ...


C = TypeVar("C", bound=CameraSession)


class CameraSessions(ABC, Generic[C]):
    """Common part of the viewers and the publishers of cameras. Used on the event loop.

    Args:
        sessions: sessions of all cameras.
    """

    def __init__(self, sessions: SessionTable[C]) -> None:
        self._sessions = sessions

    @abstractmethod
    def _running(self, camera: str, session_id: str) -> C:
        """Returns a session of that camera that is not closing.

        Raises:
            NotFoundError: that camera has no session with that id.
        """

    def runs(self, session_id: str) -> bool:
        """Whether there is a session with that id that is not closing."""
        return self._sessions.runs(session_id)

    def ids(self) -> frozenset[str]:
        """Ids of the sessions that hold a place, including closing ones."""
        return frozenset(session.session_id for session in self._sessions.all())

    async def close(self, camera: str, session_id: str) -> None:
        """Ends a session.

        Raises:
            NotFoundError: that camera has no session with that id, or it is closing already.
        """
        await self._sessions.end(self._running(camera, session_id))

    async def add_candidates(self, camera: str, session_id: str, fragment: str, etag: str | None = None) -> None:
        """Adds candidates that a peer sends after its offer.

        Args:
            camera: name of the camera.
            session_id: id of the peer's session.
            fragment: fragment of a session description (RFC 8840).
            etag: ETag of their ICE session; None for any.

        Raises:
            NotFoundError: that camera has no session with that id, or it is closing already.
            PreconditionError: its ICE session is another one.
            OfferError: the fragment is malformed.
            SignalingError: it requests an ICE restart.
        """
        await self._running(camera, session_id).connection.add_candidates(fragment, etag)


def release_memory() -> None:
    """Collects reference cycles (aiortc's connections form some) and returns free pages to the system; some 10 ms."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
