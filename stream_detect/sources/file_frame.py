"""A decoded frame of a file, and the limits of decoding: shared by the readers of stills and of videos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from stream_detect.errors import MediaError
from stream_detect.sources.display import Display
from stream_detect.sources.stills import MAX_PIXELS
from stream_detect.types import Image

CLOCK_HZ = 90_000
TIME_BASE = Fraction(1, CLOCK_HZ)

FAILURES = (av.FFmpegError, OSError, EOFError, ValueError, IndexError, MemoryError, OverflowError)
"""What PyAV raises on files that are damaged or made to hurt."""

STRICT = {"mjpeg": {"err_detect": "explode"}}
"""Options of decoders that pass a cut frame as whole: a JPEG's missing end is filled up with an earlier frame's."""

NEITHER = "neither a picture nor a video that can be decoded"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of itself, by its content.

    Args:
        kind: "image" or "video".
        codec: as FFmpeg or Pillow names it.
        wh: of the upright picture in pixels.
        duration_s: of a video; 0 where it does not say.
        fps: of a video, on average; 0 where it does not say.
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
        max_pixels: of a frame; beyond it nothing is decoded.
        threads: of a video's decoder.
        between: called between packets; what it raises ends the decoding.
    """

    max_pixels: int = MAX_PIXELS
    threads: int = 1
    between: Callable[[], None] = lambda: None


class Tools:
    """What a stream's shots are shown and converted with.

    Args:
        pixel_aspect: width of a pixel by its height, as the stream says.
    """

    def __init__(self, pixel_aspect: Fraction | None = None) -> None:
        self.display = Display(pixel_aspect)
        self.reformatter = VideoReformatter()


class Shot:
    """One decoded frame; it is turned and converted when it is asked for.

    Args:
        source: a frame as decoded, which is only read, or a picture, RGB uint8 (h, w, 3), upright.
        time_s: from the video's first frame; rises from shot to shot.
        tools: of the stream.
    """

    def __init__(self, source: VideoFrame | Image, time_s: float, tools: Tools) -> None:
        self._source = source
        self.time_s = time_s
        self._tools = tools

    def upright(self) -> VideoFrame:
        """The frame as it is to be seen; its pts is `time_s` in a 90 kHz clock. The decoder may still refer to it.

        Raises:
            MediaError: it cannot be turned.
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
        """RGB uint8 (h, w, 3), upright.

        Raises:
            MediaError: it cannot be converted.
        """
        if not isinstance(self._source, VideoFrame):
            return self._source
        frame = self.upright()
        try:
            return np.asarray(self._tools.reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), np.uint8)
        except FAILURES as error:
            raise MediaError(f"a frame in {frame.format.name} cannot be converted: {words(error)}") from error


def words(error: BaseException) -> str:
    """FFmpeg's reason; not `str(error)`, which has the path in it."""
    reason = error.strerror if isinstance(error, av.FFmpegError | OSError) else str(error)
    return reason or type(error).__name__


def film_among(streams: Sequence[VideoStream]) -> VideoStream | None:
    """The film: not its cover, nor a preview or a single still beside it, whichever of them comes first.

    Args:
        streams: of one container.

    Returns:
        None where none can be decoded.
    """
    disposition = av.stream.Disposition
    aside = disposition.attached_pic | disposition.timed_thumbnails
    known = [stream for stream in streams if stream.codec_context is not None and not stream.disposition & aside]

    def rank(stream: VideoStream) -> tuple[bool, int, bool]:
        moving = stream.frames != 1  # 0 where the container does not say
        size = stream.codec_context.width * stream.codec_context.height
        return moving, size, bool(stream.disposition & disposition.default)

    return max(known, key=rank, default=None)
