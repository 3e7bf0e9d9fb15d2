"""How long to wait before the next attempt at something that failed: exponential backoff with jitter."""

from collections.abc import Callable


class Backoff:
    """Exponential backoff with equal jitter: each pause lies in the upper half of a ceiling that doubles.

    Without jitter, cameras that lost the same switch would all come back at the same instant, over and over. A camera
    that is down for good costs one attempt a minute; one that was good for a while starts at the first pause again.

    Args:
        first_s: the shortest pause, seconds.
        last_s: the longest pause, seconds.
        reset_s: an attempt that went well for so long makes the next failure count as the first.
        chance: a random number in [0, 1).
    """

    def __init__(self, first_s: float, last_s: float, reset_s: float, chance: Callable[[], float]) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._reset_s = reset_s
        self._chance = chance
        self._ceiling_s = self._first_s

    def pause_s(self, good_s: float) -> float:
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
