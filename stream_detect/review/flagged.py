"""Flagged frames: the highest scores of each face in a file, kept as JPEGs while the file is examined.

Nothing is decoded twice: a frame is scaled down at once, and encoded if no better one follows within a second.
"""

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np

from stream_detect.analysis.crop import cut
from stream_detect.errors import AnalysisError
from stream_detect.media.jpeg import encode_jpeg
from stream_detect.overlay.sprite import STATE_RGB
from stream_detect.review.models import ReviewModel
from stream_detect.types import CropPolicy, Image, Result, TrackResult, VerdictState, Xyxy

_SPACING_S = 1.0
"""Minimum time between two flagged frames of one face: neighbouring frames are alike."""
_MAX_SIDE_PX = 960
_MAX_PENDING = 16
_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Flagged:
    """One flagged frame.

    Args:
        n: number from 1, in order of time.
        time_s: time of the frame.
        track: track number of the face.
        box: box of the face, xyxy in pixels of the upright frame.
        score: calibrated score of the face in this frame.
        picture: JPEG of the frame, at most 960 px, with the box.
        heat_map: JPEG of the model's input with what indicates a fake; None if none can be drawn.
    """

    n: int
    time_s: float
    track: int
    box: Xyxy
    score: float
    picture: bytes
    heat_map: bytes | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A frame that may be kept: `small` is its reduced image, `scale` the size of that image / that of the frame."""

    began_s: float
    time_s: float
    track: int
    box: Xyxy
    score: float
    small: Image
    scale: float
    crop: Image


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A kept frame as JPEG."""

    of: _Candidate
    picture: bytes


class Flagging:
    """Collects the flagged frames of one file for one model, at most `max_flagged` at any time.

    Args:
        model: the model.
        crop: crop policy of the model.
        max_flagged: maximum number of frames.
    """

    def __init__(self, model: ReviewModel, crop: CropPolicy, max_flagged: int) -> None:
        self._model = model
        self._crop = crop
        self._enter = model.judge.thresholds.fake_enter
        self._max = max_flagged
        self._pending: dict[int, _Candidate] = {}
        self._kept: list[_Encoded] = []

    def take(self, image: Image, result: Result) -> None:
        """Examines one sampled frame.

        Args:
            image: RGB uint8 (h, w, 3).
            result: its result.
        """
        small: Image | None = None
        for track in result.tracks:
            if track.score is None or track.score < self._enter or not self._max:
                continue
            held = self._pending.get(track.track_id)
            if held is not None and result.time_s - held.began_s >= _SPACING_S:
                self._keep(self._pending.pop(track.track_id))
                held = None
            if held is not None and held.score >= track.score:
                continue
            small = _small(image) if small is None else small
            candidate = self._candidate(image, small, result.time_s, track, held)
            if candidate is not None:
                self._pending[track.track_id] = candidate
        while len(self._pending) > _MAX_PENDING:
            self._keep(self._pending.pop(next(iter(self._pending))))

    def finished(self) -> tuple[Flagged, ...]:
        """The kept frames in order of time, with their heat maps."""
        for candidate in self._pending.values():
            self._keep(candidate)
        self._pending.clear()
        ordered = sorted(self._kept, key=lambda kept: (kept.of.time_s, kept.of.track))
        return tuple(self._flagged(n, kept) for n, kept in enumerate(ordered, 1))

    def _candidate(
        self, image: Image, small: Image, time_s: float, track: TrackResult, held: _Candidate | None
    ) -> _Candidate | None:
        try:
            crop = cut(image, track.face, self._crop)
        except AnalysisError:  # cannot happen: the face was cropped for its score
            return held
        began_s = time_s if held is None else held.began_s
        scale = small.shape[1] / image.shape[1]
        return _Candidate(began_s, time_s, track.track_id, track.face.xyxy, track.score or 0.0, small, scale, crop)

    def _keep(self, candidate: _Candidate) -> None:
        """Keeps a frame; if there are too many, drops the lowest score of the face that has most."""
        full = len(self._kept) >= self._max
        if full and candidate.score <= min(kept.of.score for kept in self._kept) and self._has(candidate.track):
            return
        self._kept.append(_Encoded(candidate, _with_box(candidate)))
        if full:
            counts = Counter(kept.of.track for kept in self._kept)
            most = max(counts.values())
            crowded = [kept for kept in self._kept if counts[kept.of.track] == most]
            self._kept.remove(min(crowded, key=lambda kept: kept.of.score))

    def _has(self, track: int) -> bool:
        return any(kept.of.track == track for kept in self._kept)

    def _flagged(self, n: int, kept: _Encoded) -> Flagged:
        of = kept.of
        heat = self._model.heat_maps.draw(of.crop)
        heat_map = None if heat is None else encode_jpeg(heat, _QUALITY)
        return Flagged(n, of.time_s, of.track, of.box, of.score, kept.picture, heat_map)


def _small(image: Image) -> Image:
    """A copy of at most 960 px."""
    h, w = image.shape[:2]
    scale = min(1.0, _MAX_SIDE_PX / max(h, w))
    size = max(round(w * scale), 1), max(round(h * scale), 1)
    return np.array(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _with_box(candidate: _Candidate) -> bytes:
    image = candidate.small.copy()  # shared by all faces of the frame
    left, top, right, bottom = (
        round(min(max(value * candidate.scale, -_MAX_SIDE_PX), 2 * _MAX_SIDE_PX)) for value in candidate.box
    )
    for colour, px in (((16, 18, 20), 5), (STATE_RGB[VerdictState.FAKE], 3)):
        cv2.rectangle(image, (left, top), (right, bottom), colour, px, cv2.LINE_AA)
    return encode_jpeg(image, _QUALITY)
