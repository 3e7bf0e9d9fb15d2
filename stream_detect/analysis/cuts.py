"""Detects cuts, where another person takes the place of a face, by comparing appearances from sample to sample.

A track joins boxes by overlap, so it would continue through a hard cut, a fade, a switch of the active speaker or a
swap of a picture-in-picture. Here a face and its surroundings are compared with their appearance within the last three
seconds. Nobody is recognised: an appearance is 32 x 32 pixels, is discarded after that time, and is never stored.
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.types import Image, Xyxy

Floats = NDArray[np.float32]

PATCH_PX = 32
"""Side of the compared patch; the face fills its middle half. Twice the size did not separate people better."""

SCALE = 2.0
"""Side of the patch / longer side of the face's box: includes hair and shoulders, but not the neighbours in a call
grid."""

_SAMPLED_PX = 96
"""Side to which the surroundings are sampled before averaging: 40 us for any frame size."""

_SHIFT_PX = 2
"""Largest shift in pixels of the patch that is tried, in each direction; the best one counts, because boxes jitter and
heads move."""

_FACE = slice(7, 25)
"""Rows and columns of the patch that hold the face, and room for the shifts."""

_FLAT = 1.0
"""Standard deviation in grey levels below which there is nothing to compare."""

_COLOUR_PX = 16
_COLOUR_FACE = slice(4, 12)
"""Rows and columns of the colour patch that hold the face."""

_LIGHT = np.ones((1, 3), np.float32)

_DARK = 4.0
"""Grey levels added before colours are compared, because colours near black are noise."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """Appearance of a face and its surroundings in one frame.

    Args:
        time_s: stream time of the frame.
        xyxy: the face's box, in the middle of the patch.
        wh: size of the frame.
        grey: float32 (32, 32), 0 to 255.
        colour: float32 (16, 16, 2), the shares of red and blue in each pixel.
        tone: log(red / green) and log(blue / green) of the face's mean.
        face_shape: float32 (196,), the middle of the face minus its mean, normalised to length 1; None if it is flat.
        whole_shape: float32 (784,), face and surroundings in the same form.
    """

    time_s: float
    xyxy: Xyxy
    wh: tuple[int, int]
    grey: Floats
    colour: Floats
    tone: tuple[float, float]
    face_shape: Floats | None
    whole_shape: Floats | None

    def xyxy_in(self, image: Image) -> Xyxy:
        """The box in a later frame, whose size may be another one."""
        x, y = image.shape[1] / self.wh[0], image.shape[0] / self.wh[1]
        left, top, right, bottom = self.xyxy
        return x * left, y * top, x * right, y * bottom


def appearance(image: Image, xyxy: Xyxy, time_s: float) -> Appearance:
    """The appearance of a box and its surroundings; beyond the frame, the edge pixels are repeated.

    Args:
        image: RGB uint8 (h, w, 3).
        xyxy: box in pixels of the image, finite.
        time_s: stream time of the image.
    """
    patch = _surroundings(image, xyxy)
    small = cv2.resize(patch, (_COLOUR_PX, _COLOUR_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    small += _DARK
    red, green, blue, _ = cv2.mean(small[_COLOUR_FACE, _COLOUR_FACE])
    light = cv2.transform(small, _LIGHT)
    grey = _grey(patch)
    return Appearance(
        time_s,
        xyxy,
        (image.shape[1], image.shape[0]),
        grey,
        np.asarray(small[:, :, ::2] / light[:, :, np.newaxis], np.float32),
        (math.log(red / green), math.log(blue / green)),
        _shape(grey[_FACE, _FACE]),
        _shape(grey),
    )


def _shape(grey: Floats) -> Floats | None:
    """A patch without edge, mean and contrast, for correlation; None if it is flat."""
    inside = grey[_SHIFT_PX:-_SHIFT_PX, _SHIFT_PX:-_SHIFT_PX].ravel()
    shape = inside - inside.mean()
    length = math.sqrt(float(shape @ shape))
    return shape / length if length >= _FLAT * math.sqrt(shape.size) else None


def grey_surroundings(image: Image, xyxy: Xyxy) -> Floats:
    """Only the grey levels of an `appearance`, float32 (32, 32), 0 to 255.

    Args:
        image: RGB uint8 (h, w, 3).
        xyxy: box in pixels of the image, finite.
    """
    return _grey(_surroundings(image, xyxy))


def _grey(patch: Image) -> Floats:
    return cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _surroundings(image: Image, xyxy: Xyxy) -> Image:
    left, top, right, bottom = xyxy
    scale = _SAMPLED_PX / (SCALE * max(right - left, bottom - top, 1.0))
    middle = (_SAMPLED_PX - 1) / 2
    matrix = np.array(
        (
            (scale, 0.0, middle - scale * ((left + right) / 2 - 0.5)),
            (0.0, scale, middle - scale * ((top + bottom) / 2 - 0.5)),
        )
    )
    sampled = cv2.warpAffine(
        image, matrix, (_SAMPLED_PX, _SAMPLED_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.resize(sampled, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA), np.uint8)


def differences(before: Appearance, now: Appearance, place: Appearance | None = None) -> NDArray[np.float64]:
    """How much a face and its surroundings changed, float64 (5,), each 0 if nothing changed.

    In order: structure of the face, and of face and surroundings (1 - correlation, independent of light); tone of the
    face; colours of the face; colours of the surroundings. Each is capped.

    Args:
        before: appearance in an earlier sample.
        now: appearance in this one.
        place: appearance, in this sample, of the face's earlier position; if only the face moved, the surroundings are
            still there.
    """
    face = 1.0 - _correlation(before.grey[_FACE, _FACE], now.grey[_FACE, _FACE])
    around = 1.0 - _correlation(before.grey, now.grey)
    inner, outer = _colour_change(before, now)
    if place is not None:
        around = min(around, 1.0 - _correlation(before.grey, place.grey))
        outer = min(outer, _colour_change(before, place)[1])
    return _capped(face, around, before, now, (inner, outer))


def _capped(
    face: float, around: float, before: Appearance, now: Appearance, colours: tuple[float, float]
) -> NDArray[np.float64]:
    tone = math.dist(before.tone, now.tone)
    return np.array((face, around, min(tone, 0.2), min(colours[0], 0.12), min(colours[1], 0.3)))


_INNER_PX = (_COLOUR_FACE.stop - _COLOUR_FACE.start) ** 2
_OUTER_PX = _COLOUR_PX**2 - _INNER_PX


def _colour_change(before: Appearance, now: Appearance) -> tuple[float, float]:
    """Mean change of the shares of red and blue together: of the face, and of its surroundings."""
    # For such small arrays OpenCV's norm takes a tenth of the time of numpy's abs and sum.
    whole = cv2.norm(before.colour, now.colour, cv2.NORM_L1)
    face = (_COLOUR_FACE, _COLOUR_FACE)
    inner = cv2.norm(before.colour[face], now.colour[face], cv2.NORM_L1)
    return inner / _INNER_PX, (whole - inner) / _OUTER_PX


def _correlation(before: Floats, now: Floats) -> float:
    """Best normalised correlation over all shifts; 1 if neither patch has any structure, 0 if one has."""
    inside = now[_SHIFT_PX:-_SHIFT_PX, _SHIFT_PX:-_SHIFT_PX]
    flat = contrast(inside) < _FLAT, contrast(before) < _FLAT
    if any(flat):
        return 1.0 if all(flat) else 0.0
    return float(cv2.matchTemplate(before, inside, cv2.TM_CCOEFF_NORMED).max())


def contrast(grey: Floats) -> float:
    """Standard deviation in grey levels; OpenCV's takes a fifth of the time of numpy's."""
    return float(cv2.meanStdDev(grey)[1].item())


_WEIGHTS = np.array((14.5, 7.9, 17.6, 75.0, 5.9))
_BIAS = -11.5
"""Logistic regression of `differences`: 7,900 pairs of one person .1 or .2 s apart (a third of them with other light, a
hand in front of the face, or displaced blocks) against 3,600 pairs of two people (a third of them in the same
surroundings), from the test clips and faces. None of the 5,254 unmodified pairs reaches -1; of two people 98 in 100
reach +1."""

_LAGS_S = (0.2, 0.5, 1.0, 2.0)
_SUSPECT = (-1.0, 3.0, 4.0, 5.5)
_CERTAIN = (1.0, 4.5, 5.5, 7.0)
"""Log-odds of a cut from which a sample is suspect or certain, by the time since the earlier one. Unmodified pairs of
one person reached at most -1.1, 2.8 and 3.2 at the first three lags and 4.4 at two and three seconds; of two people 98,
93, 91 and 94 in 100 reach the second row."""

MEMORY_S = 3.0
"""How long an appearance is remembered, so that the end of a fade is compared with its beginning."""

_SPACING_S = 0.24

_WHITE = 250.0
_BLACK = 15.0
_BLIND_SHARE = 0.4
"""A face of which this share is white, or black, cannot be compared: a flash, or a camera that covers its lens."""

_MAX_BLIND = 2
"""Samples in a row that are left out for that: after .2 s at 10 Hz another picture is a cut, however bright it is."""


def differs(before: Appearance, now: Appearance, image: Image, limits: tuple[float, ...]) -> bool:
    """Whether `before` and `now` show different people, by the given limits.

    The current view of the earlier position can only be evidence for the same person, so it is examined only in case of
    doubt.

    Args:
        before: appearance in an earlier sample.
        now: appearance in this sample.
        image: this sample, RGB uint8 (h, w, 3).
        limits: log-odds of a cut from which they differ, for each of the lags.
    """
    limit = float(np.interp(now.time_s - before.time_s, _LAGS_S, limits))
    if _surely_same(before, now, limit) or _log_odds(differences(before, now)) < limit:
        return False
    place = appearance(image, before.xyxy_in(image), now.time_s)
    return _log_odds(differences(before, now, place)) >= limit


def _surely_same(before: Appearance, now: Appearance, limit: float) -> bool:
    """Whether the log-odds are below a limit even without shifts: true for nearly all samples, at a tenth of the time.

    Since the best of all shifts counts, `differences` can only be smaller.
    """
    if before.face_shape is None or before.whole_shape is None or now.face_shape is None or now.whole_shape is None:
        return False
    face = 1.0 - float(before.face_shape @ now.face_shape)
    around = 1.0 - float(before.whole_shape @ now.whole_shape)
    return _log_odds(_capped(face, around, before, now, _colour_change(before, now))) < limit


def _log_odds(values: NDArray[np.float64]) -> float:
    return float(values @ _WEIGHTS) + _BIAS


def _is_blind(now: Appearance) -> bool:
    face = now.grey[_FACE, _FACE]
    return max(float((face >= _WHITE).mean()), float((face <= _BLACK).mean())) >= _BLIND_SHARE


class Comparison(Enum):
    """Result of comparing a sample with the previous ones."""

    SAME = auto()
    SUSPECT = auto()
    CUT = auto()


class CutDetector:
    """Detects a change of person in one track.

    A sample that is certainly different is a cut at once. A possibly different one is suspect: it is a cut if the next
    sample resembles it and not the previous ones, and is dismissed otherwise (a hand, lost blocks). A face that is all
    white or black, as in a flash, is suspect for two samples at most. After lost packets even a certain cut has to be
    confirmed. A fade changes little from sample to sample, so each sample is also
    compared with those of the last three seconds. Measured: 0.2 ms per face and sample, at any size.

    Args:
        first: appearance of the face when its track began.
    """

    def __init__(self, first: Appearance) -> None:
        self._newest = first
        self._past: deque[Appearance] = deque([first])  # bounded by MEMORY_S / _SPACING_S
        self._suspect: Appearance | None = None
        self._blind = 0
        self._turn = 0

    def look(self, image: Image, now: Appearance, *, gap: bool = False) -> Comparison:
        """Compares the face in the stream's next sample with its earlier appearances.

        Args:
            image: the sample, RGB uint8 (h, w, 3).
            now: the face's appearance in it.
            gap: packets were lost just before it.
        """
        if differs(self._newest, now, image, _SUSPECT):
            if self._blind < _MAX_BLIND and _is_blind(now):
                self._blind += 1
                return Comparison.SUSPECT
            return self._doubt(image, now, gap=gap)
        self._suspect, self._blind = None, 0
        if self._faded(image, now):
            return Comparison.CUT
        self._newest = now
        if now.time_s - self._past[-1].time_s >= _SPACING_S:
            self._past.append(now)
        return Comparison.SAME

    def _doubt(self, image: Image, now: Appearance, *, gap: bool) -> Comparison:
        if not gap and differs(self._newest, now, image, _CERTAIN):
            return Comparison.CUT
        before, self._suspect = self._suspect, now
        if before is None or differs(before, now, image, _SUSPECT):
            return Comparison.SUSPECT
        return Comparison.CUT

    def _faded(self, image: Image, now: Appearance) -> bool:
        """Whether this sample differs from a remembered one; each of the two lags is examined in every other sample."""
        while len(self._past) > 1 and now.time_s - self._past[0].time_s > MEMORY_S + _SPACING_S:
            self._past.popleft()
        self._turn ^= 1
        past = self._past[0] if self._turn else self._past[len(self._past) // 2]
        remembered = _LAGS_S[0] < now.time_s - past.time_s <= MEMORY_S + _SPACING_S
        return remembered and differs(past, now, image, _CERTAIN)
