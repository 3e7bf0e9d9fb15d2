"""Runs blocking calls on daemon threads, off the event loop.

It uses no pool, because the exit of the process waits for pools, and a socket can take too long for that. The caller
limits how many calls run at once.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def off_loop(call: Callable[[], T], name: str) -> "asyncio.Future[T]":
    """Runs `call` on a thread, from now on, while the event loop continues.

    Args:
        call: blocking function.
        name: name of the thread.

    Returns:
        The result to wait for. If the wait is cancelled, the call goes on, and its result is dropped.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type] # None only together with an error
        else:
            outcome.set_exception(error)

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as raised:  # noqa: BLE001 - the thread's edge: it is raised again where it is awaited
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
