"""Converts decoded frames: to RGB images for the analysis, and to writable yuv420p copies for the overlay.

A decoded frame is never written to, because the decoder may still predict from it: the overlay draws on a copy.
"""

import ctypes
from dataclasses import dataclass
from typing import Self, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from stream_detect.errors import MediaError
from stream_detect.types import Image

Plane = NDArray[np.uint8]
"""One plane of a frame, (rows, columns) uint8, a view of the frame's memory."""


@dataclass(frozen=True, slots=True)
class Planes:
    """The three planes of a yuv420p frame, as views: writing to them changes the frame.

    Args:
        y: luma, (h, w) uint8.
        u: blue difference, (h / 2, w / 2) uint8, halves are rounded up.
        v: red difference, the same shape.
    """

    y: Plane
    u: Plane
    v: Plane

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """Views of a yuv420p frame.

        Raises:
            MediaError: the frame has another pixel format.
        """
        if frame.format.name != "yuv420p":
            raise MediaError(f"expected a yuv420p frame, received {frame.format.name}; pass it through copy_yuv420p")
        y, u, v = (
            np.frombuffer(cast("memoryview[int]", plane), np.uint8)[: plane.height * plane.line_size].reshape(
                plane.height, plane.line_size
            )[:, : plane.width]
            for plane in frame.planes
        )
        return cls(y, u, v)


def to_rgb(frame: av.VideoFrame, reformatter: VideoReformatter | None = None) -> Image:
    """Converts a frame of any pixel format, size and depth to RGB uint8 (h, w, 3); the frame is not changed.

    Args:
        frame: the frame.
        reformatter: used on one thread; reusing it for all frames of a stream saves .14 ms per frame at 1080p.

    Raises:
        MediaError: the pixel format cannot be converted.
    """
    try:
        converted = (reformatter or VideoReformatter()).reformat(frame, format="rgb24", threads=1)
    except (av.FFmpegError, ValueError) as error:
        raise _unreadable(frame, error) from error
    if converted is frame:  # it was RGB, and the memory is the decoder's
        return np.array(converted.to_ndarray(), np.uint8)
    # A view, which keeps the frame alive; `to_ndarray` copies: 2.1 ms of 2.9 at 1080p.
    (plane,) = converted.planes
    rows = np.frombuffer(cast("memoryview[int]", plane), np.uint8).reshape(-1, plane.line_size)
    wanted = rows[: converted.height, : 3 * converted.width]
    return np.ascontiguousarray(wanted).reshape(converted.height, converted.width, 3)


class RgbConverter:
    """Converts the frames of one stream to RGB images, on one thread at a time.

    It keeps what makes each conversion cheap: FFmpeg's scaler, which takes .14 ms to set up at 1080p, and the newest
    image, without which glibc unmaps a thread's memory after each (see `reuse_frame_memory`).
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._newest: Image | None = None

    def convert(self, frame: av.VideoFrame) -> Image:
        """The frame as RGB uint8 (h, w, 3); see `to_rgb`."""
        image = to_rgb(frame, self._reformatter)
        self._newest = image
        return image


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_REUSED_BYTES = 8 << 20
_KEPT_BYTES = 24 << 20


def reuse_frame_memory() -> None:
    """Has glibc keep freed memory for the next frame, up to 24 MB a thread; call it once, when a process starts.

    By default it returns an image of 1080p to the system, and the next one takes it anew with some 1,000 page faults (3
    ms, measured in a server). Frames of more than 8 MB are still returned. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _REUSED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def copy_yuv420p(frame: av.VideoFrame) -> av.VideoFrame:
    """Copies a frame to limited-range yuv420p of even width and height, to be drawn on and encoded.

    H.264 in yuv420p requires even sides: an odd size loses its last column or row. Timestamp, time base and colour tags
    are kept.

    Raises:
        MediaError: the pixel format cannot be converted, or the frame is smaller than 2x2.
    """
    if frame.width < 2 or frame.height < 2:
        raise MediaError(f"expected a frame of 2x2 pixels or more, received {frame.width}x{frame.height}")
    source = frame
    if frame.format.name != "yuv420p" or frame.color_range == ColorRange.JPEG:
        try:
            source = frame.reformat(format="yuv420p", dst_color_range=ColorRange.MPEG, threads=1)
        except (av.FFmpegError, ValueError) as error:
            raise _unreadable(frame, error) from error
    if source is not frame and frame.width % 2 == 0 and frame.height % 2 == 0:
        copy = source
    else:
        copy = av.VideoFrame(frame.width & ~1, frame.height & ~1, "yuv420p")
        target, origin = Planes.of(copy), Planes.of(source)
        for to, of in ((target.y, origin.y), (target.u, origin.u), (target.v, origin.v)):
            np.copyto(to, of[: to.shape[0], : to.shape[1]])
        copy.colorspace, copy.color_range = source.colorspace, source.color_range
        copy.color_primaries, copy.color_trc = source.color_primaries, source.color_trc
    copy.pts = frame.pts
    if frame.time_base is not None:
        copy.time_base = frame.time_base
    return copy


def _unreadable(frame: av.VideoFrame, error: Exception) -> MediaError:
    reason = error.strerror if isinstance(error, av.FFmpegError) else str(error)
    return MediaError(f"a frame of {frame.width}x{frame.height} in {frame.format.name} cannot be converted: {reason}")
