"""Stills of an event: a picture and a result enter, JPEGs leave."""

import cv2
import numpy as np
from av import VideoFrame

from stream_detect.analysis.crop import cut
from stream_detect.errors import AnalysisError, MediaError
from stream_detect.storage.records import Judge
from stream_detect.types import CropPolicy, Face, Image, Result, Thresholds
from stream_detect.video.overlay import Overlay
from stream_detect.video.picture import copy_yuv420p, to_rgb

QUALITY = 88
FACE = CropPolicy(wh=(320, 320), centre="box", side="box", side_factor=1.6, upright=False)
"""For people to look at: the whole head, as it was held."""


def annotated(frame: VideoFrame, result: Result, judge: Judge) -> bytes:
    """JPEG of a picture with what was known of it drawn in.

    Raises:
        MediaError: the picture cannot be converted.
    """
    copy = copy_yuv420p(frame)
    thresholds = Thresholds(judge.fake_enter, judge.fake_leave, judge.real_enter, judge.real_leave)
    Overlay(thresholds, stale_s=60.0).draw(copy, result, result.arrived_s + result.latency_s)
    return _jpeg(to_rgb(copy))


def face(frame: VideoFrame, result: Result, track: int | None) -> bytes | None:
    """JPEG of the face of a track, 320x320, of the same picture; None when that face is not in the result.

    Raises:
        MediaError: the picture cannot be converted.
    """
    found = next((one.face for one in result.tracks if one.track_id == track), None)
    if found is None:
        return None
    image = to_rgb(frame)
    scale = image.shape[1] / max(result.wh[0], 1), image.shape[0] / max(result.wh[1], 1)
    try:
        return _jpeg(cut(image, _scaled(found, scale), FACE))
    except AnalysisError:  # its points span no square
        return None


def _scaled(one: Face, scale: tuple[float, float]) -> Face:
    """The face in a picture of another size than the one that it was found in."""
    x, y = scale
    left, top, right, bottom = one.xyxy
    keypoints = (one.keypoints * np.array(scale)).astype(np.float32)
    return Face((left * x, top * y, right * x, bottom * y), keypoints, one.score)


def _jpeg(image: Image) -> bytes:
    done, coded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    if not done:
        raise MediaError(f"a picture of {image.shape[1]}x{image.shape[0]} cannot be coded as JPEG")
    return coded.tobytes()
