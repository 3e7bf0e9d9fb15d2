"""Judges the files of an evaluation, each by several models, on several threads.

The score of a still is that of its worst face among those that the quality gate admits. A video goes through the
pipeline that serves, so each face is sampled, gated and scored as in a live check; its score is the window's robust
mean over the whole file, of its worst face.
"""

import math
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Literal

import cv2
import numpy as np

from stream_detect.analysis.crop import cut
from stream_detect.analysis.pipeline import SideBySide
from stream_detect.analysis.quality import QualityGate, short_side_px
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.analysis.window import ScoreWindow
from stream_detect.errors import AnalysisError, MediaError
from stream_detect.evaluation.crops import middle_face
from stream_detect.evaluation.dataset import tar_name
from stream_detect.evaluation.degradation import Condition
from stream_detect.evaluation.manifest import ManifestEntry
from stream_detect.evaluation.media import Files, frames, sampled
from stream_detect.types import Classifier, Detector, Face, Frame, Image, Result, VerdictState

_MAX_SCORES = 1_000_000
"""Maximum number of scores of one face in one video: two days at 5 Hz."""


class VideoScores:
    """Scores of one model for one video.

    Args:
        min_scores: scores of a face that a verdict needs.
    """

    def __init__(self, min_scores: int) -> None:
        self._needed = min_scores
        self._windows: dict[int, ScoreWindow] = {}
        self._refused: Counter[str] = Counter()
        self._frames: list[float] = []
        self._state = VerdictState.NO_FACE
        self._first_s = math.inf
        self._last_s = -math.inf
        self.alarms = 0

    def take(self, result: Result) -> None:
        """Adds the result of the next sampled frame."""
        self._first_s, self._last_s = min(self._first_s, result.time_s), max(self._last_s, result.time_s)
        self.alarms += result.verdict.state is VerdictState.FAKE and self._state is not VerdictState.FAKE
        self._state = result.verdict.state
        self._keep(result)

    @property
    def frames(self) -> tuple[float, ...]:
        """fake_probability of each scored frame, that of its worst face."""
        return tuple(self._frames)

    @property
    def length_s(self) -> float:
        """Stream time between the first and the last frame."""
        return max(self._last_s - self._first_s, 0.0)

    @property
    def refused(self) -> str | None:
        """Most frequent reason for rejection; None if nothing was rejected."""
        return min(self._refused, key=lambda reason: (-self._refused[reason], reason)) if self._refused else None

    def fake_probability(self) -> float | None:
        """The window's robust mean over the whole video for the worst face; None if there are no scores.

        Only faces with as many scores as a verdict needs count. If the video is too short for that, the face seen most
        counts, so that a passer-by does not decide.
        """
        evidences = [window.evidence() for window in self._windows.values()]
        enough = [each for each in evidences if each.admitted >= self._needed]
        most = max((each.admitted for each in evidences), default=0)
        chosen = enough or [each for each in evidences if each.admitted == most]
        return max((each.fake_probability for each in chosen if each.fake_probability is not None), default=None)

    def _keep(self, result: Result) -> None:
        scores = []
        for track in result.tracks:
            if track.rejected is not None:
                self._refused[track.rejected] += 1
            if track.score is not None:
                window = self._windows.setdefault(track.track_id, ScoreWindow(math.inf, _MAX_SCORES))
                window.add(result.time_s, math.log(track.score / (1.0 - track.score)))
                scores.append(track.score)
        if scores:
            self._frames.append(max(scores))


NO_FACE = "no face found"
CROP_ITSELF = "no face found again: the crop itself was judged"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Result of one model for one file.

    Args:
        fake_probability: calibrated, in [0, 1]; None without a usable face.
        faces: number of faces in the picture, or the maximum in a sampled frame.
        reason: why there is no score, or a remark on it; empty if there is nothing to say.
        frames: fake_probability of each scored frame of a video, that of its worst face.
        alarms: times at which the badge of a video turned to FAKE.
        length_s: stream time between the first and the last sample of a video.
    """

    fake_probability: float | None
    faces: int
    reason: str = ""
    frames: tuple[float, ...] = ()
    alarms: int = 0
    length_s: float = 0.0

    @property
    def crop_itself(self) -> bool:
        """Whether a crop was judged as a whole because no face was found in it."""
        return self.reason == CROP_ITSELF


class FileJudge:
    """Judges files one after the other; one per thread.

    Args:
        detector: detector for whole pictures and videos.
        crop_detector: detector with a low threshold, for pictures that are known to be faces.
        classifiers: one per model, in order.
        settings: settings of the analysis.
    """

    def __init__(
        self,
        detector: Detector,
        crop_detector: Detector,
        classifiers: Sequence[Classifier],
        settings: AnalysisSettings,
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
        """Judges a face crop; if no face is found in it, the crop as a whole.

        The quality gate is not applied, because the crop has already been chosen.

        Args:
            image: RGB uint8 (h, w, 3).
        """
        face = middle_face(image, self._crop_detector)
        return tuple(_crop(image, face, classifier) for classifier in self._classifiers)

    def video(self, frames: Iterable[Frame]) -> tuple[Judgement, ...]:
        """Judges the sampled frames of a video; faces are detected once for all models.

        Args:
            frames: frames of one file, in order.
        """
        look = SideBySide(self._detector, self._classifiers, self._settings)
        videos = [VideoScores(self._settings.window.min_scores) for _ in self._classifiers]
        most = 0
        for frame in frames:
            for video, result in zip(videos, look.step(frame), strict=True):
                video.take(result)
            most = max(most, look.faces)
        return tuple(_of(video, most) for video in videos)


def _worst(image: Image, fit: list[Face], found: int, unusable: str, classifier: Classifier) -> Judgement:
    scores = []
    for face in fit:
        try:
            crop = cut(image, face, classifier.crop)
        except AnalysisError:  # of this face only: its key points define no square
            unusable = "features unclear"
        else:
            scores.append(_score(crop, classifier))
    return Judgement(max(scores), found) if scores else Judgement(None, found, unusable)


def _crop(image: Image, face: Face | None, classifier: Classifier) -> Judgement:
    if face is not None:
        try:
            return Judgement(_score(cut(image, face, classifier.crop), classifier), 1)
        except AnalysisError:  # its key points define no square: treated as not found
            face = None
    shrinks = min(image.shape[:2]) > max(classifier.crop.wh)
    whole = cv2.resize(image, classifier.crop.wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return Judgement(_score(np.asarray(whole, np.uint8), classifier), 0, CROP_ITSELF)


def _score(crop: Image, classifier: Classifier) -> float:
    raw = float(classifier.predict(crop[np.newaxis])[0])
    if not 0.0 <= raw <= 1.0:
        raise AnalysisError(f"expected a fake_probability in [0, 1] from the classifier, received {raw}")
    return 1.0 / (1.0 + math.exp(-classifier.calibration.logit(raw)))


def _of(video: VideoScores, faces: int) -> Judgement:
    probability = video.fake_probability()
    reason = "" if probability is not None else video.refused or NO_FACE
    return Judgement(probability, faces, reason, video.frames, video.alarms, video.length_s)


Kind = Literal["image", "video", "unreadable"]

_AHEAD = 16
"""Files in progress or done at once per thread, so that a slow consumer does not fill the memory."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A file, judged or not.

    Args:
        entry: entry of the manifest.
        kind: kind of the file; "unreadable" if it could not be read.
        judgements: one per model, in order.
    """

    entry: ManifestEntry
    kind: Kind
    judgements: tuple[Judgement, ...]


class Examination:
    """Judges files on several threads.

    Args:
        files: files of each manifest.
        judges: one per thread.
        models: number of models of each judge.
        crops: whether the pictures are already face crops.
        rate_hz: sampled frames per second of a video.
    """

    def __init__(
        self, files: Sequence[Files], judges: Sequence[FileJudge], models: int, *, crops: bool, rate_hz: float
    ) -> None:
        self._files = tuple(files)
        self._judges: SimpleQueue[FileJudge] = SimpleQueue()
        for judge in judges:
            self._judges.put(judge)
        self._threads = len(judges)
        self._models = models
        self._crops = crops
        self._rate_hz = rate_hz

    def run(self, entries: Iterable[ManifestEntry], condition: Condition | None = None) -> Iterator[Outcome]:
        """Judges each file with all models.

        Args:
            entries: entries of the manifest.
            condition: degradation; None for unmodified files.

        Raises:
            AnalysisError: the detector or a model failed.
        """
        for files in self._files:
            files.index()
        waiting: deque[Future[Outcome]] = deque()
        pool = ThreadPoolExecutor(self._threads, "examination")
        try:
            for entry in entries:
                waiting.append(pool.submit(self._examine, entry, condition))
                if len(waiting) >= _AHEAD * self._threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _examine(self, entry: ManifestEntry, condition: Condition | None) -> Outcome:
        judge = self._judges.get()
        try:
            return self._judged(entry, judge, condition)
        except MediaError as error:
            return Outcome(entry, "unreadable", (Judgement(None, 0, str(error)),) * self._models)
        finally:
            self._judges.put(judge)

    def _judged(self, entry: ManifestEntry, judge: FileJudge, condition: Condition | None) -> Outcome:
        # A training reads a row's picture from the tar of its split and label.
        tar = tar_name(entry.columns.get("split", ""), entry.label)
        loaded = self._files[entry.table].load(entry.file, tar)
        rng = np.random.default_rng(zlib.crc32(entry.file.encode()))  # the same numbers for a file every time
        if not isinstance(loaded, np.ndarray):
            stream = frames(loaded)
            taken = condition.video(stream, self._rate_hz, rng) if condition else sampled(stream, self._rate_hz)
            return Outcome(entry, "video", judge.video(taken))
        image = condition.picture(loaded, rng) if condition else loaded
        return Outcome(entry, "image", judge.crop(image) if self._crops else judge.picture(image))
