"""Limits on HTTP connections: their time and their number."""

import asyncio
import logging
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from stream_detect.api.middleware.authorization import PEER

HANDSHAKE_S: Final = 10.0
HEAD_S: Final = 10.0
BODY_EVERY_S: Final = 20.0
BODY_BYTES: Final = 20_000
UNREAD_S: Final = 60.0
MAX_CONNECTIONS: Final = 512

_LOG_EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of connections.

    Args:
        connections: connections of all clients at once.
        per_client: connections of one address at once: half of all, so that one client cannot take every place even
            with endless requests.
        exempt: addresses of reverse proxies with many clients; only the total limit applies to them.
        head_s: time limit of a request's header, from the connection or the end of the previous response.
        body_every_s: a body must send `body_bytes` within this time (1 kB/s), unless the server stops reading.
        body_bytes: see `body_every_s`.
        unread_s: time limit of a response that the client does not read, once the buffers are full.
    """

    connections: int = MAX_CONNECTIONS
    per_client: int = MAX_CONNECTIONS // 2
    exempt: Container[str] = ()
    head_s: float = HEAD_S
    body_every_s: float = BODY_EVERY_S
    body_bytes: int = BODY_BYTES
    unread_s: float = UNREAD_S


class HttpConnections:
    """All open connections. Used on the event loop.

    If there are too many, the client with most connections loses the one that has been idle longest; if none of its
    connections is idle, the new one is closed.

    Args:
        limits: the limits.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._clients: dict[GuardedProtocol, str] = {}  # in order of arrival
        self._counts: Counter[str] = Counter()
        self._logged_s = float("-inf")

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, connection: "GuardedProtocol", client: str) -> None:
        """A client connected; closes a connection if there are too many."""
        self._clients[connection] = client
        self._counts[client] += 1
        if client not in self.limits.exempt and self._counts[client] > self.limits.per_client:
            self._close_one_of(client, connection)
        elif len(self._clients) > self.limits.connections:
            greediest, _ = self._counts.most_common(1)[0]
            self._close_one_of(greediest, connection)

    def discard(self, connection: "GuardedProtocol") -> None:
        """A connection was closed."""
        client = self._clients.pop(connection, None)
        if client is not None:
            self._counts[client] -= 1
            if not self._counts[client]:
                del self._counts[client]

    def _close_one_of(self, client: str, new: "GuardedProtocol") -> None:
        waiting = (one for one, its in self._clients.items() if its == client and one.waits and one is not new)
        closed = next(waiting, new)
        self.discard(closed)
        closed.transport.abort()
        now_s = closed.loop.time()
        if now_s - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = now_s
            _log.warning("too many connections: %s has the most; its waiting connections are closed", client)


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with limits. Closes a connection that exceeds one.

    Args:
        connections: counts the connections.
        config: config of the server.
        state: state of the server.
        app_state: state of the application.
    """

    def __init__(
        self, connections: HttpConnections, config: Config, state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, state, app_state)
        self._all = connections
        self._limits = connections.limits
        self._phase: object = None  # h11's client state for which a timer is running
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._received = 0

    @property
    def waits(self) -> bool:
        """Whether no request is in progress."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._watch()
        self._all.add(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._all.discard(self)
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._received += len(data)
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`: the client does not read what it is sent."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self._limits.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _watch(self) -> None:
        """Starts the timer for what the client has to send now, once per header and body."""
        phase = self.conn.their_state
        if self.transport.is_closing() or phase is self._phase:
            return
        self._phase = phase
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if phase is h11.IDLE:
            self._timer = self.loop.call_later(self._limits.head_s, self.transport.abort)
        elif phase is h11.SEND_BODY:
            self._expect_body()

    def _expect_body(self) -> None:
        self._received = 0
        self._timer = self.loop.call_later(self._limits.body_every_s, self._check_body)

    def _check_body(self) -> None:
        if self._received < self._limits.body_bytes and not self.flow.read_paused:
            self.transport.abort()
        else:
            self._expect_body()

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._unread):
            if timer is not None:
                timer.cancel()
        self._timer = self._unread = None


def behind_proxies(application: ASGIApp, proxies: Sequence[str]) -> ASGIApp:
    """Wraps an application so that it trusts X-Forwarded-For and X-Forwarded-Proto of some proxies.

    The address of the connection stays in the scope, because other headers of a proxy are trusted by that address.

    Args:
        application: the application.
        proxies: addresses and networks.
    """
    inner = ProxyHeadersMiddleware(cast("Any", application), trusted_hosts=list(proxies)) if proxies else application

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("client"):
            scope[PEER] = scope["client"][0]
        await cast("ASGIApp", inner)(scope, receive, send)

    return noting
