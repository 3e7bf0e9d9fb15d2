"""Faces found again: tight pictures of one face enter, crops by a model's policy leave.

A picture that is nothing but a face has no surroundings for the detector to see it in, so it is set in the middle of
grey first. Measured on 250 such pictures: 99.6 % found, against 72 % when the surroundings mirror the face.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import cv2
import numpy as np

from stream_detect.analysis.crop import cut
from stream_detect.analysis.faces import BlazeFace
from stream_detect.errors import AnalysisError, DatasetError
from stream_detect.types import CropPolicy, Detector, Face, Image

_GREY = (128, 128, 128)
_MIN_SCORE = 0.3
"""Below serving's .6: that there is a face is known here, only where is not."""
_MAX_FACES = 8
_AHEAD = 64
"""Pictures in work at once, bounded so that a slow disk for the crops does not fill the memory."""

_Key = TypeVar("_Key")


class Cutter:
    """Cuts the faces of many pictures on several threads.

    Args:
        policy: how the model wants its faces cut.
        threads: each has a detector of its own; detecting and decoding release the interpreter.
    """

    def __init__(self, policy: CropPolicy, threads: int = 2) -> None:
        self._policy = policy
        self._threads = threads
        first = BlazeFace("full", _MIN_SCORE, _MAX_FACES)
        self._detectors: SimpleQueue[Detector] = SimpleQueue()
        for _ in range(threads):
            self._detectors.put(first.sibling())

    def cut_each(self, pictures: Iterable[tuple[_Key, bytes]]) -> Iterator[tuple[_Key, Image | None]]:
        """The face of each encoded picture, in the order given; None where none was found.

        Raises:
            DatasetError: a picture cannot be decoded; names its key.
        """
        waiting: deque[tuple[_Key, Future[Image | None]]] = deque()
        with ThreadPoolExecutor(self._threads, "cutter") as pool:
            for key, encoded in pictures:
                waiting.append((key, pool.submit(self._cut, key, encoded)))
                if len(waiting) == _AHEAD:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()

    def _cut(self, key: _Key, encoded: bytes) -> Image | None:
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR) if encoded else None
        if decoded is None:
            raise DatasetError(f"expected a picture, cannot decode it: {key}")
        image = np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
        detector = self._detectors.get()
        try:
            face = middle_face(image, detector)
        finally:
            self._detectors.put(detector)
        try:
            return None if face is None else cut(image, face, self._policy)
        except AnalysisError:  # its points coincide: not a face to learn from
            return None


def middle_face(image: Image, detector: Detector) -> Face | None:
    """The face nearest the middle of a tight picture, in the picture's own pixels; None where there is none.

    Args:
        image: RGB uint8 (h, w, 3).
        detector: with a low threshold.
    """
    h, w = image.shape[:2]
    padded = cv2.copyMakeBorder(image, h, h, w, w, cv2.BORDER_CONSTANT, value=_GREY)
    faces = detector.detect(np.asarray(padded, np.uint8))
    if not faces:
        return None
    nearest = min(faces, key=lambda face: _from_middle(face, (3 * w, 3 * h)))
    left, top, right, bottom = nearest.xyxy
    shift = np.array((w, h), np.float32)
    return Face((left - w, top - h, right - w, bottom - h), nearest.keypoints - shift, nearest.score)


def _from_middle(face: Face, wh: tuple[int, int]) -> float:
    left, top, right, bottom = face.xyxy
    return abs((left + right - wh[0]) / 2) + abs((top + bottom - wh[1]) / 2)
