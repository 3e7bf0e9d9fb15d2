"""A scripted detector and classifier, for tests without a model."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from stream_detect.types import Calibration, CropPolicy, Face, Image, Thresholds, Xyxy


def upright_face(xyxy: Xyxy, score: float = 0.9) -> Face:
    """A frontal, upright face that fills the box, its key points where a detector would put them."""
    left, top, right, bottom = xyxy
    shares = np.array(((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.5, 0.8), (0.05, 0.45), (0.95, 0.45)), np.float32)
    scale = np.array((right - left, bottom - top), np.float32)
    return Face(xyxy, shares * scale + np.array((left, top), np.float32), score)


class ScriptedDetector:
    """A detector that returns scripted faces.

    Args:
        find: returns the faces of an image, or raises; a list means the same faces in every image.
    """

    def __init__(self, find: Callable[[Image], list[Face]] | list[Face]) -> None:
        self._find = find
        self.calls = 0

    def detect(self, image: Image) -> list[Face]:
        """The scripted faces."""
        self.calls += 1
        return self._find(image) if callable(self._find) else list(self._find)


class ScriptedClassifier:
    """A classifier that returns scripted scores.

    Args:
        score: returns the raw fake_probability of a crop, or raises; a sequence gives one value per crop, its last one
            repeatedly; a number is the score of every crop.
        crop: how faces are to be cut.
        calibration: of the scores; none by default.
        thresholds: of the verdict.
    """

    def __init__(
        self,
        score: Callable[[Image], float] | Sequence[float] | float,
        crop: CropPolicy = CropPolicy(wh=(64, 64)),  # noqa: B008 - frozen
        calibration: Calibration = Calibration(),  # noqa: B008 - frozen
        thresholds: Thresholds = Thresholds(),  # noqa: B008 - frozen
    ) -> None:
        self._score = score
        self.crop = crop
        self.calibration = calibration
        self.thresholds = thresholds
        self.calls = 0

    def predict(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The scripted scores, float32 (n,), of RGB crops uint8 (n, h, w, 3)."""
        return np.array([self._next(crop) for crop in crops], np.float32)

    def _next(self, crop: Image) -> float:
        index, self.calls = self.calls, self.calls + 1
        if callable(self._score):
            return self._score(crop)
        if isinstance(self._score, Sequence):
            return self._score[min(index, len(self._score) - 1)]
        return self._score
