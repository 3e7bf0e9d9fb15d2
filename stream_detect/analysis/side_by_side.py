"""Several models at the same stream: a sampled `Frame` enters, a `Result` a model leaves; faces are searched once."""

from collections.abc import Sequence

from stream_detect.analysis.pipeline import Pipeline
from stream_detect.analysis.quality import QualityGate
from stream_detect.analysis.tracks import Tracker
from stream_detect.settings import Settings
from stream_detect.types import Classifier, Detector, Face, Frame, Image, Result


class SideBySide:
    """The analysis of one stream by several models. As synchronous as `Pipeline`, and as little safe to share.

    A face has the same track number with all models: they are given the same faces.

    Args:
        detector: finds faces.
        classifiers: of the models, in order.
        settings: `faces`, `quality` and `window` are used.
    """

    def __init__(self, detector: Detector, classifiers: Sequence[Classifier], settings: Settings) -> None:
        self._detector = detector
        self._found = _Found()
        self._pipelines = tuple(
            Pipeline(self._found, classifier, Tracker(settings.faces), QualityGate(settings.quality), settings)
            for classifier in classifiers
        )

    def step(self, frame: Frame) -> tuple[Result, ...]:
        """Analyses one sampled frame, the next of its stream.

        Returns:
            As of `Pipeline.step`, one a model.

        Raises:
            AnalysisError: the detector or a classifier could not be run.
        """
        return self.judge(frame, self._detector.detect(frame.image))

    def judge(self, frame: Frame, faces: Sequence[Face]) -> tuple[Result, ...]:
        """The same with faces that were found before, on whatever thread: finding them remembers nothing of a stream.

        Args:
            frame: the next of its stream.
            faces: that the detector found in it.

        Raises:
            AnalysisError: a classifier could not be run.
        """
        self._found.faces = list(faces)
        return tuple(pipeline.step(frame) for pipeline in self._pipelines)

    @property
    def faces(self) -> int:
        """How many were found in the newest frame."""
        return len(self._found.faces)


class _Found:
    """A detector that was asked already."""

    def __init__(self) -> None:
        self.faces: list[Face] = []

    def detect(self, image: Image) -> list[Face]:  # noqa: ARG002 - the seam's
        """Those found in the present frame."""
        return self.faces
