"""Tracks: numbers the faces of a stream from sample to sample, until a cut."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_detect.analysis.cuts import Appearance, Comparison, CutDetector, appearance
from stream_detect.settings import FaceSettings
from stream_detect.types import Face, Image


def overlaps(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Intersection over union of each box of a (n, 4) and each of b (m, 4): (n, m) in [0, 1]; 0 without area."""
    wh = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.maximum(wh, 0).prod(axis=2, dtype=np.float64)
    union = _areas(a)[:, None] + _areas(b)[None, :] - shared
    share: NDArray[np.float64] = np.zeros_like(shared)
    np.divide(shared, union, out=share, where=union > 0)
    return share


def _areas(boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    wh = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).astype(np.float64)
    return np.asarray(wh[:, 0] * wh[:, 1])


_SMOOTHING = 0.5
"""Weight of the newest motion: it damps the detector's jitter (about 1% of a face), and shows a turn within two
samples."""

_MAX_AHEAD_S = 0.2
"""How far a motion is extrapolated: two samples at 10 Hz. Beyond that, heads have stopped or turned."""


@dataclass(frozen=True, slots=True)
class Track:
    """A face with its track number.

    Args:
        track_id: from 1; constant while the face stays, never reused in a stream.
        face: as detected.
        after_cut: another face was at this position when the track began.
        settled: whether this sample certainly shows the track's person; if not, it must not be scored.
        appearance: appearance of the face in this sample; None if the tracker did not get the frame.
    """

    track_id: int
    face: Face
    after_cut: bool = False
    settled: bool = True
    appearance: Appearance | None = None


class Tracker:
    """Assigns the faces of one stream to tracks.

    A face belongs to the track whose box, extrapolated by its motion, it overlaps most; best pairs first. A face
    without a track begins one. A face that is gone for longer than `lost_s` and comes back gets a new track, because it
    may be someone else; so does a face that looks like another person from one sample to the next (see `cuts`). A
    change of the frames' size ends no track.

    Only a clear face begins a track, because false detections seldom reach that score (measured:
    settings.FaceSettings). An unclear face continues a track, but does not begin one.

    Args:
        settings: `begin_score`, `min_iou` and `lost_s` are used, each with its reason.
    """

    def __init__(self, settings: FaceSettings | None = None) -> None:
        self._settings = settings or FaceSettings()
        self._trails: list[_Trail] = []
        self._last_id = 0
        self._wh: tuple[int, int] | None = None

    @property
    def alive(self) -> frozenset[int]:
        """Numbers of the tracks that later faces may still belong to, whether or not they are in the newest frame."""
        return frozenset(trail.track_id for trail in self._trails)

    def update(self, faces: list[Face], time_s: float, image: Image | None = None, *, gap: bool = False) -> list[Track]:
        """Assigns the faces of one frame to tracks; returns those that have one, in the order given.

        Args:
            faces: of the stream's next frame.
            time_s: its stream time; a step back of more than `lost_s` ends all tracks, like a gap of that length.
            image: the frame, RGB uint8 (h, w, 3); None matches faces by their boxes only, even across cuts.
            gap: packets were lost just before the frame, so that a cut has to be confirmed by the next one.
        """
        limits = self._settings
        if image is not None:
            self._fit((image.shape[1], image.shape[0]))
        self._trails = [trail for trail in self._trails if abs(time_s - trail.seen_s) <= limits.lost_s]
        boxes = np.array([face.xyxy for face in faces], np.float64).reshape(-1, 4)
        expected = np.array([trail.expected(time_s) for trail in self._trails], np.float64).reshape(-1, 4)
        matched = dict(_best_pairs(overlaps(boxes, expected), limits.min_iou))
        known = list(self._trails)
        tracks = []
        for i, face in enumerate(faces):
            trail = known[matched[i]] if i in matched else None
            now = None if image is None else appearance(image, face.xyxy, time_s)
            sight = Comparison.SAME if trail is None else trail.look(image, now, gap=gap)
            after_cut = sight is Comparison.CUT
            if trail is not None and not after_cut:
                trail.move_to(boxes[i], time_s)
                settled = sight is Comparison.SAME
                tracks.append(Track(trail.track_id, face, trail.after_cut, settled=settled, appearance=now))
                continue
            if trail is not None:
                self._trails.remove(trail)
            if face.score >= limits.begin_score:
                trail = self._begin(boxes[i], time_s, after_cut=after_cut)
                trail.look(image, now)
                tracks.append(Track(trail.track_id, face, after_cut, appearance=now))
        return tracks

    def reset(self) -> None:
        """Forgets all tracks (the stream restarted); numbers are not reused."""
        self._trails = []

    def _fit(self, wh: tuple[int, int]) -> None:
        """Scales all trails when the size of the frames changes: a sender adapts it to its link, a window is resized.

        Args:
            wh: size of the next frame.
        """
        if self._wh is not None and wh != self._wh:
            for trail in self._trails:
                trail.scale(wh[0] / self._wh[0], wh[1] / self._wh[1])
        self._wh = wh

    def _begin(self, box: NDArray[np.float64], time_s: float, *, after_cut: bool) -> "_Trail":
        self._last_id += 1
        self._trails.append(_Trail(self._last_id, box, time_s, after_cut=after_cut))
        return self._trails[-1]


class _Trail:
    """Where a track was last seen, how it moved, and what it looked like within the last seconds."""

    def __init__(self, track_id: int, box: NDArray[np.float64], seen_s: float, *, after_cut: bool) -> None:
        self.track_id = track_id
        self.seen_s = seen_s
        self.after_cut = after_cut
        self._box = box
        self._px_per_s = np.zeros(2)
        self._cuts: CutDetector | None = None

    def expected(self, time_s: float) -> NDArray[np.float64]:
        """The expected box (4,) xyxy at `time_s`."""
        ahead_s = min(max(time_s - self.seen_s, 0.0), _MAX_AHEAD_S)
        return self._box + np.tile(self._px_per_s * ahead_s, 2)

    def scale(self, x: float, y: float) -> None:
        """Scales position and motion."""
        self._box = self._box * (x, y, x, y)
        self._px_per_s = self._px_per_s * (x, y)

    def move_to(self, box: NDArray[np.float64], time_s: float) -> None:
        """Records where the face was found."""
        passed_s = time_s - self.seen_s
        if passed_s > 0:
            moved = (box - self._box).reshape(2, 2).mean(axis=0) / passed_s
            self._px_per_s += _SMOOTHING * (moved - self._px_per_s)
        self._box, self.seen_s = box, time_s

    def look(self, image: Image | None, now: Appearance | None, *, gap: bool = False) -> Comparison:
        """Compares the face with the track's earlier appearances; the first one has nothing to compare with."""
        if image is None or now is None:
            return Comparison.SAME
        if self._cuts is None:
            self._cuts = CutDetector(now)
            return Comparison.SAME
        return self._cuts.look(image, now, gap=gap)


def _best_pairs(shares: NDArray[np.float64], least: float) -> list[tuple[int, int]]:
    """Rows and columns matched one to one, largest share first, none below `least`."""
    pairs: list[tuple[int, int]] = []
    left = shares.copy()
    while left.size and (best := left.max()) >= least:
        row, column = (int(i) for i in np.unravel_index(left.argmax(), left.shape))
        if best <= 0.0:
            break
        pairs.append((row, column))
        left[row, :] = left[:, column] = -1.0
    return pairs
