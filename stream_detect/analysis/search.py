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
"""From this width in the input, the whole frame shows a face as well as a part does."""

_SWEPT = 12
"""Parts searched per sample after a change of scene, 29 ms; in the first frame of a stream all are."""

_EXPLORED_EVERY = 5
"""One part without a known face is searched in every fifth sample: two per second at 10 Hz, .5 % of a core."""

_WHOLE_EVERY = 20
"""Minimum number of samples between two searches of all parts, for a picture that changes all the time."""

_REMEMBERED = 8
"""Samples for which a face counts as present while its part is not searched; longer if a round of parts takes longer:
with 25 faces up to 18 parts hold one, and at two per sample the last would be forgotten before its turn."""

_EDGE = 0.01
"""Share of a part's side: a face this close to an inner edge is cut off by it, and whole in the next part."""

_SAME_FACE_IOU = 0.3
_INSIDE = 0.7
"""Share of a smaller box inside a larger one from which both are the same face."""

_SCENE_PX = 24
_SCENE_LEVELS = 16
_SCENE_SHARE = 0.4
"""The scene has changed if this share of 24 x 24 cells changed by _SCENE_LEVELS grey levels."""

CLOSE_SHARE = 0.55
"""Share of the frame's height or width: a face this large is accepted at half size. Of 72 faces of 75 to 115 % of a
frame's height the whole frame showed 38 % (begin_score .7), half its size 93 %; the whole frame shows smaller ones.
"""

_UNCLEAR = 0.75
"""A face that fills the frame and scores less is searched again at half size, which raised .54 to .83."""

_HALF_SIZE_FOR = 10
"""Samples for which half size is searched first, once a face was clear only there. This saves the two searches before
it; another person who appears next to that face is found a second later at most."""

_LOST = 3
"""Samples for which a face that is no longer found is still returned: the detector misses one in 20 large faces now and
then, and other parts of the frame that show the same area are searched meanwhile.
"""

_MOVED = 1.2
"""A lost face has moved if another one is found within this many of its widths."""

_CLOSER_SIDE = 6.0
"""Side of the square in which an unclear face is searched again / its width: there it has 32 px of the input. A face of
44 px in a dark tile scored .5 to .8 in parts, where it has 22 px; a track only begins at begin_score.
"""

_DOUBTFUL = 0.4
"""Score in a part from which a closer search is worth its 2.4 ms; without one, min_score applies."""


class FaceSearch:
    """Finds the faces of one stream, near and far. Not safe to call from two threads at once.

    Each sample costs one run of the network (full range 2.4 ms), plus `settings.parts_per_sample` runs in frames wider
    than 540 px, .7 ms if no face is found, and .3 ms if one fills the frame. Faces of parts that were not searched are
    returned again, marked as not `fresh`.

    Args:
        settings: `detector`, `min_score`, `max_faces` and `parts_per_sample` are used.
        finder: the detector, shared with the searches of other streams; None loads it.
        close: the detector of faces that fill the frame; None loads it.

    Raises:
        AnalysisError: a model file is missing, unreadable or has an unexpected form.
    """

    def __init__(self, settings: FaceSettings, finder: BlazeFace | None = None, close: BlazeFace | None = None) -> None:
        self._settings = settings
        self._finder = finder or BlazeFace(settings.detector, settings.min_score, settings.max_faces)
        self._close = close or BlazeFace(_CLOSE_RANGE, settings.min_score, settings.max_faces)
        self._keen = self._finder.sibling(_DOUBTFUL)
        self._wh = (0, 0)
        self._parts: list[FramePart] = []
        self._turn: deque[FramePart] = deque()  # all parts, the one searched longest ago first
        self._shown: deque[FramePart] = deque()  # parts that show all faces, still to be searched in this round
        self._doubted: deque[FramePart] = deque()  # parts that may show a face which another part no longer shows
        self._remembered = _REMEMBERED
        self._before: list[Face] = []  # faces in the previous sample
        self._lost: deque[list[Face]] = deque(maxlen=_LOST)  # lost faces of each of the newest samples
        self._swept: deque[FramePart] = deque()  # parts still to be searched since the scene changed
        self._scene: Grey | None = None
        self._samples = 0
        self._whole_at = 0
        self._half_size_for = 0  # number of samples

    def sibling(self) -> "FaceSearch":
        """A search for another stream, with the same networks and no state."""
        return FaceSearch(self._settings, self._finder.sibling(), self._close.sibling())

    def detect(self, image: Image) -> list[Face]:
        """Finds the faces of the stream's next frame: the `max_faces` largest ones, best score first.

        Args:
            image: RGB uint8 (h, w, 3).

        Raises:
            AnalysisError: the image has another form, or the network failed.
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
        """The faces of all parts: newly found in the parts that are due, remembered in the others.

        Args:
            image: the frame.
            clear: faces that the whole frame shows well; no part is searched for them.
        """
        for part in self._parts:
            part.age += 1
            if part.age > self._remembered:
                part.faces = []
        due = self._due(image)
        closer = max(self._settings.parts_per_sample, len(due) // 3)  # closer searches allowed
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
        """The parts to search in this sample: all after a change of scene, else those with faces and some others."""
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
        """Chooses few parts that show all faces: for each face the largest part that shows it clearly.

        The parts that show any face can be three times as many, so each would be searched less often.
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
        """Schedules the other parts that show the area of a lost face: each misses one now and then.

        Args:
            lost: faces that parts showed before.
        """
        for face in lost:
            for part in self._parts:
                clear_enough = _width(face) * self._finder.input_px >= LEAST_INPUT_PX * part.side
                if clear_enough and part not in self._doubted and _within(face.xyxy, part.xyxy):
                    self._doubted.append(part)

    def _lost_now(self, faces: list[Face]) -> list[Face]:
        """Faces of the previous sample that are missing now, unless a new face is so near that it is the same one."""
        came = [face for face in faces if not _is_among(face, self._before)]
        gone = [face for face in self._before if not _is_among(face, faces)]
        return [face for face in gone if not any(_distance(face, one) < _MOVED * _width(face) for one in came)]

    def _still_missed(self, faces: list[Face]) -> list[Face]:
        """Faces lost recently and not found since, not fresh; the parts that show them are searched again."""
        missed: list[Face] = []
        for face in (face for lost in reversed(self._lost) for face in lost):
            if not _is_among(face, [*faces, *missed]):
                missed.append(replace(face, fresh=False))
        self._doubt(missed)
        return missed

    def _looked_closer(self, image: Image, face: Face) -> Face:
        """The unclear face as found in a square around it, if it is clearer there."""
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
        """Faces that fill the frame, found at half size on a grey border."""
        large = [face for face in self._close.detect(image, border=0.5) if self._is_close(face)]
        if not large:
            return []
        faces = self._at_half_size(image)
        if any(face.score >= _UNCLEAR for face in faces):
            self._half_size_for = _HALF_SIZE_FOR
        return faces or large

    def _still_close(self, image: Image) -> list[Face]:
        """Faces that fill the frame as in the previous samples, found at half size first; none if there are no more."""
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
    """The face, moved right and down by this many pixels."""
    left, top, right, bottom = face.xyxy
    keypoints = face.keypoints + np.array((x, y), np.float32)
    return replace(face, xyxy=(left + x, top + y, right + x, bottom + y), keypoints=keypoints)


def merged(clear: list[Face], parts: list[Face], unclear: list[Face]) -> list[Face]:
    """Each face once, in its best view.

    Args:
        clear: found in the whole frame, large enough.
        parts: found in parts of it, fresh or not.
        unclear: found in the whole frame, but so small that a part shows them better.
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
    """Distance between the centres of two boxes."""
    a, b = one.xyxy, other.xyxy
    return math.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / 2


def _width(face: Face) -> float:
    return face.xyxy[2] - face.xyxy[0]


def _within(box: Xyxy, inner: tuple[float, float, float, float]) -> bool:
    return box[0] >= inner[0] and box[1] >= inner[1] and box[2] <= inner[2] and box[3] <= inner[3]
