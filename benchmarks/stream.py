"""What one viewer saw in a steady window: rates, latencies, and whether the server did its work.

aiortc hands a picture on when the next one's first
packet comes, at the server and at the viewer: every time from sending to return has up to two picture intervals (67 ms)
in it. They cancel out in the difference of two servers, unless one of them avoids its own, and stay in a score's age.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from clip import RATE_HZ
from numpy.typing import NDArray
from record import Judged, Record, Returned

MIN_SENT_HZ = RATE_HZ - 0.5
MIN_RESULTS_HZ, MIN_SCORES_HZ = 8.0, 4.0
"""Of 10 and 5 that the settings ask for; below, the analysis was not what is advertised."""
MIN_FACE_SHARE = 0.9
CLOCK_SLACK_S = 0.005

Window = tuple[float, float]
Milliseconds = NDArray[np.float64]
"""Shape (n,)."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One viewer's window.

    Args:
        returned_hz: pictures that came back, a second.
        returned_kbps: of those pictures.
        round_trip_ms: from a picture's sending to its return.
        result_ms: from a picture's arrival at the server to its result, as the server states it.
        score_age_ms: from the sending of a picture that was scored to the return of the first picture drawn after the
            score was there, that is, the first one sent no earlier than `result_ms` after it.
        void: what makes these figures meaningless, each a sentence; empty when all is well.
    """

    returned_hz: float
    returned_kbps: float
    round_trip_ms: Milliseconds
    result_ms: Milliseconds
    score_age_ms: Milliseconds
    void: tuple[str, ...]


def stream_of(record: Record, window: Window, *, judged: bool) -> Stream:
    """The part of a record that falls into the window.

    Args:
        record: what a viewer saw.
        window: its first and last second.
        judged: the server analyses, and its figures are void where the results do not show it.
    """
    length_s = window[1] - window[0]
    sent_hz = sum(_within(at_s, window) for at_s in record.sent_s) / length_s
    returned = [each for each in record.returned if _within(each.at_s, window)]
    results = [each for each in record.judged if _within(each.at_s, window)]
    void = [*_contradictions(record, returned, results)]
    if sent_hz < MIN_SENT_HZ:
        void.append(f"the viewer itself sent {sent_hz:.1f} fps")
    if judged:
        void += _idleness(results, length_s)
    return Stream(
        returned_hz=len(returned) / length_s,
        returned_kbps=sum(each.size_bytes for each in returned) * 8e-3 / length_s,
        round_trip_ms=np.array([1e3 * (each.at_s - record.sent_s[each.number]) for each in returned]),
        result_ms=np.array([each.latency_ms for each in results]),
        score_age_ms=_score_ages_ms(record, [each for each in results if each.scored]),
        void=tuple(void),
    )


def _score_ages_ms(record: Record, scored: list[Judged]) -> Milliseconds:
    numbers = [each.number for each in record.returned]
    ages_ms = []
    for result in scored:
        sent_s = record.sent_s[result.number]
        drawn = bisect_left(record.sent_s, sent_s + result.latency_ms / 1e3)
        position = bisect_left(numbers, drawn)
        if position < len(numbers):  # else the viewer left before that picture came back
            ages_ms.append(1e3 * (record.returned[position].at_s - sent_s))
    return np.array(ages_ms)


def _contradictions(record: Record, returned: list[Returned], results: list[Judged]) -> list[str]:
    """Reasons to doubt the numbers that pictures are matched by."""
    found = []
    read = [each for each in returned if each.counter is not None]
    if wrong := sum(each.counter != each.number % record.pictures for each in read):
        found.append(f"{wrong} of {len(read)} counters contradict the pictures' timestamps")
    if any(each.at_s - record.sent_s[each.number] < each.latency_ms / 1e3 - CLOCK_SLACK_S for each in results):
        found.append("a result came back sooner than its own latency allows")
    return found


def _idleness(results: list[Judged], length_s: float) -> list[str]:
    """Reasons to say that the server did not do its work."""
    found = []
    if (results_hz := len(results) / length_s) < MIN_RESULTS_HZ:
        found.append(f"{results_hz:.1f} results a second, expected {MIN_RESULTS_HZ:.0f}")
    if (scores_hz := sum(each.scored for each in results) / length_s) < MIN_SCORES_HZ:
        found.append(f"{scores_hz:.1f} scores a second, expected {MIN_SCORES_HZ:.0f}")
    if results and (share := sum(each.faces > 0 for each in results) / len(results)) < MIN_FACE_SHARE:
        found.append(f"a face in {share:.0%} of the results, expected {MIN_FACE_SHARE:.0%}")
    if errors := {each.error for each in results if each.error is not None}:
        found.append(f"the analysis failed: {min(errors)}")
    return found


def _within(at_s: float, window: Window) -> bool:
    return window[0] <= at_s < window[1]
