"""A scene: one server, some viewers, a steady window. What it costs and what the viewers see.

The `Observation` covers the window after the warm-up and names all that makes it void: a server that did not do its
work must not win by it.
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clip import RATE_HZ, Codec
from servers import ServerKind, running
from stream import Stream, stream_of
from viewers import record_of, viewer

MIN_RETURNED_HZ = RATE_HZ - 1.0
"""For a single stream, whose cost is compared; with several the rate is what is measured."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Who serves whom.

    Args:
        kind: the server.
        codec: what the viewers offer, and hence what goes both ways.
        streams: viewers at once.
    """

    kind: ServerKind
    codec: Codec
    streams: int

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"{self.kind} {self.codec} x{self.streams}"


@dataclass(frozen=True, slots=True)
class Stage:
    """What all scenes of a run have in common.

    Args:
        folder: holds the clips; takes the logs.
        settings: of our server, as `ServerUnderTest` takes them.
        warm_s: until the encoders, the peers' bandwidth estimates and the verdicts are steady.
        window_s: what counts.
    """

    folder: Path
    settings: Mapping[str, str]
    warm_s: float
    window_s: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What a scene showed: CPU of one core for each stream, resident memory at the window's end."""

    scene: Scene
    cpu_per_stream: float
    rss_mb: float
    streams: tuple[Stream, ...]

    @property
    def void(self) -> tuple[str, ...]:
        """Why its figures are meaningless; empty when all is well."""
        reasons = [reason for stream in self.streams for reason in stream.void]
        if len(self.streams) == 1 and self.returned_hz < MIN_RETURNED_HZ:
            reasons.append(f"{self.returned_hz:.1f} fps came back, expected {RATE_HZ}")
        return tuple(f"{self.scene.name}: {reason}" for reason in reasons)

    @property
    def returned_hz(self) -> float:
        """Frames per second that came back to the worst-off viewer."""
        return min(stream.returned_hz for stream in self.streams)

    def percentile_ms(self, what: str, percent: float) -> float:
        """Of all viewers' `round_trip_ms`, `result_ms` or `score_age_ms`; NaN where there are none."""
        values = np.concatenate([getattr(stream, what) for stream in self.streams])
        return float(np.percentile(values, percent)) if values.size else float("nan")


def observe(scene: Scene, stage: Stage) -> Observation:
    """Start the server, let the viewers in, wait, measure.

    Every returned picture of a single viewer is decoded for its counter. Of several, only the first: the viewers would
    take the processors that the server is measured on.

    Args:
        scene: who serves whom.
        stage: where and how long.
    """
    with running(scene.kind, stage.folder, stage.settings) as server, ExitStack() as stack:
        viewers = [
            stack.enter_context(viewer(server.offer_url, stage.folder, scene.codec, read_all=scene.streams == 1))
            for _ in range(scene.streams)
        ]
        for one in viewers:
            one.wait_for("connected")
        time.sleep(stage.warm_s)
        start_s, before = time.monotonic(), server.footprint()
        time.sleep(stage.window_s)
        end_s, after = time.monotonic(), server.footprint()
        records = [record_of(one) for one in viewers]
    judged = scene.kind is ServerKind.OURS
    return Observation(
        scene=scene,
        cpu_per_stream=(after.cpu_s - before.cpu_s) / (end_s - start_s) / scene.streams,
        rss_mb=after.rss_mb,
        streams=tuple(stream_of(record, (start_s, end_s), judged=judged) for record in records),
    )
