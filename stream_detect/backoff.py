"""Retries: how long to wait before the next attempt, and what is logged while attempts fail."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable

QUIET_S = 60.0
"""Minimum time between two outages of one thing in the log, so that a flapping one does not fill it."""

_MOST_DOUBLINGS = 40
"""More doublings exceed the lifetime of any process, and a float would overflow."""


class Backoff:
    """Exponential backoff with equal jitter: each pause is in the upper half of a ceiling that doubles.

    Without jitter, cameras behind one broken switch would all reconnect at the same time, again and again. A camera
    that is permanently down costs one attempt per minute; one that worked for a while starts at the first pause again.

    Args:
        first_s: the shortest pause, seconds.
        last_s: the longest pause, seconds.
        reset_s: after an attempt that worked for this long, the next failure counts as the first.
        chance: returns a random number in [0, 1).
        failures: number of failed attempts so far, counted by an earlier process.
    """

    def __init__(
        self,
        first_s: float,
        last_s: float,
        reset_s: float = math.inf,
        chance: Callable[[], float] = random.random,
        failures: int = 0,
    ) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._reset_s = reset_s
        self._chance = chance
        self._ceiling_s = min(first_s * 2.0 ** min(failures, _MOST_DOUBLINGS), last_s)

    def pause_s(self, good_s: float = 0.0) -> float:
        """Seconds to wait after a failed attempt, in [first_s, last_s].

        Args:
            good_s: how long that attempt worked, in seconds; 0 if it never did.
        """
        if good_s >= self._reset_s:
            self.reset()
        self._ceiling_s = min(2 * self._ceiling_s, self._last_s)
        least_s = max(self._ceiling_s / 2, self._first_s)
        return least_s + self._chance() * (self._ceiling_s - least_s)

    def reset(self) -> None:
        """Makes the next failure count as the first."""
        self._ceiling_s = self._first_s


class Outage:
    """Logs that something fails, and that it works again: one line each, however many attempts are between.

    Something that fails and works in quick succession gets such a pair of lines once per QUIET_S. Not thread-safe.

    Args:
        log: logger of the module.
        what: what is tried, the beginning of the lines: "webhook door".
        clock: returns monotonic seconds.
    """

    def __init__(self, log: logging.Logger, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._what = what
        self._clock = clock
        self._logged_s = -math.inf
        self._is_logged = False

    def failed(self, reason: str, error: BaseException | None = None) -> None:
        """Records a failed attempt.

        Args:
            reason: one sentence without secrets.
            error: exception whose traceback is logged too, if the failure is a defect of this program.
        """
        now_s = self._clock()
        if self._is_logged or now_s - self._logged_s < QUIET_S:
            return
        self._is_logged, self._logged_s = True, now_s
        level = logging.WARNING if error is None else logging.ERROR
        self._log.log(level, "%s: %s", self._what, reason, exc_info=error)

    def ended(self) -> None:
        """Records a successful attempt."""
        if self._is_logged:
            self._is_logged = False
            self._log.info("%s: works again", self._what)


async def keep_running(
    log: logging.Logger, what: str, work: Callable[[], Awaitable[None]], backoff: Backoff | None = None
) -> None:
    """Runs an endless task and restarts it after failures; ends if the task ends by itself, or is cancelled.

    Without this, nobody would notice a task that ended with an exception.

    Args:
        log: logger of the module.
        what: what it is, the beginning of log lines.
        work: starts the task.
        backoff: pauses before restarts; default one second to a minute.
    """
    loop, outage = asyncio.get_running_loop(), Outage(log, what)
    backoff = backoff or Backoff(1.0, 60.0, reset_s=QUIET_S)
    while True:
        began_s = loop.time()
        works = loop.call_later(QUIET_S, outage.ended)
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the task's edge: a defect must not end what is needed for weeks
            outage.failed("it failed, and is started again", error)
        else:
            return
        finally:
            works.cancel()
        await asyncio.sleep(backoff.pause_s(loop.time() - began_s))
