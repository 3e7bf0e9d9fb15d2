"""Cuts the aligned square crop that a model classifies.

Training and serving both use it, so that a model is served the crops that it was trained on. Coordinates are those of
boxes: pixel i extends from i to i + 1, with its centre at i + .5.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import AnalysisError
from stream_detect.types import CropPolicy, Face, Image

_RIGHT_EYE, _LEFT_EYE, _NOSE, _MOUTH = 0, 1, 2, 3

_MAX_STEP = 1.5
"""Frame pixels per crop pixel that bilinear sampling handles without visible aliasing; above it the face is halved
first."""


def cut(image: Image, face: Face, policy: CropPolicy) -> Image:
    """Cuts a face as the policy says; beyond the edge of the image, its mirror image is used.

    Only the face's neighbourhood is read, so the cost does not depend on the size of the image.

    Args:
        image: RGB uint8 (h, w, 3).
        face: a face of this image.
        policy: crop policy of the model's bundle.

    Returns:
        RGB uint8 (policy h, policy w, 3), newly allocated.

    Raises:
        AnalysisError: the key points define no square (they coincide, or are not finite).
    """
    matrix = crop_matrix(face, policy)
    step = 1.0 / math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    # Bilinear sampling looks one pixel beyond the crop, and one pixel of the halved image is up to 2 x step wide.
    left, top, right, bottom = _neighbourhood(matrix, policy, (image.shape[1], image.shape[0]), 2 + math.ceil(2 * step))
    region = image[top:bottom, left:right]
    # From here on the matrix maps pixels of the region.
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    while step > _MAX_STEP and min(region.shape[:2]) >= 2:
        h, w = region.shape[0] // 2, region.shape[1] // 2
        region = cv2.resize(region[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        matrix[:, :2] *= 2.0
        step /= 2.0
    # OpenCV's coordinates refer to pixel centres: shift by half a pixel before and after.
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return np.asarray(
        cv2.warpAffine(region, matrix, policy.wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def crop_matrix(face: Face, policy: CropPolicy) -> NDArray[np.float64]:
    """The affine map from frame pixels to crop pixels: float64 (2, 3), `crop_xy = matrix @ (x, y, 1)`.

    Raises:
        AnalysisError: the key points define no square (they coincide, or are not finite).
    """
    points = face.keypoints.astype(np.float64)
    if not (np.isfinite(points).all() and np.isfinite(face.xyxy).all()):
        raise AnalysisError("expected a face with finite coordinates, received others")
    right_eye, left_eye, nose, mouth = points[[_RIGHT_EYE, _LEFT_EYE, _NOSE, _MOUTH]]
    left, top, right, bottom = face.xyxy
    eyes = left_eye - right_eye
    if policy.side == "landmarks":
        measure = max(math.hypot(*eyes), math.hypot(*(mouth - (right_eye + left_eye) / 2)))
    else:
        measure = max(right - left, bottom - top)
    centre = nose if policy.centre == "nose" else np.array(((left + right) / 2, (top + bottom) / 2))
    side_px = measure * policy.side_factor
    if side_px < 1.0:
        raise AnalysisError(f"expected a face whose crop is at least one pixel wide, received {side_px} px")
    angle = math.atan2(eyes[1], eyes[0]) if policy.upright else 0.0
    turn = np.array(((math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))))
    linear = turn * (np.array(policy.wh, np.float64)[:, None] / side_px)
    return np.column_stack((linear, np.array(policy.wh, np.float64) / 2 - linear @ centre))


def _neighbourhood(
    matrix: NDArray[np.float64], policy: CropPolicy, frame_wh: tuple[int, int], margin: int
) -> tuple[int, int, int, int]:
    """The part of the frame that is needed for the crop and its mirrored edges: left, top, right, bottom in pixels."""
    w, h = policy.wh
    corners = np.array(((0, 0), (w, 0), (0, h), (w, h)), np.float64)
    reached = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T)
    (left, right), (top, bottom) = (
        _reflected_span(math.floor(axis.min()) - margin, math.ceil(axis.max()) + margin, length)
        for axis, length in zip(reached, frame_wh, strict=True)
    )
    return left, top, right, bottom


def _reflected_span(first: int, last: int, length: int) -> tuple[int, int]:
    """The span within [0, length) that covers [first, last) and the mirror image of what lies beyond the ends."""
    from_right = 2 * (length - 1) - last if last > length else first
    from_left = 1 - first if first < 0 else last
    return max(0, min(first, from_right, length - 1)), min(length, max(last, from_left, 1))
