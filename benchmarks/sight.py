"""How old a score is when a viewer sees it, from what a camera sent, what was judged and what came back.

All times are seconds of the monotonic clock, which on Linux is the same for all processes of a machine. Pictures carry
their number (clip.py), which begins again with the film.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any

from clip import CLOCK_HZ

MATCH_S = 0.03
"""A result's own time of its picture may differ so much from when another reader of the camera got it."""

Window = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Numbered:
    """A picture that the camera sent: when it was there, and its number."""

    at_s: float
    counter: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture that came back to a viewer: when it was whole, and its number."""

    at_s: float
    counter: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A result of the server.

    Args:
        pts: of its picture, in a 90 kHz clock that keeps to the monotonic one (`sources.reader`).
        latency_ms: from the picture's arrival at the server.
        scored: a face was scored.
    """

    pts: int
    latency_ms: float
    scored: bool


@dataclass(slots=True)
class Sight:
    """What a studying viewer saw, in order."""

    sent: list[Numbered] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    drawn: list[Drawn] = field(default_factory=list)

    @classmethod
    def of(cls, value: dict[str, Any]) -> "Sight":
        """From the JSON that its process ends with."""
        return cls(
            sent=[Numbered(**item) for item in value["sent"]],
            judged=[Judged(**item) for item in value["judged"]],
            drawn=[Drawn(**item) for item in value["drawn"]],
        )


def score_ages_ms(sight: Sight, window: Window) -> list[float]:
    """For every returned picture of the window: how long before it was seen the face was taken whose score it shows.

    The score that a picture shows is the newest that was there when the picture itself reached the server. One that
    came in the few milliseconds until it was drawn is left to the next picture: ages are rather too long than too
    short. Pictures before the first score are left out.
    """
    known = sorted(
        (taken_s + result.latency_ms / 1e3, taken_s)
        for result in sight.judged
        if result.scored and (taken_s := _taken_s(sight, result)) is not None
    )
    there = [at_s for at_s, _ in known]
    sent: dict[int, list[float]] = {}
    for picture in sight.sent:
        sent.setdefault(picture.counter, []).append(picture.at_s)
    ages_ms = []
    for drawn in sight.drawn:
        passes = sent.get(drawn.counter, [])
        which = bisect_right(passes, drawn.at_s) - 1
        newest = bisect_right(there, passes[which]) - 1 if which >= 0 else -1
        if newest >= 0 and window[0] <= drawn.at_s < window[1]:
            ages_ms.append(1e3 * (drawn.at_s - known[newest][1]))
    return ages_ms


def unmatched(sight: Sight, window: Window) -> int:
    """Results of the window whose time is that of no picture."""
    return sum(
        window[0] <= result.pts / CLOCK_HZ < window[1] and _taken_s(sight, result) is None for result in sight.judged
    )


def _taken_s(sight: Sight, result: Judged) -> float | None:
    """When the camera sent the picture of a result."""
    at_s = result.pts / CLOCK_HZ
    position = bisect_left(sight.sent, at_s, key=lambda picture: picture.at_s)
    near = [picture.at_s for picture in sight.sent[max(position - 1, 0) : position + 1]]
    nearest = min(near, key=lambda sent_s: abs(sent_s - at_s), default=None)
    return nearest if nearest is not None and abs(nearest - at_s) <= MATCH_S else None
