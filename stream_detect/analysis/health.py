"""Health: the outcome of each stream's newest analysis enters, why no stream can be judged leaves."""

import time
from collections.abc import Callable
from threading import Lock

REMEMBER_S = 60.0
"""How long a failure is believed after its stream ended. Believed for ever, it could keep a load balancer from sending
the very stream that would show that all is well again."""


class Health:
    """Shared by all streams; safe from any thread.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._streams: dict[object, str | None] = {}
        self._remembered: str | None = None
        self._remembered_s = 0.0

    @property
    def failing(self) -> str | None:
        """Why no stream can be judged; None when one was, or when nothing is known to be wrong."""
        with self._lock:
            if self._streams:
                messages = list(self._streams.values())
                return None if None in messages else messages[0]
            if self._clock() - self._remembered_s > REMEMBER_S:
                self._remembered = None
            return self._remembered

    def record(self, stream: object, error: str | None) -> None:
        """Notes the outcome of a stream's newest analysis: its error, or None when it succeeded."""
        with self._lock:
            self._streams[stream] = error

    def forget(self, stream: object) -> None:
        """Notes that a stream ended; the outcome of the last one is remembered for a while."""
        with self._lock:
            if stream in self._streams:
                self._remembered = self._streams.pop(stream)
                self._remembered_s = self._clock()
