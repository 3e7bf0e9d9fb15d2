"""One file judged by several models: a picture or a video's frames enter, a judgement a model leaves.

A still is judged by its worst face among those that the quality gate lets in. A video goes through the pipeline that
serves, so each face is sampled, gated and scored as in a live check; its score is the window's robust mean over the
whole file, of its worst face.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stream_detect.analysis.crop import cut
from stream_detect.analysis.quality import QualityGate, short_side_px
from stream_detect.analysis.side_by_side import SideBySide
from stream_detect.errors import AnalysisError
from stream_detect.settings import Settings
from stream_detect.training.evaluation.footage import Footage
from stream_detect.training.refind import middle_face
from stream_detect.types import Classifier, Detector, Face, Frame, Image

NO_FACE = "no face found"
CROP_ITSELF = "no face found again: the crop itself was judged"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one model says of one file.

    Args:
        fake_probability: calibrated, in [0, 1]; None without a usable face.
        faces: found in the picture, or at most in one sampled frame.
        reason: why there is no score, or what is odd about it; empty for a plain one.
        frames: fake_probability of each frame of a video that was scored, of its worst face.
        alarms: times at which a video's badge turned to FAKE.
        length_s: stream time of a video's first sample to its last.
    """

    fake_probability: float | None
    faces: int
    reason: str = ""
    frames: tuple[float, ...] = ()
    alarms: int = 0
    length_s: float = 0.0

    @property
    def crop_itself(self) -> bool:
        """Whether a crop was judged as it came, for no face was found in it."""
        return self.reason == CROP_ITSELF


class Judge:
    """Judges one file after another; one a thread.

    Args:
        detector: for whole pictures and videos.
        crop_detector: with a low threshold, for pictures that are known to be faces.
        classifiers: of the models, in order.
        settings: `faces`, `quality` and `window` are used.
    """

    def __init__(
        self, detector: Detector, crop_detector: Detector, classifiers: Sequence[Classifier], settings: Settings
    ) -> None:
        self._detector = detector
        self._crop_detector = crop_detector
        self._classifiers = tuple(classifiers)
        self._settings = settings
        self._gate = QualityGate(settings.quality)

    def picture(self, image: Image) -> tuple[Judgement, ...]:
        """Judges a whole picture.

        Args:
            image: RGB uint8 (h, w, 3).
        """
        faces = self._detector.detect(image)
        reasons = [self._gate.reject(image, face) for face in faces]
        fit = [face for face, reason in zip(faces, reasons, strict=True) if reason is None]
        refused = [(short_side_px(face), reason) for face, reason in zip(faces, reasons, strict=True) if reason]
        unusable = max(refused)[1] if refused else NO_FACE
        return tuple(_worst(image, fit, len(faces), unusable, classifier) for classifier in self._classifiers)

    def crop(self, image: Image) -> tuple[Judgement, ...]:
        """Judges a picture that is a face crop already; where no face is found in it, the crop itself.

        The quality gate is not asked: whoever cut the crop has chosen it.

        Args:
            image: RGB uint8 (h, w, 3).
        """
        face = middle_face(image, self._crop_detector)
        return tuple(_crop(image, face, classifier) for classifier in self._classifiers)

    def video(self, frames: Iterable[Frame]) -> tuple[Judgement, ...]:
        """Judges the sampled frames of a video, which are searched for faces once for all models.

        Args:
            frames: of one file, in order.
        """
        look = SideBySide(self._detector, self._classifiers, self._settings)
        footages = [Footage(self._settings.window.min_scores) for _ in self._classifiers]
        most = 0
        for frame in frames:
            for footage, result in zip(footages, look.step(frame), strict=True):
                footage.take(result)
            most = max(most, look.faces)
        return tuple(_of(footage, most) for footage in footages)


def _worst(image: Image, fit: list[Face], found: int, unusable: str, classifier: Classifier) -> Judgement:
    scores = []
    for face in fit:
        try:
            crop = cut(image, face, classifier.crop)
        except AnalysisError:  # of this face alone: its points span no square
            unusable = "features unclear"
        else:
            scores.append(_score(crop, classifier))
    return Judgement(max(scores), found) if scores else Judgement(None, found, unusable)


def _crop(image: Image, face: Face | None, classifier: Classifier) -> Judgement:
    if face is not None:
        try:
            return Judgement(_score(cut(image, face, classifier.crop), classifier), 1)
        except AnalysisError:  # its points span no square: as good as not found
            face = None
    shrinks = min(image.shape[:2]) > max(classifier.crop.wh)
    whole = cv2.resize(image, classifier.crop.wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return Judgement(_score(np.asarray(whole, np.uint8), classifier), 0, CROP_ITSELF)


def _score(crop: Image, classifier: Classifier) -> float:
    raw = float(classifier.predict(crop[np.newaxis])[0])
    if not 0.0 <= raw <= 1.0:
        raise AnalysisError(f"expected a fake_probability in [0, 1] from the classifier, received {raw}")
    return 1.0 / (1.0 + math.exp(-classifier.calibration.logit(raw)))


def _of(footage: Footage, faces: int) -> Judgement:
    probability = footage.fake_probability()
    reason = "" if probability is not None else footage.refused or NO_FACE
    return Judgement(probability, faces, reason, footage.frames, footage.alarms, footage.length_s)
