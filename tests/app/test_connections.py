"""Connections that send nothing or too little, or do not read, are closed; no client can take every place."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from uvicorn.server import ServerState

from stream_detect.api.middleware.authorization import PEER
from stream_detect.app.connections import ConnectionLimits, GuardedProtocol, HttpConnections, behind_proxies
from tests.patience import PATIENCE_S

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def _answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def _endless(_request: Request) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    return StreamingResponse(chunks())


class Served:
    """A server with these limits, on a free port."""

    def __init__(self, **limits: float) -> None:
        self.connections = HttpConnections(ConnectionLimits(**{"head_s": 60, **limits}))

    async def __aenter__(self) -> Self:
        application = Starlette(routes=[Route("/", _answer, methods=["GET", "POST"]), Route("/endless", _endless)])
        config = uvicorn.Config(application, log_config=None, ws="none", lifespan="off")
        config.load()
        state = ServerState()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: GuardedProtocol(self.connections, config, state, {}), "127.0.0.1", 0
        )
        self._writers: list[asyncio.StreamWriter] = []
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self.has(0)

    async def has(self, count: int) -> None:
        """Waits until this number of connections is open."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.connections) != count:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.001)

    async def connect(self, first: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.sockets[0].getsockname()[1])
        self._writers.append(writer)
        writer.write(first)
        return reader, writer


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Waits until the server has closed it without a response."""
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionError):  # a reset, or a broken pipe if data were in flight
            assert await reader.read() == b""
    return True


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    return head.partition(b"\r\n")[0]


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nX-"])
async def test_a_header_that_does_not_come_closes_the_connection(first):
    async with Served(head_s=0.1) as server:
        reader, _ = await server.connect(first)
        assert await is_closed(reader)


async def test_half_a_header_after_an_answer_closes_it_too():
    async with Served(head_s=1.0) as server:
        reader, writer = await server.connect(HEAD)
        assert await answer(reader) == b"HTTP/1.1 200 OK"
        writer.write(b"GET")
        assert await is_closed(reader)


async def test_a_trickling_body_closes_it():
    async with Served(body_every_s=0.1, body_bytes=100) as server:
        reader, writer = await server.connect(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)  # the slow sender
        assert await is_closed(reader)


async def test_a_slow_but_steady_body_is_accepted(monkeypatch):
    checks, check = [], GuardedProtocol._check_body
    monkeypatch.setattr(GuardedProtocol, "_check_body", lambda one: checks.append(check(one)))
    async with Served(body_every_s=0.1, body_bytes=100) as server:
        reader, writer = await server.connect(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        while len(checks) < 4:
            writer.write(b"64\r\n" + b"x" * 100 + b"\r\n")
            await asyncio.sleep(0)  # the server, on the same loop, reads it
        writer.write(b"0\r\n\r\n")
        assert await answer(reader) == b"HTTP/1.1 200 OK"


async def test_who_reads_nothing_of_an_endless_answer_is_closed():
    async with Served(unread_s=0.1) as server:
        await server.connect(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        await server.has(1)
        await server.has(0)


async def test_many_waiting_connections_do_not_block_others():
    async with Served(connections=20, per_client=10) as server:
        idle = [await server.connect() for _ in range(50)]
        reader, _ = await server.connect(HEAD)
        assert await answer(reader) == b"HTTP/1.1 200 OK"
        assert len(server.connections) <= 10
        assert await is_closed(idle[0][0])


async def test_who_is_being_answered_is_not_closed_for_others():
    async with Served(connections=2, per_client=2) as server:
        endless = [await server.connect(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(2)]
        for reader, _ in endless:
            await reader.readexactly(1000)
        late, _ = await server.connect(HEAD)
        assert await is_closed(late)
        for reader, _ in endless:
            await reader.readexactly(1000)


async def test_an_exempt_proxy_may_have_all_places():
    async with Served(connections=6, per_client=2, exempt=("127.0.0.1",)) as server:
        readers = [(await server.connect(HEAD))[0] for _ in range(6)]
        for reader in readers:
            assert await answer(reader) == b"HTTP/1.1 200 OK"
        assert len(server.connections) == 6


@pytest.mark.parametrize(
    ("peer", "headers", "seen"),
    [
        ("192.0.2.7", {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}, "192.0.2.7 http 192.0.2.7"),
        ("10.0.0.1", {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}, "203.0.113.9 https 10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6, 203.0.113.9"}, "203.0.113.9 http 10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6, 203.0.113.9, 10.1.0.1"}, "203.0.113.9 http 10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-proto": "javascript"}, "10.0.0.1 http 10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-for": ""}, "10.0.0.1 http 10.0.0.1"),
        ("10.0.0.1", {"forwarded": "for=6.6.6.6;proto=https"}, "10.0.0.1 http 10.0.0.1"),
        ("10.0.0.1", {"x-forwarded-host": "evil.example", "x-real-ip": "6.6.6.6"}, "10.0.0.1 http 10.0.0.1"),
    ],
)
def test_what_a_proxy_says_counts_from_trusted_addresses_and_not_what_clients_add(
    peer: str, headers: dict[str, str], seen: str
) -> None:
    async def answer(request: Request) -> PlainTextResponse:
        assert request.client is not None
        assert request.url.netloc == "testserver"
        return PlainTextResponse(f"{request.client.host} {request.url.scheme} {request.scope[PEER]}")

    behind = behind_proxies(Starlette(routes=[Route("/", answer)]), ["10.0.0.0/8"])
    assert TestClient(behind, client=(peer, 50000)).get("/", headers=headers).text == seen
