"""Writes RGB images as JPEG for snapshots, evidence and reports."""

from typing import Final

import cv2

from stream_detect.errors import MediaError
from stream_detect.types import Image

SNAPSHOT_QUALITY: Final = 85


def encode_jpeg(image: Image, quality: int) -> bytes:
    """Encodes an image as a JPEG file.

    Args:
        image: RGB uint8 (h, w, 3).
        quality: 1 (smallest) to 100 (best).

    Raises:
        MediaError: the image has another shape or type, is empty, or is larger than JPEG allows (65,500 px a side).
    """
    shape = "x".join(str(side) for side in image.shape)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != "uint8" or not image.size:
        raise MediaError(f"expected an RGB uint8 image (h, w, 3), received {image.dtype} {shape}")
    try:
        done, encoded = cv2.imencode(
            ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality)
        )
    except cv2.error as error:
        raise MediaError(f"an image of {shape} cannot be written as JPEG: {error}") from error
    if not done:
        raise MediaError(f"an image of {shape} cannot be written as JPEG: its sides may have 65,500 px at most")
    return encoded.tobytes()


def encode_snapshot(image: Image, width: int | None = None) -> bytes:
    """Encodes an image as a JPEG file for people to look at, no wider than `width` pixels.

    Args:
        image: RGB uint8 (h, w, 3).
        width: in pixels; None, or more than the image has, keeps the image's.

    Raises:
        MediaError: it cannot be encoded; see `encode_jpeg`.
    """
    if width is not None and image.shape[1] > width:
        height = max(2, round(image.shape[0] * width / image.shape[1]))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(image.dtype)
    return encode_jpeg(image, SNAPSHOT_QUALITY)
