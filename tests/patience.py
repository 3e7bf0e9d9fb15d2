"""Time limits of waits in tests: far more than a busy machine needs, because only failing tests reach them.

A time limit distinguishes what works from what hangs; the benchmarks measure speed.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

PATIENCE_S = 60.0
POLL_S = 0.01

T = TypeVar("T")


@contextmanager
def in_time() -> Iterator[None]:
    """Checks that the block ends in time. Anything that it must not wait for takes longer than PATIENCE_S."""
    began_s = time.monotonic()
    try:
        yield
    finally:
        took_s = time.monotonic() - began_s
        assert took_s < PATIENCE_S, f"it took {took_s:.0f} s, as what it must not wait for"


def until(look: Callable[[], T | None], within_s: float = PATIENCE_S, describe: Callable[[], object] = str) -> T:
    """Waits until `look` returns something true, and returns it.

    Args:
        look: called repeatedly.
        within_s: time limit.
        describe: returns the message of the failure.
    """
    end_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < end_s, f"it did not come within {within_s:g} s {describe()}"
        time.sleep(POLL_S)
    return found


def steady(look: Callable[[], T], for_s: float) -> T:
    """Waits until `look` has returned the same value for `for_s` seconds, and returns it."""
    found, since_s = look(), time.monotonic()

    def is_steady() -> bool:
        nonlocal found, since_s
        if (now := look()) != found:
            found, since_s = now, time.monotonic()
        return time.monotonic() - since_s >= for_s

    until(is_steady)
    return found


async def soon(look: Callable[[], T | None], within_s: float = PATIENCE_S) -> T:
    """Waits until `look` returns something true, and returns it, without blocking the event loop."""
    async with asyncio.timeout(within_s):
        while not (found := look()):  # noqa: ASYNC110 - whatever it is, there is no event for all of it
            await asyncio.sleep(POLL_S)
    return found
