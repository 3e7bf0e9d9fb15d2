"""JPEGs of a camera's frame with the badge, for people to look at. Blocking."""

import time

import av
import cv2

from stream_detect.errors import MediaError
from stream_detect.media.jpeg import encode_jpeg
from stream_detect.media.planes import copy_yuv420p, to_rgb
from stream_detect.overlay.overlay import Overlay
from stream_detect.types import Image, Result, Thresholds

_QUALITY = 85


def annotated(
    frame: av.VideoFrame, result: Result | None, thresholds: Thresholds, stale_s: float, width: int | None
) -> bytes:
    """Encodes a frame as JPEG; the badge is drawn at the final size, so that it is readable in small pictures.

    Args:
        frame: read only.
        result: the newest result; None before the first.
        thresholds: of the model.
        stale_s: a result older than this is drawn as stale.
        width: in pixels; None, or more than the frame's width, keeps the frame's.

    Raises:
        MediaError: the frame has a format that cannot be drawn on.
    """
    picture = copy_yuv420p(_narrowed(frame, width))
    Overlay(thresholds, stale_s).draw(picture, result, time.monotonic())
    return jpeg(to_rgb(picture))


def jpeg(image: Image, width: int | None = None) -> bytes:
    """Encodes an RGB image uint8 (h, w, 3) as JPEG, no wider than `width` pixels.

    Raises:
        MediaError: it cannot be encoded.
    """
    if width is not None and image.shape[1] > width:
        height = max(2, round(image.shape[0] * width / image.shape[1]))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(image.dtype)
    return encode_jpeg(image, _QUALITY)


def _narrowed(frame: av.VideoFrame, width: int | None) -> av.VideoFrame:
    if width is None or width >= frame.width:
        return frame
    height = max(2, round(frame.height * width / frame.width / 2) * 2)
    try:
        return frame.reformat(width=width & ~1, height=height, format="yuv420p", threads=1)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"a picture in {frame.format.name} cannot be made smaller") from error
