"""Sessions by their ids: sessions enter as they are opened; that all of them end, each once, is kept here."""

import asyncio
import ctypes
import gc
import logging
import platform
from typing import Generic, Protocol, TypeVar

from stream_detect.errors import NotFoundError
from stream_detect.webrtc.offer import Offer
from stream_detect.webrtc.results_channel import ByeReason


class Session(Protocol):
    """One peer, from offer to end. Lives on the event loop."""

    @property
    def session_id(self) -> str:
        """Unguessable."""
        ...

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        ...

    async def answer(self, offer: Offer) -> str:
        """The answer to the peer's offer."""
        ...

    async def close(self, reason: ByeReason) -> None:
        """Ends within a bounded time; called again, waits for the same end."""
        ...


S = TypeVar("S", bound=Session)

_log = logging.getLogger(__name__)


class SessionTable(Generic[S]):
    """All live sessions of one kind. Made and used on one event loop; `close_all` is its end.

    Args:
        kind: for the log.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._sessions: dict[str, S] = {}
        self._ends: set[asyncio.Task[None]] = set()
        self.closed = False
        """Whether `close_all` was called."""

    def __len__(self) -> int:
        return len(self._sessions)

    def all(self) -> list[S]:
        """Sessions that hold a place, those still closing among them."""
        return list(self._sessions.values())

    async def open(self, session: S, offer: Offer) -> str:
        """Gives a session its place and answers its peer; whatever goes wrong gives the place back.

        Raises:
            OfferError: it cannot be answered.
        """
        self._sessions[session.session_id] = session
        try:
            sdp = await session.answer(offer)
        except BaseException:  # a request that is cancelled must give back its place too
            self._end_later(session, "closed")
            raise
        _log.info("%s %s: answered in %s", self._kind, session.session_id[:6], offer.codec)
        return sdp

    def running(self, session_id: str) -> S:
        """A session that is not closing.

        Raises:
            NotFoundError: there is none of that id.
        """
        session = self._sessions.get(session_id)
        if session is None or session.closing:
            raise NotFoundError("expected the id of a running session, received another one; it may have ended already")
        return session

    async def end(self, session: S, reason: ByeReason = "closed") -> None:
        """Ends a session and takes it off."""
        try:
            await session.close(reason)
        finally:
            self._sessions.pop(session.session_id, None)
        if not self.closed:
            del session
            await asyncio.to_thread(give_back)

    def gone(self, session: S, reason: str) -> None:
        """The peer of a session has gone, for a reason in words: it is ended soon."""
        if not session.closing:
            _log.info("%s %s: %s", self._kind, session.session_id[:6], reason)
            self._end_later(session, "closed")

    async def close_all(self) -> None:
        """Ends all sessions at once, each within its bound."""
        self.closed = True
        ends = [self.end(session, "server_shutdown") for session in self.all()]
        await asyncio.gather(*ends, *self._ends)

    def _end_later(self, session: S, reason: ByeReason) -> None:
        task = asyncio.get_running_loop().create_task(self.end(session, reason))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)


def give_back() -> None:
    """Collects what only reference cycles hold (aiortc's connections do), and returns free pages; some 10 ms."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
