"""Examines real files with scripted models, at once or when released; without OpenVINO."""

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import av
import numpy as np

from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector, upright_face
from stream_detect.errors import ReviewCancelledError
from stream_detect.jobs.fetch import fetch
from stream_detect.jobs.incoming import IncomingFile, ReceivedFile
from stream_detect.review.annotated_video import StoredResults, annotate
from stream_detect.review.examination import Hooks, examine
from stream_detect.review.models import ExaminationSettings, ModelFacts, ReviewModel, ReviewModels
from stream_detect.review.results import Reviewed
from stream_detect.types import Thresholds

SHA256 = {"scripted": "a" * 64, "other": "b" * 64}
SCORES = {"scripted": 0.95, "other": 0.05}
MODELS = tuple(SHA256.items())


def models_of(models: Sequence[str], settings: ExaminationSettings) -> ReviewModels:
    """Models with one face in every frame, which "scripted" calls fake and "other" real."""
    detector = lambda: ScriptedDetector([upright_face((40.0, 30.0, 110.0, 100.0))])  # noqa: E731
    judging = tuple(
        ReviewModel(
            ModelFacts(name, name.title(), SHA256[name], "none", (), Thresholds()),
            partial(ScriptedClassifier, SCORES[name]),
        )
        for name in models
    )
    return ReviewModels(judging, detector, settings)


class ScriptedReviewer:
    """A `jobs.reviewer.Reviewer`.

    Args:
        settings: settings of the examinations.
    """

    def __init__(self, settings: ExaminationSettings) -> None:
        self._settings = settings
        self.looked_at: list[Path] = []
        self.begun = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.fails: Exception | None = None

    @property
    def at_once(self) -> int:
        """Where reviews run, as without a cluster."""
        return self._settings.review.jobs

    def review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> Reviewed:
        """Waits until it is released."""
        self.looked_at.append(file)
        self._wait(hooks)
        return examine(file, models_of(models, self._settings), rate_hz, hooks)

    def annotate(self, file: Path, to: Path, results: Path, model: str, hooks: Hooks) -> None:
        """Once it may go on."""
        self._wait(hooks)
        annotate(file, to, StoredResults.read(results, model, self._settings.window), self._settings, hooks)

    def fetch(self, address: str, to: IncomingFile, hooks: Hooks) -> ReceivedFile:
        """Once it may go on."""
        self._wait(hooks)
        return fetch(address, to, self._settings.review, hooks)

    def close(self) -> None:
        """Nothing is running."""

    def _wait(self, hooks: Hooks) -> None:
        self.begun.set()
        hooks.on_progress(0.5)
        while not self.may_go_on.wait(0.01):
            hooks.on_progress(0.5)
            hooks.give_way()
            if hooks.cancelled():
                raise ReviewCancelledError("cancelled")
        if self.fails is not None:
            raise self.fails


def write_clip(path: Path, seconds: float = 2.0, seed: int = 0) -> Path:
    """A textured MP4 of 160x120 at 10 fps; a different seed gives different bytes."""
    texture = np.random.default_rng(seed).integers(60, 200, (12, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(round(seconds * 10)):
            frame = av.VideoFrame.from_ndarray(np.roll(texture, number, 1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
