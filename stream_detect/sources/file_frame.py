"""A decoded frame of a file, and the limits of decoding: shared by the readers of stills and of videos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream_detect.errors import MediaError
from stream_detect.media.planes import RgbConverter
from stream_detect.sources.display import Display
from stream_detect.sources.stills import MAX_PIXELS
from stream_detect.types import Image

CLOCK_HZ = 90_000
TIME_BASE = Fraction(1, CLOCK_HZ)

FAILURES = (av.FFmpegError, OSError, EOFError, ValueError, IndexError, MemoryError, OverflowError)
"""What PyAV raises on damaged or malicious files."""

STRICT = {"mjpeg": {"err_detect": "explode"}}
"""Decoder options against accepting truncated frames: the missing end of a JPEG is otherwise filled from an earlier
frame."""

NEITHER = "neither a picture nor a video that can be decoded"


@dataclass(frozen=True, slots=True)
class Facts:
    """Properties of a file, from its content.

    Args:
        kind: "image" or "video".
        codec: name in FFmpeg or Pillow.
        wh: size of the upright picture in pixels.
        duration_s: of a video; 0 if not stated.
        fps: average of a video; 0 if not stated.
    """

    kind: str
    codec: str
    wh: tuple[int, int]
    duration_s: float = 0.0
    fps: float = 0.0


@dataclass(frozen=True, slots=True)
class Decoding:
    """How files are decoded.

    Args:
        max_pixels: of a frame; larger ones are not decoded.
        threads: of the video decoder.
        between: called between packets; if it raises, decoding ends.
    """

    max_pixels: int = MAX_PIXELS
    threads: int = 1
    between: Callable[[], None] = lambda: None


class Tools:
    """Display and converter of one stream's shots.

    Args:
        pixel_aspect: width / height of a pixel, as the stream states.
    """

    def __init__(self, pixel_aspect: Fraction | None = None) -> None:
        self.display = Display(pixel_aspect)
        self.rgb = RgbConverter()


class Shot:
    """One decoded frame, rotated and converted on demand.

    Args:
        source: a decoded frame, which is only read, or an upright picture, RGB uint8 (h, w, 3).
        time_s: time since the first frame of the video; increases from shot to shot.
        tools: those of the stream.
    """

    def __init__(self, source: VideoFrame | Image, time_s: float, tools: Tools) -> None:
        self._source = source
        self.time_s = time_s
        self._tools = tools

    def upright(self) -> VideoFrame:
        """The upright frame; its pts is `time_s` in a 90 kHz clock. The decoder may still use its memory.

        Raises:
            MediaError: it cannot be rotated.
        """
        if isinstance(self._source, VideoFrame):
            try:
                frame = self._tools.display.show(self._source)
            except FAILURES as error:
                raise MediaError(f"a frame cannot be turned: {words(error)}") from error
        else:
            frame = VideoFrame.from_ndarray(self._source, format="rgb24")
        frame.pts, frame.time_base = round(self.time_s * CLOCK_HZ), TIME_BASE
        return frame

    def rgb(self) -> Image:
        """The upright frame as RGB uint8 (h, w, 3).

        Raises:
            MediaError: it cannot be converted.
        """
        if not isinstance(self._source, VideoFrame):
            return self._source
        return self._tools.rgb.convert(self.upright())


def words(error: BaseException) -> str:
    """FFmpeg's reason; not `str(error)`, which contains the path."""
    reason = error.strerror if isinstance(error, av.FFmpegError | OSError) else str(error)
    return reason or type(error).__name__


def film_among(streams: Sequence[VideoStream]) -> VideoStream | None:
    """The main video among the streams of a container: not a cover, preview or single still, whatever their order.

    Args:
        streams: of one container.

    Returns:
        None if none can be decoded.
    """
    disposition = av.stream.Disposition
    aside = disposition.attached_pic | disposition.timed_thumbnails
    known = [stream for stream in streams if stream.codec_context is not None and not stream.disposition & aside]

    def rank(stream: VideoStream) -> tuple[bool, int, bool]:
        moving = stream.frames != 1  # 0 if the container does not say
        size = stream.codec_context.width * stream.codec_context.height
        return moving, size, bool(stream.disposition & disposition.default)

    return max(known, key=rank, default=None)
