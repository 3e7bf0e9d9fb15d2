"""How long tests wait for what must come: far longer than a busy machine takes, as only a test that fails waits for it.

A bound on time tells what works from what hangs or went another way; how fast something is, the benchmarks say.
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
    """What is done within ends. What it must not wait for lasts longer than PATIENCE_S."""
    began_s = time.monotonic()
    try:
        yield
    finally:
        took_s = time.monotonic() - began_s
        assert took_s < PATIENCE_S, f"it took {took_s:.0f} s, as what it must not wait for"


def until(look: Callable[[], T | None], within_s: float = PATIENCE_S, describe: Callable[[], object] = str) -> T:
    """What `look` finds, once it is something.

    Args:
        look: asked again and again.
        within_s: for so long.
        describe: what to show when nothing comes.
    """
    end_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < end_s, f"it did not come within {within_s:g} s {describe()}"
        time.sleep(POLL_S)
    return found


def steady(look: Callable[[], T], for_s: float) -> T:
    """What `look` finds, once it has found the same for `for_s` seconds."""
    found, since_s = look(), time.monotonic()

    def is_steady() -> bool:
        nonlocal found, since_s
        if (now := look()) != found:
            found, since_s = now, time.monotonic()
        return time.monotonic() - since_s >= for_s

    until(is_steady)
    return found


async def soon(look: Callable[[], T | None], within_s: float = PATIENCE_S) -> T:
    """What `look` finds, once it is something; the event loop goes on meanwhile."""
    async with asyncio.timeout(within_s):
        while not (found := look()):  # noqa: ASYNC110 - whatever it is, there is no event for all of it
            await asyncio.sleep(POLL_S)
    return found
