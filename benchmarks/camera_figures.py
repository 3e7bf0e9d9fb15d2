"""The figures of the cameras' benchmark: how each is computed from what was observed, and its target.

Each round measures every part, so that noise hits all parts alike. A ratio is taken within one part of one round, of
processes that ran side by side or windows that followed each other, and the value is the median over the rounds; where
it says "worst", over all rounds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any

import numpy as np
from figures import Figure, Target
from turmoil import Turmoil


class Part(StrEnum):
    """What is observed together."""

    EIGHT_VGA = "8x480p"
    ONE_HD = "1x1080p"
    AUDIENCE = "viewers"
    OUTAGES = "outages"


Round = Mapping[Part, Any]
"""A `Load` of the first two parts, an `Audience`, `Outages`."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A figure of the rounds.

    Args:
        key: its name in the JSON.
        what: in words.
        unit: of the value; "" for a ratio or a count.
        target: None for a figure that only stands beside another.
        parts: those it is worked out of.
        of: its value in one round.
        worst: the value is that of the worst round instead of the median.
    """

    key: str
    what: str
    unit: str
    target: Target | None
    parts: tuple[Part, ...]
    of: Callable[[Round], float]
    worst: bool = False


def p95(values: Sequence[float]) -> float:
    """NaN where there are none."""
    return float(np.percentile(values, 95)) if values else float("nan")


DEFINITIONS = (
    Definition(
        key="cpu_over_floor_8x480p",
        what="server CPU / decode-only and bare model time of the same streams; 8 cameras 640x480, 25 fps, 5 Hz",
        unit="",
        target=Target(1.3),
        parts=(Part.EIGHT_VGA,),
        of=lambda one: one[Part.EIGHT_VGA].over_floor,
    ),
    Definition(
        key="cpu_over_floor_1x1080p",
        what="the same of one camera 1920x1080",
        unit="",
        target=Target(1.3),
        parts=(Part.ONE_HD,),
        of=lambda one: one[Part.ONE_HD].over_floor,
    ),
    Definition(
        key="missed_samples",
        what="samples of these nine cameras that were not analysed, worst round",
        unit="",
        target=Target(0),
        parts=(Part.EIGHT_VGA, Part.ONE_HD),
        of=lambda one: sum(one[part].missed_samples for part in (Part.EIGHT_VGA, Part.ONE_HD)),
        worst=True,
    ),
    Definition(
        key="cpu_16_viewers_over_1",
        what="server CPU with 16 WHEP viewers of a camera / with one",
        unit="",
        target=Target(2.5),
        parts=(Part.AUDIENCE,),
        of=lambda one: one[Part.AUDIENCE].many_over_one,
    ),
    Definition(
        key="first_picture_p95_s",
        what="p95 from a viewer's POST to a whole picture that decodes by itself",
        unit="s",
        target=Target(1.5),
        parts=(Part.AUDIENCE,),
        of=lambda one: p95(one[Part.AUDIENCE].joins_s),
    ),
    Definition(
        key="score_age_p95_ms",
        what="p95 over all returned pictures: from the camera's sending of the face to the sight of its score",
        unit="ms",
        target=Target(300),
        parts=(Part.AUDIENCE,),
        of=lambda one: p95(one[Part.AUDIENCE].ages_ms),
    ),
    Definition(
        key="relive_s",
        what="from the first attempt since a killed camera was back until it is live, worst",
        unit="s",
        target=Target(3),
        parts=(Part.OUTAGES,),
        of=lambda one: max(one[Part.OUTAGES].relive_s),
        worst=True,
    ),
    Definition(
        key="stall_noticed_s",
        what="from a camera's freezing until its state is stalled, worst",
        unit="s",
        target=Target(6),
        parts=(Part.OUTAGES,),
        of=lambda one: max(one[Part.OUTAGES].noticed_s),
        worst=True,
    ),
)


def round_figures(rounds: Sequence[Round], definitions: Iterable[Definition]) -> list[Figure]:
    """Each definition's figure over all rounds, void where one of its parts is."""
    return [_figure(each, rounds) for each in definitions] if rounds else []


def _figure(definition: Definition, rounds: Sequence[Round]) -> Figure:
    runs = tuple(definition.of(one) for one in rounds)
    return Figure(
        key=definition.key,
        what=definition.what,
        unit=definition.unit,
        target=definition.target,
        runs=(max(runs),) if definition.worst else runs,
        void=tuple(
            dict.fromkeys(f"{part}: {why}" for one in rounds for part in definition.parts for why in one[part].void)
        ),
    )


def growth_figures(run: Turmoil, minutes: float) -> list[Figure]:
    """What the server gained while cameras came and went."""
    void = () if run.recovered else ("turmoil: not all cameras were live again in the end",)
    over = f"{minutes:g} minutes with {run.kills} kills and {run.freezes} freezes"
    return [
        Figure(
            "growth_percent", f"growth of resident memory over {over}", "%", Target(5), (run.growth_percent(),), void
        ),
        Figure("growth_threads", "the same of threads", "", Target(1), (run.more(lambda each: each.threads),), void),
        Figure("growth_files", "the same of open files", "", Target(2), (run.more(lambda each: each.files),), void),
        Figure("rss_mb", "resident memory, median", "MiB", None, (median(each.rss_mb for each in run.weights),), void),
    ]
