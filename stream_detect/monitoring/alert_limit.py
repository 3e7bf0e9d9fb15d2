"""Of which events to tell: an event enters, yes or no leaves. A camera that flickers does not ring all night."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from stream_detect.storage.records import Event, EventKind

_REMEMBERED = 4096
"""Decisions kept, the oldest forgotten first. An event that is not known any more, as after a restart, is told of."""


class AlertLimit:
    """Lets one event of a camera and kind through in so long. All ways of telling ask the same one; thread-safe.

    Args:
        min_interval_s: from one beginning that was told to the next.
        clock: monotonic seconds.
    """

    def __init__(self, min_interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._min_interval_s = min_interval_s
        self._clock = clock
        self._told: dict[str, bool] = {}
        self._newest_s: dict[tuple[str, EventKind], float] = {}
        self._suppressed: Counter[EventKind] = Counter()
        self._lock = threading.Lock()

    def lets_through(self, event: Event) -> bool:
        """Whether to tell of this event. An event's end is told exactly when its beginning was."""
        with self._lock:
            known = self._told.get(event.id)
            if known is None:
                known = event.ended_s is not None or self._is_due(event)
                self._told[event.id] = known
                if len(self._told) > _REMEMBERED:
                    del self._told[next(iter(self._told))]
            return known

    @property
    def suppressed(self) -> Mapping[EventKind, int]:
        """Events that nobody was told of, by kind, since the start."""
        with self._lock:
            return {"fake": self._suppressed["fake"], "offline": self._suppressed["offline"]}

    def _is_due(self, event: Event) -> bool:
        now_s = self._clock()
        recent = {key: at_s for key, at_s in self._newest_s.items() if now_s - at_s < self._min_interval_s}
        key = (event.camera, event.kind)
        due = key not in recent
        if due:
            recent[key] = now_s
        else:
            self._suppressed[event.kind] += 1
        self._newest_s = recent
        return due
