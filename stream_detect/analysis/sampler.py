"""The sampler, which selects the frames of a stream to analyse, and the mailbox that passes on the newest of them."""

import math
from threading import Condition
from typing import Generic, TypeVar

TOLERANCE = 0.01
"""Share of a period by which a frame may be early: presentation timestamps are rounded to ticks of their clock."""


class Sampler:
    """Picks frames at an average rate by stream time.

    Due times lie on a grid, so the rate does not depend on the frame rate: 10 Hz from 15 fps takes two of three frames.
    The grid restarts after a pause or a jump of more than a period, forwards or backwards; missed samples are not made
    up for. Of a stream slower than the rate every frame is taken.

    Args:
        rate_hz: samples per second of stream time, above 0.
    """

    def __init__(self, rate_hz: float) -> None:
        if not rate_hz > 0:
            raise ValueError(f"expected a rate_hz above 0, received {rate_hz}")
        self._period_s = 1.0 / rate_hz
        self._due_s = -math.inf

    def wants(self, time_s: float) -> bool:
        """Whether the frame at this stream time is to be sampled; call once per frame, in order of arrival."""
        early_s = self._due_s - time_s
        if early_s > 2 * self._period_s or early_s <= -self._period_s:
            self._due_s = time_s + self._period_s
            return True
        if early_s > TOLERANCE * self._period_s:
            return False
        self._due_s += self._period_s
        return True


Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """One slot between two threads.

    Drop policy: the newest item wins; an item that was not taken is replaced and counted. `put` never waits.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._item: Item | None = None
        self._replaced = 0
        self._closed = False

    @property
    def replaced(self) -> int:
        """Number of items that were replaced before they were taken."""
        with self._changed:
            return self._replaced

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        with self._changed:
            return self._closed

    def put(self, item: Item) -> None:
        """Puts an item into the slot, replacing the one there; after `close` it is dropped."""
        with self._changed:
            if self._closed:
                return
            if self._item is not None:
                self._replaced += 1
            self._item = item
            self._changed.notify()

    def take(self, timeout_s: float | None = None) -> Item | None:
        """Waits for an item and removes it from the slot; None once the mailbox is closed, or after the time limit.

        Args:
            timeout_s: time limit; None for no limit.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Empties the slot and wakes any waiting thread; may be called again."""
        with self._changed:
            self._closed = True
            self._item = None
            self._changed.notify_all()
