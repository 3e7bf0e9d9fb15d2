"""Head movements: measures turns, nods, distance and covered parts of a face relative to the face at rest.

All measures are relative to the same face a second before, so that the height of the camera, the person's features,
glasses and beards do not matter. Nobody is recognised, and nothing is kept.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.analysis.crop import crop_matrix, cut
from stream_detect.analysis.mesh import FaceMesh
from stream_detect.challenge_record import Movement
from stream_detect.types import CropPolicy, Face, Grey, Image

Floats = NDArray[np.float64]

_CROP = CropPolicy((192, 192), centre="box", side="box", side_factor=1.0, upright=True)

_EDGES = (234, 454)
"""Points at the right and left edges of the face; the distance between them is its width."""

_UPPER = (10, 338, 297, 332, 284, 251, 389, 127, 162, 21, 54, 103, 67, 109, 151, 9, 8, 70, 63, 105, 66, 107, 336, 296)
_MIDDLE = (334, 293, 300, 33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 98, 327, 234, 454, 93, 323)
_RIGID = np.array((*_UPPER, *_MIDDLE))
"""Points that do not move when a person speaks or yawns: forehead, brows, corners of the eyes, nose, temples."""

_PARTS: Final = {
    "mouth": (61, 291, 0, 17, 164, 200, 18),
    "right_eye": (33, 133, 159, 145, 70, 107, 119),
    "left_eye": (263, 362, 386, 374, 300, 336, 348),
}
"""Points that bound the compared parts, by MediaPipe's published numbering."""

_LAYOUT_PX = 96
_WIDTH_PX = 70
_CENTRE = np.array((48.0, 40.0))
"""Centre of the rigid points in a layout of 96 x 96 pixels, in which a face is 70 wide."""

_SHIFT_PX = 3
"""Largest shift in pixels of the layout that is tried, in each direction; the best one counts, because the mesh
jitters, most of all under a hand."""

_FLAT = 1.0
"""Standard deviation in grey levels below which there is nothing to compare."""

TURN_DEG = 20.0
"""From this angle a turn counts: half profile is some 30 by the mesh. Of faces that nobody asked to move, 99.5 % of
samples are turned by less than 18 (87 s of eleven clips, each sample against rests of up to 8 s before: 3,400 pairs).
"""

UP_DEG = 12.0
"""From this angle a look up counts; none of those samples reached it."""

NEARER = 1.25
"""Growth of a head that has come nearer; those samples stay below 1.06."""

MOUTH_DROP = 11.0
EYE_DROP = 8.0
"""Drop of the presence logit that shows a hand: over the mouth 18 (median; p5 11.5), over an eye 15 (p5 7). Measured
with images of three real hands pasted over the mouths, and three over the eyes, of eleven clips, 331 samples each: 92 %
and 87 % were recognised, 1 % were taken for another movement."""

MOUTH_ALIKE = 0.75
"""Correlation above which the mouth is unchanged; under a hand it was never higher. A speaking mouth goes down to .4,
but keeps its presence. A grimace does both and passes for a hand: 1 % of those samples, nearly all from two clips in
which people make faces."""

EYE_ALIKE = 0.7
"""Correlation above which an eye is unchanged; under a hand it was at most .73."""

_PART_MARGIN = 0.15
"""Difference by which a covered mouth must correlate less than either eye."""

_EYE_MARGIN = 0.2
"""Difference by which a covered eye must correlate less than the other: both change together when they close."""

COVERED_WITHIN_DEG = 15.0
"""When the head is turned further, an eye is hidden behind the nose, and no cover is reported."""

REST_S = 0.8
REST_VIEWS = 3
"""A face is at rest when it has kept still for REST_S, in at least this many samples."""

REST_LIMIT_VIEWS = 64
"""Views kept meanwhile, the newest ones: .8 s at the highest sampling rate, 60 Hz."""

REST_DEG = 6.0
REST_NEARER = 0.08
"""How much a face at rest may move in that time; in ten of eleven clips the first .8 s were still enough."""

REST_YAW = 0.25
"""Offset of the nose / eye distance above which a face does not look at the camera (quality.yaw)."""

REST_PRESENCE = 22.0
"""Least logit of an uncovered face at rest. Frontal faces in the clips have 36 and more, dark or bearded ones 29; with
a hand over the mouth 16 to 24 (one clip)."""

LOOKS = 4
LOOK_S = 0.5
"""Age of the views that are compared, and the shortest time between two: light and a small turn change them within 2 s.
"""

BACK_DEG = 14.0
BACK_DROP = 10.0
"""A face is back at rest when it is turned as before and nothing covers it."""

BACK_S = 5.0
"""After this time any pose that faces the camera counts as rest: people lean back, or sit up."""


@dataclass(frozen=True, slots=True)
class HeadView:
    """One face in one frame.

    Args:
        time_s: stream time of the frame.
        grey: uint8 (192, 192), the face, cut upright.
        points: float64 (468, 3), its mesh in pixels of `grey`.
        presence: logit of an uncovered face.
        size: frame pixels per pixel of `grey` / longer side of the frame, whose resolution may change.
        yaw: offset of the nose from the eyes' middle / eye distance, from the detector's key points.
    """

    time_s: float
    grey: Grey
    points: Floats
    presence: float
    size: float
    yaw: float


@dataclass(frozen=True, slots=True)
class Posture:
    """Pose of a face and what covers it, relative to the face at rest.

    Args:
        left_deg: turned to the person's own left; negative to the right.
        up_deg: raised; negative if lowered.
        nearer: size / size at rest.
        drop: decrease of the presence logit.
        mouth: correlation of the mouth with itself at rest, in [-1, 1].
        right_eye: correlation of the person's right eye.
        left_eye: correlation of the left eye.
    """

    left_deg: float
    up_deg: float
    nearer: float
    drop: float
    mouth: float
    right_eye: float
    left_eye: float

    @property
    def movement(self) -> Movement | None:
        """The movement that this posture shows; if several, the first in the order of the code."""
        if abs(self.left_deg) >= TURN_DEG:
            return Movement.TURN_LEFT if self.left_deg > 0 else Movement.TURN_RIGHT
        if abs(self.left_deg) < COVERED_WITHIN_DEG:
            eyes = sorted((self.right_eye, self.left_eye))
            if self.drop >= EYE_DROP and eyes[0] <= EYE_ALIKE and eyes[1] - eyes[0] >= _EYE_MARGIN:
                return Movement.COVER_EYE
            if self.drop >= MOUTH_DROP and self.mouth <= min(MOUTH_ALIKE, eyes[0] - _PART_MARGIN):
                return Movement.COVER_MOUTH
        if self.up_deg >= UP_DEG:
            return Movement.LOOK_UP
        return Movement.COME_NEARER if self.nearer >= NEARER else None


class HeadReader:
    """Reads the faces of one stream.

    Args:
        mesh: the face mesh of the stream's thread.
    """

    def __init__(self, mesh: FaceMesh) -> None:
        self._mesh = mesh

    def view(self, image: Image, face: Face, time_s: float) -> HeadView:
        """Reads a face of a frame.

        Args:
            image: RGB uint8 (h, w, 3).
            face: a face of this image.
            time_s: stream time of the image.

        Raises:
            AnalysisError: the key points define no square, or the mesh failed.
        """
        crop = cut(image, face, _CROP)
        found = self._mesh.find(crop)
        right, left, nose = face.keypoints[:3].astype(np.float64)
        eyes = left - right
        return HeadView(
            time_s=time_s,
            grey=np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8),
            points=found.points.astype(np.float64),
            presence=found.presence,
            size=float(abs(np.linalg.det(crop_matrix(face, _CROP)[:, :2])) ** -0.5) / max(image.shape[:2]),
            yaw=float((nose - (right + left) / 2) @ eyes) / max(float(eyes @ eyes), 1e-9),
        )


class Rest:
    """A face at rest, with which later views are compared.

    Args:
        views: of a face that kept still; at least one.
    """

    def __init__(self, views: Sequence[HeadView]) -> None:
        shapes = [_centred(view.points) / _width(view.points) for view in views]
        self._shape: Floats = np.mean(shapes, axis=0) * _WIDTH_PX
        self._size = float(np.median([view.size * _width(view.points) for view in views])) / _WIDTH_PX
        self.presence = float(np.median([view.presence for view in views]))
        self._boxes = {part: _box(self._shape[list(points), :2] + _CENTRE) for part, points in _PARTS.items()}
        kept = [views[0], views[len(views) // 2], views[-1]]
        self._looks = deque((self._laid_out(view) for view in kept), maxlen=LOOKS)
        self._looked_s = views[-1].time_s

    def posture(self, view: HeadView) -> Posture:
        """How a view differs from the face at rest."""
        left_deg, up_deg, scale = _rotation(self._shape, view.points)
        looks = self._laid_out(view)
        alike = {part: max(_alike(rest, looks, box) for rest in self._looks) for part, box in self._boxes.items()}
        return Posture(left_deg, up_deg, scale * view.size / self._size, self.presence - view.presence, **alike)

    def remember(self, view: HeadView) -> None:
        """Adds an uncovered view to the looks of the face at rest, at most twice a second; the pose stays."""
        if view.time_s - self._looked_s >= LOOK_S:
            self._looked_s = view.time_s
            self._looks.append(self._laid_out(view))

    def _laid_out(self, view: HeadView) -> Grey:
        """The image of a view, with its rigid points moved to those of the face at rest: uint8 (96, 96)."""
        before, now = self._shape[_RIGID, :2] + _CENTRE, view.points[_RIGID, :2]
        # The least-squares similarity transform in complex numbers: layout = turn * image + shift.
        source, target = now @ (1, 1j), before @ (1, 1j)
        centred = source - source.mean()
        turn = np.vdot(centred, target - target.mean()) / max(np.vdot(centred, centred).real, 1e-9)
        shift = target.mean() - turn * source.mean()
        matrix = np.array(((turn.real, -turn.imag, shift.real), (turn.imag, turn.real, shift.imag)))
        placed = cv2.warpAffine(
            view.grey, matrix, (_LAYOUT_PX, _LAYOUT_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(placed, np.uint8)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a sample shows.

    Args:
        at_rest: the face has been at rest since `HeadWatch.begin`.
        movement: the movement since then; None if it shows none that can be asked for.
    """

    at_rest: bool
    movement: Movement | None = None


class HeadWatch:
    """Watches one face: waits until it is at rest, then reports its movements. `begin` starts this again."""

    def __init__(self) -> None:
        self._rest: Rest | None = None
        self._before: Rest | None = None
        self._still: deque[HeadView] = deque(maxlen=REST_LIMIT_VIEWS)
        self._since_s: float | None = None  # of the first view since `begin`

    def begin(self) -> None:
        """Waits for the face to be at rest; for BACK_S only the previous rest counts."""
        self._before = self._rest or self._before
        self._rest = self._since_s = None
        self._still.clear()

    def look(self, view: HeadView) -> Sight:
        """Processes the next view of the face."""
        if self._rest is not None:
            posture = self._rest.posture(view)
            if posture.movement is None and posture.drop < EYE_DROP:
                self._rest.remember(view)
            return Sight(at_rest=True, movement=posture.movement)
        if self._since_s is None:
            self._since_s = view.time_s
        if not self._faces_the_camera(view, view.time_s - self._since_s):
            self._still.clear()
            return Sight(at_rest=False)
        if self._still and not _still(self._still[0], view):
            self._still.clear()
        self._still.append(view)
        if len(self._still) >= REST_VIEWS and view.time_s - self._still[0].time_s >= REST_S:
            self._rest = Rest(list(self._still))
        return Sight(at_rest=self._rest is not None)

    def _faces_the_camera(self, view: HeadView, waited_s: float) -> bool:
        if not (abs(view.yaw) <= REST_YAW and view.presence >= REST_PRESENCE):
            return False
        if self._before is None:
            return True
        now = self._before.posture(view)
        turned_back = max(abs(now.left_deg), abs(now.up_deg)) <= BACK_DEG or waited_s > BACK_S
        return turned_back and now.drop <= BACK_DROP


def _still(first: HeadView, view: HeadView) -> bool:
    left_deg, up_deg, scale = _rotation(first.points, view.points)
    return max(abs(left_deg), abs(up_deg)) <= REST_DEG and abs(scale * view.size / first.size - 1.0) <= REST_NEARER


def _rotation(before: Floats, now: Floats) -> tuple[float, float, float]:
    """Rotation to the person's left and up in degrees, and growth, of the rigid points (Kabsch 1976)."""
    a, b = _centred(before)[_RIGID], _centred(now)[_RIGID]
    u, _, vt = np.linalg.svd(a.T @ b)
    flip = np.diag((1.0, 1.0, np.sign(np.linalg.det(vt.T @ u.T))))
    turn = vt.T @ flip @ u.T
    left = np.degrees(np.arctan2(turn[2, 0], np.hypot(turn[2, 1], turn[2, 2])))
    up = np.degrees(np.arctan2(-turn[2, 1], turn[2, 2]))
    return float(left), float(up), float(np.sqrt((b**2).sum() / max((a**2).sum(), 1e-9)))


def _centred(points: Floats) -> Floats:
    return np.asarray(points - points[_RIGID].mean(axis=0))


def _width(points: Floats) -> float:
    return max(float(np.linalg.norm(points[_EDGES[1]] - points[_EDGES[0]])), 1e-6)


def _box(points: Floats) -> tuple[slice, slice]:
    """Rows and columns of a part in the layout, with a margin of an eighth of its size."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = (high - low) / 8
    left, top = np.clip(low - margin, 0, _LAYOUT_PX - 16).astype(int)
    right, bottom = np.clip(high + margin, (left + 16, top + 16), _LAYOUT_PX).astype(int)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def _alike(rest: Grey, now: Grey, box: tuple[slice, slice]) -> float:
    """Best normalised correlation of a part over all shifts; 0 if one of the two has no structure."""
    before, after = rest[box], now[box][_SHIFT_PX:-_SHIFT_PX, _SHIFT_PX:-_SHIFT_PX]
    if min(float(cv2.meanStdDev(grey)[1].item()) for grey in (before, after)) < _FLAT:
        return 0.0
    return float(cv2.matchTemplate(before, after, cv2.TM_CCOEFF_NORMED).max())
