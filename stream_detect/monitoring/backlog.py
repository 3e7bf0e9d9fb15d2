"""Backlog: what waits to be written enters from any thread, and leaves in its order on one."""

from collections import deque
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Backlog(Generic[Item]):
    """A bounded queue whose items can be given back when they could not be written.

    Drop policy: when it is full the oldest item goes, and is counted.

    Args:
        limit: items that it holds.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._items: deque[Item] = deque()
        self._dropped = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._items)

    @property
    def dropped(self) -> int:
        """Items that were dropped so far."""
        with self._lock:
            return self._dropped

    def put(self, items: Iterable[Item]) -> None:
        """Appends them."""
        with self._lock:
            self._items.extend(items)
            self._shorten()

    def take(self, count: int = 1) -> list[Item]:
        """The oldest ones, at most `count`; empty when nothing waits."""
        with self._lock:
            return [self._items.popleft() for _ in range(min(count, len(self._items)))]

    def give_back(self, items: Sequence[Item]) -> None:
        """Puts what was taken in front again."""
        with self._lock:
            self._items.extendleft(reversed(items))
            self._shorten()

    def _shorten(self) -> None:
        while len(self._items) > self._limit:
            self._items.popleft()
            self._dropped += 1
