"""Backoff: failures of a camera enter, the pauses before its next attempts leave."""

from collections.abc import Callable

from stream_detect.settings import MonitoringSettings


class Backoff:
    """Exponential backoff with equal jitter: each pause lies in the upper half of a ceiling that doubles.

    Without jitter, cameras that lost the same switch would all come back at the same instant, over and over. A camera
    that is down for good costs one attempt a minute; one that was good for a while starts at the first pause again.

    Args:
        settings: `backoff_first_s`, `backoff_last_s` and `backoff_reset_s` are used.
        chance: a random number in [0, 1).
    """

    def __init__(self, settings: MonitoringSettings, chance: Callable[[], float]) -> None:
        self._first_s = settings.backoff_first_s
        self._last_s = settings.backoff_last_s
        self._reset_s = settings.backoff_reset_s
        self._chance = chance
        self._ceiling_s = self._first_s

    def pause_s(self, good_s: float) -> float:
        """How long to wait after a failed attempt, in [backoff_first_s, backoff_last_s].

        Args:
            good_s: how long pictures had been coming in that attempt; 0 when none came.
        """
        if good_s >= self._reset_s:
            self.reset()
        self._ceiling_s = min(2 * self._ceiling_s, self._last_s)
        least_s = max(self._ceiling_s / 2, self._first_s)
        return least_s + self._chance() * (self._ceiling_s - least_s)

    def reset(self) -> None:
        """The next failure counts as the first."""
        self._ceiling_s = self._first_s
