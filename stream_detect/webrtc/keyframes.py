"""Requests for keyframes enter, few enough grants for a line to bear leave."""

import time
from collections.abc import Callable


class KeyframeGate:
    """Grants keyframes no more often than every `interval_s`. A request in between is kept, not dropped.

    A peer under loss repeats its request with every broken frame, and a keyframe for each would cause more loss.
    Requests may come from any thread; grants are taken on one.

    Args:
        interval_s: least time between two grants.
        clock: monotonic seconds.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._requested = False
        self._granted_s: float | None = None

    def request(self) -> None:
        """The picture cannot be decoded without a keyframe."""
        self._requested = True

    def take(self) -> bool:
        """Whether a keyframe is due now; the request is then taken off."""
        if not self._requested:
            return False
        now_s = self._clock()
        if self._granted_s is not None and now_s - self._granted_s < self._interval_s:
            return False
        self._requested = False
        self._granted_s = now_s
        return True
