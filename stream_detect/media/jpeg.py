"""Writes RGB images as JPEG for snapshots, evidence and reports."""

import cv2

from stream_detect.errors import MediaError
from stream_detect.types import Image


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
