"""Searches the frames of one stream for faces: small faces in parts of the frame, very large ones at half size.

The detector's input is 192 px wide, a tenth of a 1080p frame, in which a face of a call grid has 10 px. So large
frames are also searched in overlapping parts. All parts of the first frame, and of one after a change of scene, are
searched; between these, a few parts that show all faces are searched in turn, and the others now and then.
"""

import math
from collections import deque
from dataclasses import replace

import cv2
import numpy as np

from stream_detect.analysis.blazeface import Range
from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.frame_parts import LEAST_INPUT_PX, FramePart, parts_of
from stream_detect.settings import FaceSettings
from stream_detect.types import Face, Grey, Image, Xyxy

_CLEAR_INPUT_PX = 20.0
"""From this width in the input on, the whole frame shows a face as well as a part does."""

_SWEPT = 12
"""Parts searched in one sample after a change of scene, 29 ms; in a stream's first frame all are."""

_EXPLORED_EVERY = 5
"""Samples to one part that held no face when last searched: two a second at 10 Hz, .5 % of a core."""

_WHOLE_EVERY = 20
"""Samples at least between two searches of all parts: a picture that changes all the time is not searched so always."""

_REMEMBERED = 8
"""Samples for which a face counts as present while its part is not searched, and longer where a turn of parts takes
longer: with 25 faces up to 18 parts hold one, and at two a sample the last would be forgotten before it comes."""

_EDGE = 0.01
"""Share of a part's side: a face that comes so near to an inner edge is cut off by it, and whole in the next part."""

_SAME_FACE_IOU = 0.3
_INSIDE = 0.7
"""Share of a smaller box inside a larger one from which both are the same face."""

_SCENE_PX = 24
_SCENE_LEVELS = 16
_SCENE_SHARE = 0.4
"""A scene is another one when so many of 24 x 24 cells changed by so many grey levels."""

CLOSE_SHARE = 0.55
"""Of the frame's height or width: a face this large is believed at half size. Of 72 faces of 75 to 115 % of a frame's
height the whole frame showed 38 % (begin_score .7), half its size 93 %; smaller ones the whole frame shows itself."""

_UNCLEAR = 0.75
"""A face that fills the frame and scores less is looked at again at half its size: .54 became .83 so."""

_HALF_SIZE_FOR = 10
"""Samples for which half size comes first, once a face was clear there only: it saves the two searches before it, and
whoever appears beside that face is found a second later at most."""

_LOST = 3
"""Samples for which a face is given that was shown and is not any more: the detector misses one in 20 large faces now
and then, and other parts of the frame that show its place are searched meanwhile."""

_MOVED = 1.2
"""A face that was lost has moved, where another one is found within so many of its widths."""

_CLOSER_SIDE = 6.0
"""Side of the square in which an unclear face is looked at again / its width: it has 32 px of the input then. A face of
44 px in a dark tile scored .5 to .8 in parts, where it has 22 px; only from begin_score on it begins a track."""

_DOUBTFUL = 0.4
"""Score in a part from which a closer look is worth its 2.4 ms; without one, min_score holds."""


class FaceSearch:
    """Finds the faces of one stream, near and far. Not safe to call from two threads at once.

    Costs one run of the network a sample (full range 2.4 ms), `settings.parts_per_sample` more in frames that are wider
    than 540 px, .7 ms where no face is found, and .3 ms where one fills the frame. Faces of parts that were not
    searched are given again, marked as not `fresh`.

    Args:
        settings: `detector`, `min_score`, `max_faces` and `parts_per_sample` are used.
        finder: the detector, shared with other streams' searches; None loads it.
        close: the detector of faces that fill the frame; None loads it.

    Raises:
        AnalysisError: a model file is missing, unreadable or of another form.
    """

    def __init__(self, settings: FaceSettings, finder: BlazeFace | None = None, close: BlazeFace | None = None) -> None:
        self._settings = settings
        self._finder = finder or BlazeFace(settings.detector, settings.min_score, settings.max_faces)
        self._close = close or BlazeFace(_CLOSE_RANGE, settings.min_score, settings.max_faces)
        self._keen = self._finder.sibling(_DOUBTFUL)
        self._wh = (0, 0)
        self._parts: list[FramePart] = []
        self._turn: deque[FramePart] = deque()  # all parts, the one searched longest ago first
        self._shown: deque[FramePart] = deque()  # parts that show all faces, still to be searched in this turn
        self._doubted: deque[FramePart] = deque()  # parts that may show a face which another shows no more
        self._remembered = _REMEMBERED
        self._before: list[Face] = []  # faces that the sample before showed
        self._lost: deque[list[Face]] = deque(maxlen=_LOST)  # of the newest samples, those that were lost in each
        self._swept: deque[FramePart] = deque()  # those still to be searched since the scene changed
        self._scene: Grey | None = None
        self._samples = 0
        self._whole_at = 0
        self._half_size_for = 0  # samples to come

    def sibling(self) -> "FaceSearch":
        """A search for another stream: the same networks, nothing remembered."""
        return FaceSearch(self._settings, self._finder.sibling(), self._close.sibling())

    def detect(self, image: Image) -> list[Face]:
        """The faces of the stream's next frame, best score first, at most `max_faces`, the largest ones.

        Args:
            image: RGB uint8 (h, w, 3).

        Raises:
            AnalysisError: the image is not of that form, or the network could not be run.
        """
        wh = (image.shape[1], image.shape[0])
        if wh != self._wh:
            self._begin(wh)
        faces = self._still_close(image) or self._finder.detect(image)
        if self._parts:
            clear_px = _CLEAR_INPUT_PX * max(wh) / self._finder.input_px
            clear = [face for face in faces if _width(face) >= clear_px]
            unclear = [face for face in faces if _width(face) < clear_px]
            faces = merged(clear, self._search_parts(image, clear), unclear)
            self._lost.append(self._lost_now(faces))
            self._before = list(faces)
            faces += self._still_missed(faces)
        if all(self._is_unclear(face) for face in faces):
            faces = self._close_faces(image) or faces
        self._samples += 1
        largest = sorted(faces, key=_width, reverse=True)[: self._settings.max_faces]
        return sorted(largest, key=lambda face: face.score, reverse=True)

    def _begin(self, wh: tuple[int, int]) -> None:
        self._wh, self._scene, self._half_size_for = wh, None, 0
        self._parts = parts_of(wh, self._finder.input_px) if self._settings.parts_per_sample else []
        self._turn = deque(self._parts)
        for waiting in (self._shown, self._doubted, self._swept, self._before, self._lost):
            waiting.clear()

    def _search_parts(self, image: Image, clear: list[Face]) -> list[Face]:
        """The faces of all parts: of those that are due as they are found, of the others as they were.

        Args:
            image: the frame.
            clear: faces that the whole frame shows well; no part is searched for them.
        """
        for part in self._parts:
            part.age += 1
            if part.age > self._remembered:
                part.faces = []
        due = self._due(image)
        closer = max(self._settings.parts_per_sample, len(due) // 3)  # closer looks that may be taken
        for part in due:
            self._turn.remove(part)
            self._turn.append(part)
            found = self._found_in(image, part)
            for i, face in enumerate(found):
                if face.score < self._settings.begin_score and closer > 0 and not _is_among(face, clear):
                    closer -= 1
                    found[i] = self._looked_closer(image, face)
            found = [face for face in found if face.score >= self._settings.min_score]
            part.faces = [face for face in found if not _is_among(face, clear)]
            part.age = 0
        return [replace(face, fresh=part.age == 0) for part in self._parts for face in part.faces]

    def _due(self, image: Image) -> list[FramePart]:
        """The parts to search in this sample: after a change of scene all, else those with faces, and some others."""
        first = self._scene is None
        if self._is_new_scene(image):
            self._swept = deque(self._parts)
        count = len(self._swept) if first else min(_SWEPT, len(self._swept))
        due = [self._swept.popleft() for _ in range(count)]
        if not self._shown:
            self._begin_turn()
        for parts in (self._doubted, self._shown):
            waiting = [parts.popleft() for _ in range(min(self._settings.parts_per_sample, len(parts)))]
            due += [part for part in waiting if part not in due]
        if not self._swept and self._samples % _EXPLORED_EVERY == 0:
            due += [part for part in self._turn if not part.faces and part not in due][:1]
        return due

    def _begin_turn(self) -> None:
        """Chooses parts that show all faces: of each face the largest one that shows it clearly, so that they are few.

        All parts that hold a face would be up to three times as many, and each would be searched as much less often.
        """
        holding = sorted((part for part in self._turn if part.faces), key=lambda part: (-part.side, -len(part.faces)))
        chosen: list[FramePart] = []
        known: list[Face] = []
        for least_score in (self._settings.begin_score, 0.0):
            for part in holding:
                faces = [face for face in part.faces if face.score >= least_score]
                if any(not _is_among(face, known) for face in faces):
                    chosen.append(part)
                    known += faces
        self._shown.extend(sorted(dict.fromkeys(chosen), key=lambda part: -part.age))
        turn = math.ceil(len(self._shown) / max(self._settings.parts_per_sample, 1))
        self._remembered = max(_REMEMBERED, 2 * turn)

    def _doubt(self, lost: list[Face]) -> None:
        """Has the other parts that show a place searched where one shows a face no more: each misses one now and then.

        Args:
            lost: faces that parts showed before.
        """
        for face in lost:
            for part in self._parts:
                clear_enough = _width(face) * self._finder.input_px >= LEAST_INPUT_PX * part.side
                if clear_enough and part not in self._doubted and _within(face.xyxy, part.xyxy):
                    self._doubted.append(part)

    def _lost_now(self, faces: list[Face]) -> list[Face]:
        """Faces that the sample before showed and this one does not, unless one came up so near that it is theirs."""
        came = [face for face in faces if not _is_among(face, self._before)]
        gone = [face for face in self._before if not _is_among(face, faces)]
        return [face for face in gone if not any(_distance(face, one) < _MOVED * _width(face) for one in came)]

    def _still_missed(self, faces: list[Face]) -> list[Face]:
        """Faces that were lost a moment ago and are found nowhere since, not fresh; their places are searched again."""
        missed: list[Face] = []
        for face in (face for lost in reversed(self._lost) for face in lost):
            if not _is_among(face, [*faces, *missed]):
                missed.append(replace(face, fresh=False))
        self._doubt(missed)
        return missed

    def _looked_closer(self, image: Image, face: Face) -> Face:
        """An unclear face as a square about it shows it, where that is clearer."""
        left, top, right, bottom = face.xyxy
        half = max(_CLOSER_SIDE * _width(face) / 2, 8.0)
        x, y = (left + right) / 2, (top + bottom) / 2
        x0, y0 = max(round(x - half), 0), max(round(y - half), 0)
        seen = self._finder.detect(image[y0 : round(y + half), x0 : round(x + half)])
        again = [moved(one, x0, y0) for one in seen]
        return max((one for one in again if _same(one.xyxy, face.xyxy)), key=lambda one: one.score, default=face)

    def _is_new_scene(self, image: Image) -> bool:
        if self._scene is not None and self._samples - self._whole_at < _WHOLE_EVERY:
            return False
        sampled = cv2.resize(image, (4 * _SCENE_PX, 4 * _SCENE_PX), interpolation=cv2.INTER_LINEAR)
        grey = cv2.cvtColor(
            cv2.resize(sampled, (_SCENE_PX, _SCENE_PX), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        scene = np.asarray(grey, np.uint8)
        if self._scene is not None:
            changed = cv2.absdiff(self._scene, scene) > _SCENE_LEVELS
            if float(changed.mean()) < _SCENE_SHARE:
                return False
        self._scene, self._whole_at = scene, self._samples
        return True

    def _found_in(self, image: Image, part: FramePart) -> list[Face]:
        left, top, right, bottom = part.xyxy
        margin = _EDGE * (right - left)
        inner = (
            left + margin if left > 0 else -np.inf,
            top + margin if top > 0 else -np.inf,
            right - margin if right < self._wh[0] else np.inf,
            bottom - margin if bottom < self._wh[1] else np.inf,
        )
        faces = (moved(face, left, top) for face in self._keen.detect(image[top:bottom, left:right]))
        return [face for face in faces if _within(face.xyxy, inner)]

    def _close_faces(self, image: Image) -> list[Face]:
        """Faces that fill the frame, found at half their size on a grey ground."""
        large = [face for face in self._close.detect(image, border=0.5) if self._is_close(face)]
        if not large:
            return []
        faces = self._at_half_size(image)
        if any(face.score >= _UNCLEAR for face in faces):
            self._half_size_for = _HALF_SIZE_FOR
        return faces or large

    def _still_close(self, image: Image) -> list[Face]:
        """Faces that fill the frame as in the samples before, at half size at once; none where that is over."""
        if self._half_size_for == 0:
            return []
        self._half_size_for -= 1
        faces = self._at_half_size(image)
        if any(face.score >= _UNCLEAR for face in faces):
            return faces
        self._half_size_for = 0
        return []

    def _at_half_size(self, image: Image) -> list[Face]:
        return [face for face in self._finder.detect(image, border=0.5) if self._is_close(face)]

    def _is_unclear(self, face: Face) -> bool:
        return face.score < _UNCLEAR and self._is_close(face)

    def _is_close(self, face: Face) -> bool:
        left, top, right, bottom = face.xyxy
        return max((right - left) / self._wh[0], (bottom - top) / self._wh[1]) >= CLOSE_SHARE


_CLOSE_RANGE: Range = "short"


def moved(face: Face, x: float, y: float) -> Face:
    """The face, so many pixels further right and down."""
    left, top, right, bottom = face.xyxy
    keypoints = face.keypoints + np.array((x, y), np.float32)
    return replace(face, xyxy=(left + x, top + y, right + x, bottom + y), keypoints=keypoints)


def merged(clear: list[Face], parts: list[Face], unclear: list[Face]) -> list[Face]:
    """Each face once, by the best view of it that there is.

    Args:
        clear: found in the whole frame, large enough.
        parts: found in parts of it, fresh or not.
        unclear: found in the whole frame, so small that a part shows them better.
    """
    fresh = sorted((face for face in parts if face.fresh), key=lambda face: -face.score)
    stale = sorted((face for face in parts if not face.fresh), key=lambda face: -face.score)
    kept: list[Face] = []
    for face in (*clear, *fresh, *unclear, *stale):
        if not _is_among(face, kept):
            kept.append(face)
    return kept


def _is_among(face: Face, others: list[Face]) -> bool:
    return any(_same(face.xyxy, other.xyxy) for other in others)


def _same(one: Xyxy, other: Xyxy) -> bool:
    w = min(one[2], other[2]) - max(one[0], other[0])
    h = min(one[3], other[3]) - max(one[1], other[1])
    if w <= 0 or h <= 0:
        return False
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return w * h > min(_SAME_FACE_IOU * (sum(areas) - w * h), _INSIDE * min(areas))


def _distance(one: Face, other: Face) -> float:
    """Between the middles of two boxes."""
    a, b = one.xyxy, other.xyxy
    return math.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / 2


def _width(face: Face) -> float:
    return face.xyxy[2] - face.xyxy[0]


def _within(box: Xyxy, inner: tuple[float, float, float, float]) -> bool:
    return box[0] >= inner[0] and box[1] >= inner[1] and box[2] <= inner[2] and box[3] <= inner[3]
