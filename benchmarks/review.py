"""`make bench-review`: measures reviews of uploaded videos; prints a table, writes JSON.

- throughput_over_floor: the bare time of a clip (decoding alone, and one call of the detector and of the classifier for
  each sample) / the time of its review, at 5 Hz, one thread each, in turn, the median over the rounds.
- speedup_over_seed_way: the time of the way in `seed_way.py` / the time of the review, on the same file; both may use
  all processors, as `stream-detect analyze` of one file does.
- process_cost_480p, _1080p: the time of a review in a process of its own, as the server has it done / its time here.
- rss_growth_2h_mb: peak memory of a process that reviews two hours and writes the results, less that of ten seconds;
  the two hours are the ten seconds over and over.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from figures import Figure, Target
from review_clips import clip_of, coded, looped, swaying
from rich.console import Console
from seed_way import SeedWay
from tables import figure_table, machine, print_tables, void_reasons, write_report

from stream_detect.analysis.crop import cut
from stream_detect.jobs.processes import ReviewProcesses
from stream_detect.models.registry import Registry
from stream_detect.review.examination import Hooks, examine
from stream_detect.review.models import ExaminationSettings, ReviewModels, load_review_models
from stream_detect.settings import ModelSettings
from stream_detect.sources.media import open_media
from stream_detect.storage.records import Upload

RATE_HZ = 5.0
HOURS_S = 7200.0
SHORT_S = 10.0
MOST_PREDICTIONS = 60


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds, or their ratios: as they pass, and of processors."""

    wall_s: float
    cpu_s: float


def main() -> int:
    """Run what was asked for; 1 when a figure is void."""
    options = parse()
    if options.child:
        print(json.dumps(child(options.child)))
        return 0
    console = Console(stderr=True)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="stream-detect-bench-") as name:
        folder = Path(name)
        if options.only in {None, "speed"}:
            figures += speed(folder, options, console)
        if options.only in {None, "memory"}:
            figures.append(memory(folder, options.hours * 3600.0, console))
    print_tables(figure_table(figures))
    if options.json:
        write_report(options.json, figures, setting={**machine(), "rounds": options.runs, "rate_hz": RATE_HZ})
    return void_reasons(figures, console)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--runs", type=int, default=5, help="rounds")
    parser.add_argument("--only", choices=("speed", "memory"), help="measure these figures only")
    parser.add_argument("--model", metavar="NAME", default=ModelSettings().name, help="bundle whose speed is measured")
    parser.add_argument("--hours", type=float, default=HOURS_S / 3600, help="length of the long video")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def speed(folder: Path, options: argparse.Namespace, console: Console) -> list[Figure]:
    """The review beside its floor and beside the seeds' way."""
    cv2.setNumThreads(1)  # as the server does
    settings = ExaminationSettings()
    review_models = load_review_models(Registry.of(None), (options.model,), settings)
    review = settings.review.model_copy(update={"threads": os.cpu_count() or 1})
    alone = ReviewModels(review_models.models, review_models.detector, settings.model_copy(update={"review": review}))
    clips = {size: clip_of(size, folder) for size in ("480p", "1080p")}
    seeds = SeedWay(options.model)
    processes = ReviewProcesses(settings)
    costs: dict[str, list[float]] = {size: [] for size in clips}
    floors: dict[str, list[Took]] = {size: [] for size in clips}
    third, every = [], []
    for number in range(options.runs):
        console.print(f"round {number + 1} of {options.runs}")
        for size, clip in clips.items():
            before = took(lambda clip=clip: examine(clip, review_models, RATE_HZ))  # type: ignore[misc]
            floor = floor_of(clip, review_models)
            after = took(lambda clip=clip: examine(clip, review_models, RATE_HZ))  # type: ignore[misc]
            ours = Took((before.wall_s + after.wall_s) / 2, (before.cpu_s + after.cpu_s) / 2)
            floors[size].append(Took(floor.wall_s / ours.wall_s, floor.cpu_s / ours.cpu_s))
            for _ in range(2):  # the first one starts the process, which ends by itself while the others are measured
                there = took(lambda clip=clip: processes.review(clip, (options.model,), RATE_HZ, Hooks()))  # type: ignore[misc]
            costs[size].append(there.wall_s / ours.wall_s)
            if size == "480p":
                ours_s = took(lambda clip=clip: examine(clip, alone, RATE_HZ)).wall_s  # type: ignore[misc]
                third.append(seeds.seconds(clip, 3, MOST_PREDICTIONS) / ours_s)
                every.append(seeds.seconds(clip, 1, MOST_PREDICTIONS) / ours_s)
    processes.close()
    what = "bare time (decoding, one detector and one classifier call a sample) / time of the review"
    return [
        *(
            figure
            for size, ratios in floors.items()
            for figure in (
                Figure(
                    f"throughput_over_floor_{size}",
                    f"{what}, {clips[size].name}",
                    "",
                    Target(0.75, at_least=True),
                    tuple(ratio.wall_s for ratio in ratios),
                ),
                Figure(
                    f"throughput_over_floor_{size}_cpu",
                    "the same in processor time, which other programs disturb less",
                    "",
                    None,
                    tuple(ratio.cpu_s for ratio in ratios),
                ),
            )
        ),
        *(
            Figure(
                f"process_cost_{size}",
                f"time of the review in a process of its own / time here, {clips[size].name}",
                "",
                Target(1.05),
                tuple(ratios),
            )
            for size, ratios in costs.items()
        ),
        Figure(
            "speedup_over_seed_way",
            "time of model.predict one by one on every third frame, no face search / time of the review",
            "",
            Target(15, at_least=True),
            tuple(third),
        ),
        Figure("speedup_over_seed_way_every_frame", "the same on every frame", "", None, tuple(every)),
    ]


def floor_of(clip: Path, review_models: ReviewModels) -> Took:
    """The bare time: nothing is converted, gated, tracked or kept."""
    detector, classifier = review_models.detector(), review_models.models[0].classifier()
    media = open_media(clip)
    image = next(shot.rgb() for shot in media.shots())
    media.close()
    faces = detector.detect(image)
    w, h = classifier.crop.wh
    crop = cut(image, faces[0], classifier.crop) if faces else np.zeros((h, w, 3), np.uint8)
    samples = examine(clip, review_models, RATE_HZ).sampled
    decoding = took(lambda: decode(clip))
    calls = took(lambda: [(detector.detect(image), classifier.predict(crop[np.newaxis])) for _ in range(samples)])
    return Took(decoding.wall_s + calls.wall_s, decoding.cpu_s + calls.cpu_s)


def decode(clip: Path) -> int:
    """Decodes the whole clip on one thread, and nothing else."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def took(what: Callable[[], object]) -> Took:
    """Seconds that it takes."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    what()
    return Took(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def memory(folder: Path, long_s: float, console: Console) -> Figure:
    """Peak memory of two processes of their own: a long video, a short one."""
    short = coded(folder / "short.mp4", swaying((320, 240), SHORT_S, 15), 15)
    long = looped(short, folder / "long.mp4", long_s)
    peaks = {}
    for clip in (short, long):
        console.print(f"memory: {clip.name}, {clip.stat().st_size / 2**20:.1f} MiB")
        out = subprocess.run(
            [sys.executable, __file__, "--child", str(clip)], capture_output=True, text=True, check=True
        )
        peaks[clip] = json.loads(out.stdout)
        console.print(f"  {peaks[clip]}")
    growth_mb = peaks[long]["peak_mb"] - peaks[short]["peak_mb"]
    void = () if peaks[long]["sampled"] > 0.9 * long_s * RATE_HZ else ("the long video was not looked at to its end",)
    what = f"peak memory of the review of {long_s / 3600:g} h of video, less that of {SHORT_S:g} s"
    return Figure("rss_growth_2h_mb", what, "MiB", Target(100), (growth_mb,), void)


def child(clip: Path) -> dict[str, float]:
    """Reviews a file and writes its results; says how much memory that took."""
    review_models = load_review_models(Registry.of(None), (), ExaminationSettings())
    reviewed = examine(clip, review_models, RATE_HZ)
    with tempfile.TemporaryFile("w", encoding="utf-8") as file:
        file.writelines(reviewed.json_parts("", Upload(clip.name, 0, "")))
    return {
        "sampled": reviewed.sampled,
        "faces": sum(len(frame.faces) for frame in reviewed.models[0].timeline.frames()),
        "peak_mb": peak_mb(),
    }


def peak_mb() -> float:
    """Most memory that this process had. What getrusage says would begin with that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) / 1024


if __name__ == "__main__":
    sys.exit(main())
