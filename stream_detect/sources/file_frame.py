"""One decoded frame of a file, and how files are decoded: what the readers of pictures and of videos share."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from stream_detect.errors import MediaError
from stream_detect.media.upright import Upright
from stream_detect.sources.stills import MAX_PIXELS
from stream_detect.types import Image

CLOCK_HZ = 90_000
TIME_BASE = Fraction(1, CLOCK_HZ)

FAILURES = (av.FFmpegError, OSError, EOFError, ValueError, IndexError, MemoryError, OverflowError)
"""What PyAV raises on files that are damaged or made to hurt."""

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
    """What a stream's shots are turned and converted with."""

    def __init__(self) -> None:
        self.upright = Upright()
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
                frame = self._tools.upright.turn(self._source)
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
