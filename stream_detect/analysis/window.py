"""The sliding window of one face's calibrated scores, and their robust summary."""

import math
from dataclasses import dataclass
from itertools import pairwise

MAX_LOGIT = math.log(0.99 / 0.01)
"""No single frame counts more than 99 % either way: otherwise the mean of logits would follow the few most extreme
ones."""

TRIM = 0.1
"""Share of the scores left out at each end. Stigler (1977, "Do robust estimators work with real data?", Annals of
Statistics 5) found the 10 % trimmed mean the best of eleven estimators on real measurements. In a full window (50
scores) it ignores a second of blinking, blur or a hand in front of the face, but not a fake that shows for two."""

_GAP, _SAMPLE = 0, 1  # a gap lies before the sample of the same time


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """Summary of a window.

    Args:
        admitted: scores in the window.
        newest_s: stream time of the newest of them; -inf if there are none.
        fake_probability: trimmed mean of the logits, as a probability in [0, 1]; None if there are no scores.
        lowest: the least fake_probability that was not trimmed; None without a score.
        highest: the greatest one that was not trimmed; None without a score.
    """

    admitted: int
    newest_s: float
    fake_probability: float | None
    lowest: float | None
    highest: float | None


def probability(logit: float) -> float:
    """The fake_probability in (0, 1) of a logit within +-MAX_LOGIT."""
    return 1.0 / (1.0 + math.exp(-logit))


def bounded(logit: float) -> float:
    """The logit, kept within +-MAX_LOGIT."""
    return min(max(logit, -MAX_LOGIT), MAX_LOGIT)


class ScoreWindow:
    """The newest `length_s` of one face's scores.

    Scores may come in any order: the summary depends only on the set of entries. Only one score counts per time, the
    less certain of two, so that a frame delivered twice is not counted twice. An admitted score replaces a rejection at
    the same time.

    Args:
        length_s: length of the window in stream time, back from its newest entry.
        max_entries: samples and gap marks kept, the newest ones; bounds memory for any timestamps.
    """

    def __init__(self, length_s: float, max_entries: int) -> None:
        self._length_s = length_s
        self._max_entries = max_entries
        self._floor_s = -math.inf
        self._entries: dict[tuple[float, int], float] = {}  # (time_s, kind) -> logit; NaN if there is none

    def add(self, time_s: float, logit: float) -> None:
        """Adds an admitted score.

        Args:
            time_s: stream time of the frame.
            logit: calibrated logit of its fake_probability; limited to +-MAX_LOGIT.
        """
        logit = bounded(logit)
        held = self._entries.get((time_s, _SAMPLE), math.nan)
        if not math.isnan(held):
            logit = min(held, logit, key=lambda value: (abs(value), value))
        self._put(time_s, _SAMPLE, logit)

    def refuse(self, time_s: float) -> None:
        """Records a sample that the quality gate rejected: it is in the trace, but does not count."""
        if (time_s, _SAMPLE) not in self._entries:
            self._put(time_s, _SAMPLE, math.nan)

    def mark_gap(self, time_s: float) -> None:
        """Records that something was lost just before this time: it is in the trace, and the evidence stays."""
        self._put(time_s, _GAP, math.nan)

    def advance(self, now_s: float) -> None:
        """Removes entries that are older than the window at this stream time."""
        self.forget_before(now_s - self._length_s)

    def forget_before(self, time_s: float) -> None:
        """Removes everything older than this time, and ignores such entries from now on."""
        if time_s <= self._floor_s:
            return
        self._floor_s = time_s
        for key in [key for key in self._entries if key[0] < time_s]:
            del self._entries[key]

    def evidence(self) -> WindowSummary:
        """The robust summary of the admitted scores."""
        admitted = [(logit, time_s) for (time_s, _), logit in self._entries.items() if not math.isnan(logit)]
        if not admitted:
            return WindowSummary(0, -math.inf, None, None, None)
        logits = sorted(logit for logit, _ in admitted)
        cut = int(TRIM * len(logits))
        kept = logits[cut : len(logits) - cut]
        mean = math.fsum(kept) / len(kept)
        return WindowSummary(
            admitted=len(admitted),
            newest_s=max(time_s for _, time_s in admitted),
            fake_probability=probability(min(max(mean, kept[0]), kept[-1])),  # rounding may leave the range
            lowest=probability(kept[0]),
            highest=probability(kept[-1]),
        )

    def trace(self) -> tuple[float, ...]:
        """fake_probability of every sample, oldest first; NaN for a refused sample and for gaps in a row."""
        ordered = sorted(self._entries)
        doubled = {later for before, later in pairwise(ordered) if before[1] == later[1] == _GAP}
        return tuple(probability(self._entries[key]) for key in ordered if key not in doubled)

    def _put(self, time_s: float, kind: int, logit: float) -> None:
        self.advance(time_s)
        if time_s < self._floor_s:
            return
        self._entries[time_s, kind] = logit
        if len(self._entries) > self._max_entries:
            del self._entries[min(self._entries)]
