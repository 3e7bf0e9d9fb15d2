"""Searches the frames of one stream for faces: small faces in parts of the frame, very large ones at half size.

The detector's input is 192 px wide, a tenth of a 1080p frame, in which a face of a call grid has 10 px. So large
frames are also searched in overlapping parts. All parts of the first frame, and of one after a change of scene, are
searched; between these, parts with small faces are searched in turn, and the others now and then.
"""

import math
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import product

import cv2
import numpy as np

from stream_detect.analysis.blazeface import Range
from stream_detect.analysis.detector import BlazeFace
from stream_detect.settings import FaceSettings
from stream_detect.types import Face, Grey, Image, Xyxy

LEAST_INPUT_PX = 16.0
"""A face this wide in the network's input is found: of 88 faces a size .59 at 12 px, .82 at 14, .86 at 16, 1 at 20."""

_CLEAR_INPUT_PX = 20.0
"""From this width in the input on, the whole frame shows a face as well as a part does."""

ENOUGH_PX = 54.0
"""Where the whole frame shows a face this wide (640x480 does), nothing is searched in parts."""

LEAST_PX = 36.5
"""Parts are made smaller until a face this wide is found. It cannot be judged, but it can be said to be too small."""

MAX_PARTS = 150
"""Parts of a frame, .36 s on one core: as many as 4K takes. Of more pixels, smaller faces are left out."""

_SHRINK = 0.6
"""Side of a part / side of the next larger one: what the larger one misses fills a sixth of the smaller one at most."""

_SWEPT = 12
"""Parts searched in one sample after a change of scene, 29 ms; in a stream's first frame all are."""

_EXPLORED_EVERY = 5
"""Samples to one part that held no face when last searched: two a second at 10 Hz, .5 % of a core."""

_WHOLE_EVERY = 20
"""Samples at least between two searches of all parts: a picture that changes all the time is not searched so always."""

_REMEMBERED = 8
"""Samples for which a face counts as present while its part is not searched; parts in turn come sooner."""

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


@dataclass(slots=True)
class FramePart:
    """A square of the frame, searched by itself.

    Args:
        xyxy: in frame pixels, whole numbers.
        faces: found when it was last searched, in frame pixels.
        age: samples since then; 0 in the sample itself.
    """

    xyxy: tuple[int, int, int, int]
    faces: list[Face] = field(default_factory=list)
    age: int = 0


def parts_of(wh: tuple[int, int], input_px: int) -> list[FramePart]:
    """The parts of a frame of `wh` pixels, the largest first; none where the whole frame shows all faces that count.

    Parts of one size overlap by the largest face that the next larger size misses, so that each face lies whole in one.

    Args:
        wh: width and height of the frame in pixels.
        input_px: side of the detector's input.
    """
    least = LEAST_INPUT_PX / input_px
    parts: list[FramePart] = []
    if max(wh) * least <= ENOUGH_PX:
        return parts
    larger, side = max(wh), min(*wh, round(_SHRINK * max(wh)))
    while larger * least > LEAST_PX:
        rows, columns = (_starts(length, side, min(1.1 * larger * least, side / 2)) for length in (wh[1], wh[0]))
        if len(parts) + len(rows) * len(columns) > MAX_PARTS:
            break
        parts += [FramePart((x, y, min(x + side, wh[0]), min(y + side, wh[1]))) for y, x in product(rows, columns)]
        larger, side = side, max(round(_SHRINK * side), 1)
    return parts


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where parts of one row begin, evenly spread over `length`, overlapping by `overlap` at least."""
    count = 1 + max(math.ceil((length - side) / max(side - overlap, 1.0)), 0)
    return [round(start) for start in np.linspace(0, max(length - side, 0), count).tolist()]


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
        self._wh = (0, 0)
        self._parts: list[FramePart] = []
        self._turn: deque[FramePart] = deque()  # all parts, the one searched longest ago first
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
        if all(self._is_unclear(face) for face in faces):
            faces = self._close_faces(image) or faces
        self._samples += 1
        largest = sorted(faces, key=_width, reverse=True)[: self._settings.max_faces]
        return sorted(largest, key=lambda face: face.score, reverse=True)

    def _begin(self, wh: tuple[int, int]) -> None:
        self._wh, self._scene, self._half_size_for = wh, None, 0
        self._parts = parts_of(wh, self._finder.input_px) if self._settings.parts_per_sample else []
        self._turn = deque(self._parts)
        self._swept.clear()

    def _search_parts(self, image: Image, clear: list[Face]) -> list[Face]:
        """The faces of all parts: of those that are due as they are found, of the others as they were.

        Args:
            image: the frame.
            clear: faces that the whole frame shows well; no part is searched for them.
        """
        for part in self._parts:
            part.age += 1
            if part.age > _REMEMBERED:
                part.faces = []
        for part in self._due(image):
            self._turn.remove(part)
            self._turn.append(part)
            found = self._found_in(image, part)
            part.faces = [face for face in found if not any(_same(face.xyxy, other.xyxy) for other in clear)]
            part.age = 0
        return [replace(face, fresh=part.age == 0) for part in self._parts for face in part.faces]

    def _due(self, image: Image) -> list[FramePart]:
        """The parts to search in this sample: after a change of scene all, else those with faces, and some others."""
        first = self._scene is None
        if self._is_new_scene(image):
            self._swept = deque(self._parts)
        count = len(self._swept) if first else min(_SWEPT, len(self._swept))
        due = [self._swept.popleft() for _ in range(count)]
        held = [part for part in self._turn if part.faces and part not in due]
        due += held[: self._settings.parts_per_sample]
        if not self._swept and self._samples % _EXPLORED_EVERY == 0:
            due += [part for part in self._turn if not part.faces and part not in due][:1]
        return due

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
        faces = (moved(face, left, top) for face in self._finder.detect(image[top:bottom, left:right]))
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
        if not any(_same(face.xyxy, other.xyxy) for other in kept):
            kept.append(face)
    return kept


def _same(one: Xyxy, other: Xyxy) -> bool:
    w = min(one[2], other[2]) - max(one[0], other[0])
    h = min(one[3], other[3]) - max(one[1], other[1])
    if w <= 0 or h <= 0:
        return False
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return w * h > min(_SAME_FACE_IOU * (sum(areas) - w * h), _INSIDE * min(areas))


def _width(face: Face) -> float:
    return face.xyxy[2] - face.xyxy[0]


def _within(box: Xyxy, inner: tuple[float, float, float, float]) -> bool:
    return box[0] >= inner[0] and box[1] >= inner[1] and box[2] <= inner[2] and box[3] <= inner[3]
