"""The engine: makes the analysis of each stream from the settings and models that all streams share."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from stream_detect.analysis.challenge_control import ChallengeControl
from stream_detect.analysis.head import HeadReader
from stream_detect.analysis.mesh import FaceMesh
from stream_detect.analysis.pipeline import Pipeline
from stream_detect.analysis.quality import QualityGate
from stream_detect.analysis.sampler import Sampler
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.analysis.tracks import Tracker
from stream_detect.analysis.worker import AnalysisWorker, Health
from stream_detect.types import Classifier, Detector, Frame, Result


@dataclass(frozen=True, slots=True)
class JudgingModel:
    """A model that can serve.

    Args:
        classifier: makes a classifier of this model.
        sha256: of its bundle.
    """

    classifier: Callable[[], Classifier]
    sha256: str


class Engine:
    """Makes the analysis of each stream; streams share only the health.

    Args:
        settings: for all streams.
        detector_factory: makes a detector; called once per stream, on the stream's thread.
        classifier_factory: makes a classifier; called once per stream, on the stream's thread.
        clock: monotonic seconds, the clock of `Frame.arrived_s`.
        model_sha256: of the bundle of `classifier_factory`; every result states it.
    """

    def __init__(
        self,
        settings: AnalysisSettings,
        detector_factory: Callable[[], Detector],
        classifier_factory: Callable[[], Classifier],
        clock: Callable[[], float] = time.monotonic,
        *,
        model_sha256: str = "",
    ) -> None:
        self.settings = settings
        self.health = Health(clock)
        self._detector_factory = detector_factory
        self.model = JudgingModel(classifier_factory, model_sha256)
        self._clock = clock
        self._mesh_lock = threading.Lock()
        self._mesh: FaceMesh | None = None  # compiled when the first challenge starts

    @property
    def classifier_factory(self) -> Callable[[], Classifier]:
        """Makes a classifier of the current model."""
        return self.model.classifier

    def judge_by(self, classifier_factory: Callable[[], Classifier], model_sha256: str = "") -> None:
        """Changes the model: new streams start with it, running ones switch at their next step. Thread-safe.

        Args:
            classifier_factory: makes a classifier; called once per stream, on the stream's thread.
            model_sha256: of its bundle.
        """
        self.model = JudgingModel(classifier_factory, model_sha256)

    def sampler(self, rate_hz: float | None = None) -> Sampler:
        """Makes the sampler that picks the frames to submit to a stream's worker.

        Args:
            rate_hz: sampling rate of this stream; default `settings.faces.rate_hz`.

        Raises:
            SettingsError: at this rate no verdict could be reached.
        """
        return Sampler(self.settings.at_rate(rate_hz).faces.rate_hz)

    def challenge(self) -> ChallengeControl:
        """Makes the challenge control of one stream, for `worker` or `pipeline`; no challenge is started."""
        return ChallengeControl(self._head_reader)

    def pipeline(self, rate_hz: float | None = None, challenge: ChallengeControl | None = None) -> Pipeline:
        """Makes the analysis of one stream, which the caller steps (a file, a test); `worker` runs it on a thread.

        Args:
            rate_hz: sampling rate of its frames; default `settings.faces.rate_hz`.
            challenge: of the stream.

        Raises:
            SettingsError: at this rate no verdict could be reached.
        """
        settings = self.settings.at_rate(rate_hz)
        pipeline = Pipeline(
            self._detector_factory(),
            self.model.classifier(),
            Tracker(settings.faces),
            QualityGate(settings.quality),
            settings,
        )
        pipeline.challenge = challenge
        return pipeline

    def worker(
        self,
        on_result: Callable[[Result], None],
        rate_hz: float | None = None,
        challenge: ChallengeControl | None = None,
    ) -> AnalysisWorker:
        """Makes a worker for one stream, not yet started: use it in a `with` statement, or call `start` and `close`.

        Args:
            on_result: called with each result, on the worker's thread.
            rate_hz: sampling rate of its frames; default `settings.faces.rate_hz`.
            challenge: of the stream; None if nobody can request one.

        Raises:
            SettingsError: at this rate no verdict could be reached.
        """
        self.settings.at_rate(rate_hz)  # raises here what would otherwise fail on the worker's thread
        return AnalysisWorker(
            lambda: _Following(self, rate_hz, challenge), on_result, self.health, self._clock, challenge
        )

    def _head_reader(self) -> HeadReader:
        with self._mesh_lock:
            if self._mesh is None:
                self._mesh = FaceMesh()
            return HeadReader(self._mesh.sibling())


class _Following:
    """A pipeline that always uses the engine's current model."""

    def __init__(self, engine: Engine, rate_hz: float | None, challenge: ChallengeControl | None) -> None:
        self._engine = engine
        self._model = engine.model
        self._pipeline = engine.pipeline(rate_hz, challenge)

    def step(self, frame: Frame) -> Result:
        """See `Pipeline.step`."""
        model = self._engine.model
        if model is not self._model:
            self._pipeline.judge_by(model.classifier())
            self._model = model
        return replace(self._pipeline.step(frame), model_sha256=model.sha256)
