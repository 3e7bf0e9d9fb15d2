"""The figures of the live check's benchmark: how each is computed from the observations, and its target.

Each round observes every scene once, so that noise hits all servers alike. A ratio or difference is taken within each
round, and the value is the median over the rounds.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from statistics import median
from typing import Any

from scene import Observation, Scene
from servers import ServerKind
from soak import Growth

OURS_1 = Scene(ServerKind.OURS, "h264", 1)
VP8_ECHO_1 = Scene(ServerKind.ECHO, "vp8", 1)
H264_ECHO_1 = Scene(ServerKind.ECHO, "h264", 1)
OURS_4 = Scene(ServerKind.OURS, "h264", 4)
VP8_ECHO_4 = Scene(ServerKind.ECHO, "vp8", 4)
H264_ECHO_4 = Scene(ServerKind.ECHO, "h264", 4)
SCENES = (OURS_1, VP8_ECHO_1, H264_ECHO_1, OURS_4, VP8_ECHO_4, H264_ECHO_4)

Round = Mapping[Scene, Observation]


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: at most, or at least, `limit`."""

    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether a figure is as it should be; NaN is not."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Definition:
    """A figure of the rounds.

    Args:
        key: its name in the JSON.
        what: in words.
        unit: of the value; "" for a ratio.
        target: None for a figure that only stands beside another.
        scenes: those it is worked out of.
        of: its value in one round.
    """

    key: str
    what: str
    unit: str
    target: Target | None
    scenes: tuple[Scene, ...]
    of: Callable[[Round], float]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure; `void` says why it means nothing, if so."""

    key: str
    what: str
    unit: str
    target: Target | None
    runs: tuple[float, ...]
    void: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """Median of the runs."""
        return median(self.runs)

    @property
    def met(self) -> bool | None:
        """Whether it is as it should be; None where nothing is asked of it."""
        return None if self.target is None else not self.void and self.target.met(self.value)

    def to_json(self) -> dict[str, Any]:
        """For the file."""
        return {
            "value": plain(self.value),
            "runs": [plain(run) for run in self.runs],
            "target": None if self.target is None else str(self.target),
            "met": self.met,
            "unit": self.unit,
            "what": self.what,
            "void": list(self.void),
        }


def plain(value: float, digits: int = 3) -> float | None:
    """As JSON has it: rounded to what was measured, null for NaN."""
    return round(value, digits) if isfinite(value) else None


def _added_ms(echo: Scene, percent: float) -> Callable[[Round], float]:
    def of(one: Round) -> float:
        ours, theirs = one[OURS_1], one[echo]
        return ours.percentile_ms("round_trip_ms", percent) - theirs.percentile_ms("round_trip_ms", percent)

    return of


DEFINITIONS = (
    Definition(
        key="cpu_ratio_vp8",
        what="server CPU a stream, all of ours (H.264) / stock echo in VP8",
        unit="",
        target=Target(1.15),
        scenes=(OURS_1, VP8_ECHO_1),
        of=lambda one: one[OURS_1].cpu_per_stream / one[VP8_ECHO_1].cpu_per_stream,
    ),
    Definition(
        key="cpu_ratio_h264",
        what="server CPU a stream, all of ours / stock echo, both in H.264",
        unit="",
        target=Target(0.5),
        scenes=(OURS_1, H264_ECHO_1),
        of=lambda one: one[OURS_1].cpu_per_stream / one[H264_ECHO_1].cpu_per_stream,
    ),
    Definition(
        key="fps_min_4_streams",
        what="returned fps of the worst-off of 4 streams",
        unit="1/s",
        target=Target(29.5, at_least=True),
        scenes=(OURS_4,),
        of=lambda one: one[OURS_4].returned_hz,
    ),
    Definition(
        key="echo_fps_min_4_streams",
        what="the same of the stock echo in VP8",
        unit="1/s",
        target=None,
        scenes=(VP8_ECHO_4,),
        of=lambda one: one[VP8_ECHO_4].returned_hz,
    ),
    Definition(
        key="echo_h264_fps_min_4_streams",
        what="the same of the stock echo in H.264",
        unit="1/s",
        target=None,
        scenes=(H264_ECHO_4,),
        of=lambda one: one[H264_ECHO_4].returned_hz,
    ),
    Definition(
        key="added_latency_p95_ms",
        what="p95 from a picture's sending to its return, less the stock echo's, both in H.264",
        unit="ms",
        target=Target(40),
        scenes=(OURS_1, H264_ECHO_1),
        of=_added_ms(H264_ECHO_1, 95),
    ),
    Definition(
        key="added_latency_p50_ms",
        what="the same, medians",
        unit="ms",
        target=None,
        scenes=(OURS_1, H264_ECHO_1),
        of=_added_ms(H264_ECHO_1, 50),
    ),
    Definition(
        key="added_latency_vp8_p95_ms",
        what="p95 against the stock echo in VP8, which encodes faster",
        unit="ms",
        target=Target(40),
        scenes=(OURS_1, VP8_ECHO_1),
        of=_added_ms(VP8_ECHO_1, 95),
    ),
    Definition(
        key="score_age_p95_ms",
        what="p95 from a picture's sending to the return of the first one with its score, 4 streams",
        unit="ms",
        target=Target(200),
        scenes=(OURS_4,),
        of=lambda one: one[OURS_4].percentile_ms("score_age_ms", 95),
    ),
    Definition(
        key="result_latency_p95_ms",
        what="p95 from a picture's arrival at the server to its result, 4 streams",
        unit="ms",
        target=None,
        scenes=(OURS_4,),
        of=lambda one: one[OURS_4].percentile_ms("result_ms", 95),
    ),
    Definition(
        key="rss_one_stream_mb",
        what="resident memory with one stream",
        unit="MiB",
        target=Target(350),
        scenes=(OURS_1,),
        of=lambda one: one[OURS_1].rss_mb,
    ),
    Definition(
        key="rss_per_stream_mb",
        what="resident memory of each further stream: (with 4 - with 1) / 3",
        unit="MiB",
        target=Target(40),
        scenes=(OURS_1, OURS_4),
        of=lambda one: (one[OURS_4].rss_mb - one[OURS_1].rss_mb) / 3,
    ),
)


def round_figures(rounds: list[Round], definitions: Iterable[Definition]) -> list[Figure]:
    """Each definition's figure over all rounds, void where one of its observations is."""
    return [
        Figure(
            key=each.key,
            what=each.what,
            unit=each.unit,
            target=each.target,
            runs=tuple(each.of(one) for one in rounds),
            void=tuple(dict.fromkeys(reason for one in rounds for scene in each.scenes for reason in one[scene].void)),
        )
        for each in definitions
    ]


def ready_figure(starts_s: tuple[float, ...]) -> Figure:
    """From the start of the process to the first 200 of `/readyz`."""
    return Figure("ready_s", "from the start of the process until /readyz says 200", "s", Target(3.0), starts_s)


def growth_figures(growth: Growth) -> list[Figure]:
    """What the server gained while viewers came and went; a few MiB are the allocator's."""
    units = {"rss_mb": "MiB", "rss_mb_per_min": "MiB/min", "threads": "", "files": ""}
    targets = {"rss_mb": Target(8), "rss_mb_per_min": Target(1), "threads": Target(0.5), "files": Target(0.5)}
    values = asdict(growth)
    visits = values.pop("visits")
    return [
        Figure(f"growth_{name}", f"growth over {visits} visits", units[name], targets[name], (value,))
        for name, value in values.items()
    ]
