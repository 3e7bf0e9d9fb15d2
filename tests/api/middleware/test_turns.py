"""A client with many requests does not delay the others; a request that waits for its client does not hold a turn."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from stream_detect.api.middleware.turns import FairTurns
from tests.patience import PATIENCE_S

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class House:
    """An application in which the test decides when each response starts."""

    def __init__(self, **limits: float) -> None:
        self.begun: list[str] = []
        self.sent: list[tuple[str, Message]] = []
        self._may_answer: dict[str, asyncio.Event] = {}
        self._bodies: dict[str, asyncio.Queue[Message]] = {}
        self._turns = FairTurns(self._answer, **{"turn_s": 60.0, **limits})
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["query_string"].decode()
        self.begun.append(name)
        while scope["method"] == "POST" and (await receive()).get("more_body"):
            pass
        await self._may_answer[name].wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/events":
            await asyncio.Event().wait()
        await send({"type": "http.response.body", "body": b""})

    def ask(self, name: str, address: str = "192.0.2.1", method: str = "GET", path: str = "/") -> asyncio.Task[None]:
        self._may_answer[name] = asyncio.Event()
        self._bodies[name] = asyncio.Queue()
        scope = {
            "type": "http", "method": method, "path": path, "query_string": name.encode(), "client": (address, 5)
        }  # fmt: skip

        async def send(message: Message) -> None:
            self.sent.append((name, message))

        self._tasks[name] = asyncio.create_task(self._turns(scope, self._bodies[name].get, send))
        return self._tasks[name]

    def body(self, name: str, *, more: bool) -> None:
        """Sends a part of a request's body."""
        self._bodies[name].put_nowait({"type": "http.request", "body": b"x", "more_body": more})

    def answer(self, name: str) -> None:
        """Starts a response, and ends the request unless it is a stream."""
        self._may_answer[name].set()

    async def has_begun(self, *names: str) -> None:
        """Waits until exactly these have started, in this order, and all others are waiting."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.begun) < len(names):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0)
        for _ in range(20):  # any other request that may start does so now
            await asyncio.sleep(0)
        assert self.begun == list(names)

    async def end(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        assert not self._turns._clients


@pytest.fixture
async def house():
    made = House(at_once=2)
    yield made
    await made.end()


async def test_requests_of_one_address_wait_for_each_other_in_order(house):
    for name in "abcd":
        house.ask(name)
    await house.has_begun("a", "b")
    house.answer("b")
    await house.has_begun("a", "b", "c")
    house.answer("a")
    await house.has_begun("a", "b", "c", "d")


async def test_another_address_does_not_wait(house):
    for name in "abcd":
        house.ask(name)
    house.ask("x", "192.0.2.2")
    await house.has_begun("a", "b", "x")


async def test_a_subscriber_of_ipv6_is_one_client(house):
    for number, name in enumerate("abc"):
        house.ask(name, f"2001:db8::{number}")
    house.ask("x", "2001:db8:0:1::")
    await house.has_begun("a", "b", "x")


async def test_probes_do_not_wait_for_a_turn(house):
    for name in "abc":
        house.ask(name)
    house.ask("probe", path="/healthz")
    await house.has_begun("a", "b", "probe")


async def test_streams_hold_no_turn(house):
    for name in "ab":
        house.ask(name, path="/events")
        house.answer(name)
    house.ask("c")
    await house.has_begun("a", "b", "c")


async def test_bodies_that_come_slowly_hold_no_turn_and_get_one_when_they_are_there(house):
    for name in "ab":
        house.ask(name, method="POST")
    await house.has_begun("a", "b")
    for name in "cd":
        house.ask(name)
    await house.has_begun("a", "b", "c", "d")
    house.body("a", more=False)
    house.answer("a")
    await house.has_begun("a", "b", "c", "d")
    assert not house.sent
    house.answer("c")
    await asyncio.wait_for(house._tasks["a"], PATIENCE_S)
    assert [name for name, message in house.sent if message["type"] == "http.response.start"] == ["c", "a"]


async def test_a_request_that_takes_long_lets_the_next_one_begin():
    house = House(at_once=1, turn_s=0.05)
    for name in "abc":
        house.ask(name)
    await house.has_begun("a", "b", "c")
    await house.end()


async def test_the_number_of_those_that_wait_is_limited():
    house = House(at_once=1, max_waiting=2)
    tasks = [house.ask(name) for name in "abcd"]
    await asyncio.wait_for(tasks[-1], PATIENCE_S)
    assert [(name, message["status"]) for name, message in house.sent if "status" in message] == [("d", 503)]
    headers = dict(house.sent[0][1]["headers"])
    assert headers[b"retry-after"] == b"5"
    await house.has_begun("a")
    await house.end()


async def test_a_cancelled_request_gives_its_place_to_the_next(house):
    tasks = {name: house.ask(name) for name in "abcd"}
    await house.has_begun("a", "b")
    tasks["c"].cancel()
    tasks["a"].cancel()
    await house.has_begun("a", "b", "d")
