"""Fair turns between clients: how many requests of one client address are processed at once."""

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_detect.access.networks import client_network
from stream_detect.api.middleware.problems import problem

AT_ONCE: Final = 8
"""Requests of one client address that are processed at the same time; browsers open six connections."""

MAX_WAITING: Final = 256
"""Requests of one client address that wait for their turn: as many as it may have connections."""

TURN_S: Final = 1.0
"""After this time, a request that waits for something else (a peer, a camera, the database) lets the next one start."""

RETRY_AFTER_S: Final = 5

PROBES: Final = frozenset({"/healthz"})
"""Paths that need no turn."""


class FairTurns:
    """ASGI middleware: processes a few requests of each client address at once, in the order in which they came.

    One client with many connections, each full of pipelined requests, would otherwise be the whole queue of the event
    loop, and every other request would wait for all of its requests several times. A request has its turn until its
    response begins, and for `TURN_S` at most; while it waits for its body it has none, so that slow uploads, event
    streams and downloads do not delay others. /healthz needs no turn, because a monitoring system may share its address
    with busy clients.

    Args:
        application: what is behind it.
        at_once: requests of one address that are processed at once.
        max_waiting: requests of one address that wait; further ones get 503.
        turn_s: longest turn.
    """

    def __init__(
        self,
        application: ASGIApp,
        at_once: int = AT_ONCE,
        max_waiting: int = MAX_WAITING,
        turn_s: float = TURN_S,
    ) -> None:
        self._application = application
        self._at_once = at_once
        self._max_waiting = max_waiting
        self._turn_s = turn_s
        self._clients: dict[str, _Client] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Processes a request in its turn."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._application(scope, receive, send)
            return
        address = client_network(scope["client"][0]) if scope.get("client") else ""
        client = self._clients.setdefault(address, _Client(self._at_once))
        if len(client.waiting) >= self._max_waiting:
            refusal = problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"expected at most {self._max_waiting} requests that wait, received another one; send fewer at once",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
            await refusal(scope, receive, send)
            return
        client.requests += 1
        turn = _Turn(client, self._turn_s)

        async def receive_between_turns() -> Message:
            turn.end()
            message = await receive()
            await turn.begin()
            return message

        async def send_after_turn(message: Message) -> None:
            turn.end(for_good=True)
            await send(message)

        try:
            await turn.begin()
            await self._application(scope, receive_between_turns, send_after_turn)
        finally:
            turn.end(for_good=True)
            client.requests -= 1
            if not client.requests:
                self._clients.pop(address, None)


class _Client:
    """The requests of one address. Lives on the event loop."""

    def __init__(self, free: int) -> None:
        self.requests = 0
        self.free = free
        self.waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Waits for a free place and takes it."""
        if self.free and not self.waiting:
            self.free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self.waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self.waiting.remove(place)
            else:
                self.give_back()
            raise

    def give_back(self) -> None:
        """Gives a place to the request that has waited longest."""
        while self.waiting:
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.free += 1


class _Turn:
    """The turn of one request."""

    def __init__(self, client: _Client, longest_s: float) -> None:
        self._client = client
        self._longest_s = longest_s
        self._timer: asyncio.TimerHandle | None = None  # while it has its turn
        self._over = False

    async def begin(self) -> None:
        """Waits for the turn, unless the response has begun."""
        if self._over or self._timer is not None:
            return
        await self._client.take()
        if self._over or self._timer is not None:  # while it waited
            self._client.give_back()
            return
        self._timer = asyncio.get_running_loop().call_later(self._longest_s, self.end)

    def end(self, *, for_good: bool = False) -> None:
        """Lets the next one begin.

        Args:
            for_good: the response begins, so that no other turn follows.
        """
        self._over = self._over or for_good
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._client.give_back()
