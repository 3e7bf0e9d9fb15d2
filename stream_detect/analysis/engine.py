"""Engine: settings and model factories enter once, at the composition root; a worker for each stream leaves."""

import time
from collections.abc import Callable

from stream_detect.analysis.health import Health
from stream_detect.analysis.pipeline import Pipeline
from stream_detect.analysis.quality import QualityGate
from stream_detect.analysis.sampler import Sampler
from stream_detect.analysis.tracks import Tracker
from stream_detect.analysis.worker import AnalysisWorker
from stream_detect.settings import Settings
from stream_detect.types import Classifier, Detector, Frame, Result


class Engine:
    """Gives every stream an analysis of its own; what streams share is the health.

    Args:
        settings: `faces`, `quality` and `window` are used.
        detector_factory: makes a detector; called once a stream, on the stream's thread.
        classifier_factory: makes a classifier; likewise.
        clock: monotonic seconds, the clock of `Frame.arrived_s`.
    """

    def __init__(
        self,
        settings: Settings,
        detector_factory: Callable[[], Detector],
        classifier_factory: Callable[[], Classifier],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.health = Health(clock)
        self._detector_factory = detector_factory
        self.classifier_factory = classifier_factory
        self._clock = clock

    def judge_by(self, classifier_factory: Callable[[], Classifier]) -> None:
        """Another model: streams to come begin with it, running ones take it at their next step, from any thread.

        Args:
            classifier_factory: makes a classifier; called once a stream, on the stream's thread.
        """
        self.classifier_factory = classifier_factory

    def sampler(self) -> Sampler:
        """Which frames of a stream to submit to its worker."""
        return Sampler(self.settings.faces.rate_hz)

    def pipeline(self) -> Pipeline:
        """The analysis of one stream, to be stepped by the caller (a file, a test); `worker` runs it on a thread."""
        return Pipeline(
            self._detector_factory(),
            self.classifier_factory(),
            Tracker(self.settings.faces),
            QualityGate(self.settings.quality),
            self.settings,
        )

    def worker(self, on_result: Callable[[Result], None]) -> AnalysisWorker:
        """A worker for one stream, not yet started: `with engine.worker(...) as worker`, or `start` and `close`.

        Args:
            on_result: takes each result, on the worker's thread.
        """
        return AnalysisWorker(lambda: _Following(self), on_result, self.health, self._clock)


class _Following:
    """A pipeline that always judges by the engine's model."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._judge = engine.classifier_factory
        self._pipeline = engine.pipeline()

    def step(self, frame: Frame) -> Result:
        """See `Pipeline.step`."""
        judge = self._engine.classifier_factory
        if judge is not self._judge:
            self._pipeline.judge_by(judge())
            self._judge = judge
        return self._pipeline.step(frame)
