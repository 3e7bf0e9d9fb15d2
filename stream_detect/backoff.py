"""Retries: how long to wait before the next attempt, and what is logged while attempts fail."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable

QUIET_S = 60.0
"""Least time between two outages of one thing in the log: what fails and works in turn must not fill it."""

_MOST_DOUBLINGS = 40
"""More do not fit into the time that anything runs, and a float would overflow."""


class Backoff:
    """Exponential backoff with equal jitter: each pause lies in the upper half of a ceiling that doubles.

    Without jitter, cameras that lost the same switch would all come back at the same instant, over and over. A camera
    that is down for good costs one attempt a minute; one that was good for a while starts at the first pause again.

    Args:
        first_s: the shortest pause, seconds.
        last_s: the longest pause, seconds.
        reset_s: an attempt that went well for so long makes the next failure count as the first.
        chance: a random number in [0, 1).
        failures: attempts that failed before, as a process before this one counted them.
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
        """How long to wait after a failed attempt, in [first_s, last_s].

        Args:
            good_s: how long that attempt had gone well, seconds; 0 when it never did.
        """
        if good_s >= self._reset_s:
            self.reset()
        self._ceiling_s = min(2 * self._ceiling_s, self._last_s)
        least_s = max(self._ceiling_s / 2, self._first_s)
        return least_s + self._chance() * (self._ceiling_s - least_s)

    def reset(self) -> None:
        """The next failure counts as the first."""
        self._ceiling_s = self._first_s


class Outage:
    """Logs that something fails, and that it works again: one line each, however often it is tried in between.

    What fails and works in quick succession gets such a pair of lines once in QUIET_S. Used by one thread.

    Args:
        log: of the module that tries.
        what: is tried, as the lines begin: "webhook door".
        clock: monotonic seconds.
    """

    def __init__(self, log: logging.Logger, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._what = what
        self._clock = clock
        self._logged_s = -math.inf
        self._is_logged = False

    def failed(self, reason: str, error: BaseException | None = None) -> None:
        """An attempt failed.

        Args:
            reason: one sentence without secrets.
            error: whose traceback is logged as well, where the failure is a defect of this program.
        """
        now_s = self._clock()
        if self._is_logged or now_s - self._logged_s < QUIET_S:
            return
        self._is_logged, self._logged_s = True, now_s
        level = logging.WARNING if error is None else logging.ERROR
        self._log.log(level, "%s: %s", self._what, reason, exc_info=error)

    def ended(self) -> None:
        """An attempt went well."""
        if self._is_logged:
            self._is_logged = False
            self._log.info("%s: works again", self._what)


async def keep_running(
    log: logging.Logger, what: str, work: Callable[[], Awaitable[None]], backoff: Backoff | None = None
) -> None:
    """Runs what goes on for ever, and begins it anew when it fails; ends when that ends by itself, or is cancelled.

    Of a task that ended by an exception nobody would hear otherwise.

    Args:
        log: of the module that runs it.
        what: it is, as the lines in the log begin.
        work: begins it.
        backoff: pauses before it is begun anew; of one second to a minute if None.
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
