"""Live streams first: how long a job worked enters, how long it rests leaves.

The priority of the system is no help here: it is the process's, and what streams and jobs share is the process. So a
job rests after each sample while anybody is live: at most `share` of its time goes into work.
"""

import time
from collections.abc import Callable
from threading import Event

MAX_REST_S = 5.0
"""After one sample, however long it took."""

ASK_EVERY_S = 0.5


class Pace:
    """Of one job, on its thread.

    Args:
        busy: whether live streams run.
        share: of its time that it works then, in (0, 1].
        stop: ends a rest.
        clock: monotonic seconds.
    """

    def __init__(
        self, busy: Callable[[], bool], share: float, stop: Event, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._busy = busy
        self._rest_factor = 1.0 / share - 1.0
        self._stop = stop
        self._clock = clock
        self._since_s = clock()
        self._asked_s = float("-inf")
        self._is_busy = False

    def give_way(self) -> None:
        """Between samples: rests, if somebody is live."""
        now_s = self._clock()
        worked_s = now_s - self._since_s
        if now_s - self._asked_s >= ASK_EVERY_S:
            self._is_busy, self._asked_s = self._busy(), now_s
        if self._is_busy:
            self._stop.wait(min(worked_s * self._rest_factor, MAX_REST_S))
        self._since_s = self._clock()
