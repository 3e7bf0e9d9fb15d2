"""The quality gate: decides whether a face is fit to be scored, and names the reason if not.

A classifier also returns a score for a blurred or half-hidden face, but that score is meaningless.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.settings import QualitySettings
from stream_detect.types import Face, Image

TOO_SMALL = "face too small"
UNCLEAR = "face not clear"
TURNED = "turned away"

_GREY_PX = 64
"""Side to which a face is scaled before light and sharpness are measured. The smallest face is not enlarged, because
enlarged faces look blurred (at 96 px, 40% of sharp 64 px faces did); and noise and JPEG blocks average out."""

_SAMPLED_PX = 256
"""Side to which larger faces are sampled before averaging: a quarter of the time for a face that fills a 1080p frame,
and the sharpness differs by at most .004 from averaging all pixels, with or without noise (12 faces of 272 to 467 px).
"""

_REBLUR_SIGMA = 1.5
"""In pixels of the scaled face. Of sizes 48, 64 and 96 px, blurs of 1 to 2.5, and first and second differences, this
combination separated blurred from sharp faces best. At .6 it rejects 0.8% of 389 DFDC faces, and of blurred ones 99.6%
(Gaussian, face/64), 98% (with noise of 4), 93% (and JPEG 30), 99% and 92% (20 px of motion at 256 px, across and down).
"""

_BLOWN = 250
"""Grey value (0 to 255) from which detail is lost; white in video is not always 255 after conversions."""


class QualityGate:
    """Decides which faces can be scored.

    Args:
        settings: the thresholds, each with its reason.
    """

    def __init__(self, settings: QualitySettings) -> None:
        self._settings = settings

    def reject(self, image: Image, face: Face) -> str | None:
        """Returns the reason why a face cannot be scored, in words for people; None if it can.

        Args:
            image: RGB uint8 (h, w, 3).
            face: a face of this image.
        """
        return self._reject_geometry(face, (image.shape[1], image.shape[0])) or self._reject_pixels(image, face)

    def _reject_geometry(self, face: Face, frame_wh: tuple[int, int]) -> str | None:
        limits = self._settings
        # Written so that NaN is rejected too.
        if not short_side_px(face) >= limits.min_face_px:
            return TOO_SMALL
        if fills(face, frame_wh) and outside_share(face, frame_wh) > limits.max_outside:
            return "too close to the camera"
        if not outside_share(face, frame_wh) <= limits.max_outside:
            return "cut off by the frame's edge"
        if not face.score >= limits.min_detector_score:
            return UNCLEAR
        if not yaw(face) <= limits.max_yaw:
            return TURNED
        return None

    def _reject_pixels(self, image: Image, face: Face) -> str | None:
        limits = self._settings
        grey = grey_face(image, face)
        if luma(grey) < limits.min_luma:
            return "too dark"
        if blown_share(grey) > limits.max_blown:
            return "overexposed"
        if sharpness(grey) < limits.min_sharpness:
            return "blurred"
        return None


def short_side_px(face: Face) -> float:
    """Shorter side of the face's box in frame pixels."""
    left, top, right, bottom = face.xyxy
    return min(right - left, bottom - top)


def outside_share(face: Face, frame_wh: tuple[int, int]) -> float:
    """Share of the face's box, in [0, 1], that lies outside a frame of `frame_wh` pixels; 1 if the box has no area."""
    left, top, right, bottom = face.xyxy
    area = (right - left) * (bottom - top)
    inside_w = min(right, frame_wh[0]) - max(left, 0.0)
    inside_h = min(bottom, frame_wh[1]) - max(top, 0.0)
    if area <= 0.0 or inside_w <= 0.0 or inside_h <= 0.0:
        return 1.0
    return 1.0 - inside_w * inside_h / area


def fills(face: Face, frame_wh: tuple[int, int]) -> bool:
    """Whether the face's box reaches beyond two opposite edges of a frame of `frame_wh` pixels."""
    left, top, right, bottom = face.xyxy
    return (left < 0 and right > frame_wh[0]) or (top < 0 and bottom > frame_wh[1])


def yaw(face: Face) -> float:
    """How far the head is turned: |offset of the nose tip from the middle of the eyes, along the eyes| / eye distance.

    0 from the front, about .3 in half profile, more than .6 where one eye begins to disappear behind the nose; infinite
    if the eyes coincide.
    """
    right_eye, left_eye, nose = face.keypoints[:3].astype(np.float64)
    eyes = left_eye - right_eye
    squared = float(eyes @ eyes)
    if squared == 0.0:
        return math.inf
    return abs(float((nose - (right_eye + left_eye) / 2) @ eyes)) / squared


def grey_face(image: Image, face: Face) -> NDArray[np.uint8]:
    """The part of the face's box inside the image, in grey, scaled to a square: uint8 (64, 64).

    Args:
        image: RGB uint8 (h, w, 3).
        face: a face whose box overlaps the image.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = face.xyxy
    first_x, last_x = max(math.floor(left), 0), min(math.ceil(right), width)
    first_y, last_y = max(math.floor(top), 0), min(math.ceil(bottom), height)
    region = image[first_y:last_y, first_x:last_x]
    if min(region.shape[:2]) > _SAMPLED_PX:
        region = np.asarray(cv2.resize(region, (_SAMPLED_PX, _SAMPLED_PX), interpolation=cv2.INTER_LINEAR), np.uint8)
    grey = cv2.cvtColor(region, cv2.COLOR_RGB2GRAY)
    shrinks = min(grey.shape) > _GREY_PX
    # Plain averaging, so that camera noise is not mistaken for detail.
    scaled = cv2.resize(grey, (_GREY_PX, _GREY_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return scaled.astype(np.uint8, copy=False)


def luma(grey: NDArray[np.uint8]) -> float:
    """Mean brightness, in [0, 1], of a grey image uint8 (h, w)."""
    return float(grey.mean()) / 255.0


def blown_share(grey: NDArray[np.uint8]) -> float:
    """Share, in [0, 1], of a grey image uint8 (h, w) that is white or nearly white, so that detail is lost."""
    return float((grey >= _BLOWN).mean())


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Share of the fine detail, in [0, 1], that a further blur takes from a grey image uint8 (h, w).

    A blurred image has little detail left to lose (Crete et al. 2007). Unlike the variance of the Laplacian this does
    not depend on contrast, so a dark or evenly lit face is not mistaken for a blurred one. The worst of four directions
    counts, because a moving head is blurred in only one.
    """
    sharp = grey.astype(np.float32)
    before, after = _detail(np.stack((sharp, cv2.GaussianBlur(sharp, (0, 0), _REBLUR_SIGMA))))
    if not before.all():
        return 0.0
    return max(float((1.0 - after / before).min()), 0.0)


def _detail(greys: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of images (n, h, w), (n, 4): standard deviation of second differences across, down and along both diagonals."""
    middle = 2 * greys[:, 1:-1, 1:-1]
    neighbours = (
        (greys[:, 1:-1, :-2], greys[:, 1:-1, 2:]),
        (greys[:, :-2, 1:-1], greys[:, 2:, 1:-1]),
        (greys[:, :-2, :-2], greys[:, 2:, 2:]),
        (greys[:, :-2, 2:], greys[:, 2:, :-2]),
    )
    second = np.stack([before + after - middle for before, after in neighbours], axis=1).reshape(len(greys), 4, -1)
    squares = np.einsum("nkp,nkp->nk", second, second) / second.shape[2]  # half the time of numpy's .std
    return np.asarray(np.sqrt(np.maximum(squares - second.mean(axis=2) ** 2, 0)), np.float32)
