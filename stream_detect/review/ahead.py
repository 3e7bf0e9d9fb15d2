"""Work ahead: what gives items enters; the same items leave in order, made on a thread of their own."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_AHEAD = 2
"""Items ahead of the one in use: one waits, one is in the making."""


def ahead(items: Iterable[Item]) -> Generator[Item]:
    """The items, made while earlier ones are used; what their making raises is raised in its turn.

    Closed early (`contextlib.closing`), it waits for the item in the making and for the thread's end.

    Args:
        items: touched by the thread alone until this ends; a generator may itself be one that works ahead.
    """
    making = iter(items)
    end = object()
    pool = ThreadPoolExecutor(1, "review-ahead")
    try:
        coming = deque(pool.submit(next, making, end) for _ in range(_AHEAD))
        while (item := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, making, end))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)
