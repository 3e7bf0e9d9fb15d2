"""The cost of viewers: sixteen viewers of a camera compared with one, the delay to the picture, the age of the score.

The camera shows the numbered film of clip.py at 25 fps. All of an `Audience` is measured on one server process, with
the windows one after another.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from child import Child
from clip import DEFAULT_CLIP, encode_clip
from sight import Sight, score_ages_ms, unmatched
from watch import Watch, watching

from tests.rtsp.films import save_units
from tests.rtsp.peer import RtspServer

FPS = 25
MANY = 16
JOINS = 20
JOIN_TIMEOUT_S = 120.0
MIN_FPS = 24.0
CAMERA = "camera1"


@dataclass(frozen=True, slots=True)
class Crowd:
    """A steady window of so many viewers.

    Args:
        cpu: of the server's process, share of a core.
        fps: frames per second of the worst-off viewer.
    """

    cpu: float
    fps: float


@dataclass(frozen=True, slots=True)
class Audience:
    """What was seen.

    Args:
        nobody: share of a core while nobody watches.
        one: viewer.
        many: viewers.
        joins_s: from a viewer's POST to its first picture, alone and beside another by turns.
        ages_ms: of scores on returned pictures.
        lost: results that could not be matched with a picture.
    """

    nobody: float
    one: Crowd
    many: Crowd
    joins_s: tuple[float, ...]
    ages_ms: tuple[float, ...]
    lost: int

    @property
    def many_over_one(self) -> float:
        """Server CPU with many viewers / with one."""
        return self.many.cpu / self.one.cpu

    @property
    def void(self) -> tuple[str, ...]:
        """Why the figures mean nothing; empty when all is well."""
        reasons = [
            f"a viewer got {crowd.fps:.1f} fps, expected {FPS}"
            for crowd in (self.one, self.many)
            if crowd.fps < MIN_FPS
        ]
        if self.lost or not self.ages_ms:
            reasons.append(f"{self.lost} results could not be matched with pictures, {len(self.ages_ms)} pictures were")
        return tuple(reasons)


def audience(folder: Path, warm_s: float, seconds: float) -> Audience:
    """Let viewers come and go.

    Args:
        folder: takes films, logs, storage.
        warm_s: before each window.
        seconds: length of each window.
    """
    units = folder / "numbered.units"
    if not units.is_file():
        save_units(encode_clip("h264", DEFAULT_CLIP), units)
    with RtspServer(folder) as peer:
        address = peer.serve("numbered", units, "h264", FPS)
        with watching([address], folder) as watch:
            time.sleep(warm_s)
            nobody = _cpu(watch, seconds / 2)
            one = _crowd(watch, 1, warm_s, seconds)
            many = _crowd(watch, MANY, warm_s, seconds)
            joins_s = _joins(watch)
            sight, window = _study(watch, address, warm_s, seconds)
    ages_ms = score_ages_ms(sight, window)
    return Audience(nobody, one, many, tuple(joins_s), tuple(ages_ms), unmatched(sight, window))


def _cpu(watch: Watch, seconds: float) -> float:
    start_s, before_s = time.monotonic(), watch.footprint().cpu_s
    time.sleep(seconds)
    return (watch.footprint().cpu_s - before_s) / (time.monotonic() - start_s)


def _crowd(watch: Watch, viewers: int, warm_s: float, seconds: float) -> Crowd:
    with Child("watcher.py", "watch", watch.whep_url(CAMERA), "--viewers", str(viewers)) as watchers:
        watchers.wait_for("connected")
        time.sleep(warm_s)
        start_s, cpu, end_s = time.monotonic(), _cpu(watch, seconds), time.monotonic()
        times = json.loads(watchers.leave())
    return Crowd(cpu, min(sum(start_s <= at_s < end_s for at_s in own) for own in times) / (end_s - start_s))


def _joins(watch: Watch) -> list[float]:
    """Half of them while nobody else watches, so that the encoder begins for each; half beside another viewer."""
    url = watch.whep_url(CAMERA)
    with Child("watcher.py", "join", url, "--times", str(JOINS)) as alone:
        joins_s: list[float] = json.loads(alone.leave(JOIN_TIMEOUT_S))
    with Child("watcher.py", "watch", url) as other:
        other.wait_for("connected")
        with Child("watcher.py", "join", url, "--times", str(JOINS)) as beside:
            joins_s += json.loads(beside.leave(JOIN_TIMEOUT_S))
    return joins_s


def _study(watch: Watch, address: str, warm_s: float, seconds: float) -> tuple[Sight, tuple[float, float]]:
    url, results = watch.whep_url(CAMERA), watch.results_url(CAMERA)
    with Child("watcher.py", "study", url, "--camera", address, "--results", results) as student:
        student.wait_for("connected")
        time.sleep(warm_s)
        start_s = time.monotonic()
        time.sleep(seconds)
        window = start_s, time.monotonic()
        return Sight.of(json.loads(student.leave())), window


def summary(one: Audience) -> dict[str, float]:
    """For the file."""
    return {
        "cpu_nobody": one.nobody,
        "cpu_1_viewer": one.one.cpu,
        "cpu_16_viewers": one.many.cpu,
        "fps_1_viewer": one.one.fps,
        "fps_16_viewers": one.many.fps,
        "first_picture_p50_s": median(one.joins_s),
        "score_age_p50_ms": float(np.median(one.ages_ms)) if one.ages_ms else float("nan"),
    }
