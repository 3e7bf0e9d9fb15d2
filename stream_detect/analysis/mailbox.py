"""Mailbox: sampled frames enter from one thread, the newest of them leaves on another."""

from threading import Condition
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """One slot between two threads.

    Drop policy: the newest item wins; an item that nobody took is replaced and counted. Nothing waits to put.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._item: Item | None = None
        self._replaced = 0
        self._closed = False

    @property
    def replaced(self) -> int:
        """Items that were replaced by newer ones before they were taken, so far."""
        with self._changed:
            return self._replaced

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        with self._changed:
            return self._closed

    def put(self, item: Item) -> None:
        """Leaves an item in the slot, in place of the one there; after `close` it is dropped."""
        with self._changed:
            if self._closed:
                return
            if self._item is not None:
                self._replaced += 1
            self._item = item
            self._changed.notify()

    def take(self) -> Item | None:
        """Waits for an item and empties the slot; None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Empties the slot and wakes whoever waits; may be called again."""
        with self._changed:
            self._closed = True
            self._item = None
            self._changed.notify_all()
