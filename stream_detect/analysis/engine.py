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
    """A model that can judge.

    Args:
        classifier: makes a classifier of it.
        sha256: of its bundle.
    """

    classifier: Callable[[], Classifier]
    sha256: str


class Engine:
    """Gives every stream an analysis of its own; what streams share is the health.

    Args:
        settings: of all streams.
        detector_factory: makes a detector; called once a stream, on the stream's thread.
        classifier_factory: makes a classifier; called once a stream, on the stream's thread.
        clock: monotonic seconds, the clock of `Frame.arrived_s`.
        model_sha256: of the bundle that `classifier_factory` is of; every result names it.
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
        self._mesh: FaceMesh | None = None  # compiled when a first challenge begins

    @property
    def classifier_factory(self) -> Callable[[], Classifier]:
        """Makes a classifier of the model that judges now."""
        return self.model.classifier

    def judge_by(self, classifier_factory: Callable[[], Classifier], model_sha256: str = "") -> None:
        """Another model: streams to come begin with it, running ones take it at their next step, from any thread.

        Args:
            classifier_factory: makes a classifier; called once a stream, on the stream's thread.
            model_sha256: of its bundle.
        """
        self.model = JudgingModel(classifier_factory, model_sha256)

    def sampler(self, rate_hz: float | None = None) -> Sampler:
        """Which frames of a stream to submit to its worker.

        Args:
            rate_hz: of this stream; `settings.faces.rate_hz` if None.

        Raises:
            SettingsError: at this rate no verdict could be reached.
        """
        return Sampler(self.settings.at_rate(rate_hz).faces.rate_hz)

    def challenge(self) -> ChallengeControl:
        """The challenge of one stream, to be given to its `worker` or `pipeline`; none is started."""
        return ChallengeControl(self._head_reader)

    def pipeline(self, rate_hz: float | None = None, challenge: ChallengeControl | None = None) -> Pipeline:
        """The analysis of one stream, to be stepped by the caller (a file, a test); `worker` runs it on a thread.

        Args:
            rate_hz: at which its frames are sampled; `settings.faces.rate_hz` if None.
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
        """A worker for one stream, not yet started: `with engine.worker(...) as worker`, or `start` and `close`.

        Args:
            on_result: takes each result, on the worker's thread.
            rate_hz: at which its frames are sampled; `settings.faces.rate_hz` if None.
            challenge: of the stream; None where nobody can ask for one.

        Raises:
            SettingsError: at this rate no verdict could be reached.
        """
        self.settings.at_rate(rate_hz)  # raises here what would otherwise fail on the worker's thread
        return AnalysisWorker(lambda: _Following(self, rate_hz, challenge), on_result, self.health, self._clock)

    def _head_reader(self) -> HeadReader:
        with self._mesh_lock:
            if self._mesh is None:
                self._mesh = FaceMesh()
            return HeadReader(self._mesh.sibling())


class _Following:
    """A pipeline that always judges by the engine's model."""

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
