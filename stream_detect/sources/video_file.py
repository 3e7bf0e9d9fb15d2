"""Video files, decoded by FFmpeg: the frames of the main video stream as players show them, timed from 0 s.

The kind of a file is detected from its content. FFmpeg reads that file only: playlists, lists of files and every
protocol but plain files are refused.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream_detect.errors import MediaError, NoMediaError
from stream_detect.media.clock import REST_S, StreamClock
from stream_detect.sources.display import Deinterlacer
from stream_detect.sources.file_frame import (
    CLOCK_HZ,
    FAILURES,
    NEITHER,
    STRICT,
    TIME_BASE,
    Decoding,
    Facts,
    Shot,
    Tools,
    film_among,
    words,
)
from stream_detect.sources.stills import check_size

ASSUMED_FPS = 25.0
"""Assumed if a video does not state its rate, between frames without a timestamp."""
_FASTEST_FPS = 1000.0

LEAP_S = 10.0
"""A step of the timestamps that exceeds the duration of the previous frame by this much is a jump: a camera that
reconnected, a clock that was set, or files that were joined."""

_SMALL_PX = 500_000
"""Up to this size more threads use more processor time than they save: a fifth, at 640x480."""

_CONTAINERS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg", "mxf", "nut", "ivf", "m4v", "h264"),
    *("hevc", "vvc", "obu", "av1", "vc1", "dv", "h263", "yuv4mpegpipe", "rm", "wtv", "gif", "apng", "mjpeg", "amv"),
    *("wav", "mp3", "flac", "aac", "ac3", "aiff", "amr", "caf", "w64"),  # to report that they contain only sound
)
"""FFmpeg's names. Formats that refer to other files or networks (hls, dash, concat, sdp, image2 ...) are excluded."""

_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(_CONTAINERS),
    "enable_drefs": "0",  # tracks of a .mov in another file
    "use_absolute_path": "0",
    "probesize": "8000000",
    "analyzeduration": "5000000",
    "max_streams": "200",
}


class VideoFile:
    """A video file, decoded by FFmpeg.

    Args:
        file: a path to a regular file, or an open file.
        decoding: limits and threads.

    Raises:
        MediaError: see `open_media`.
    """

    def __init__(self, file: Path | BinaryIO, decoding: Decoding | None = None) -> None:
        self._decoding = decoding or Decoding()
        self._bytes = file.stat().st_size if isinstance(file, Path) else 0
        self._first: Shot | None = None
        self.done_share = 0.0
        self.damaged = 0
        with ExitStack() as stack:
            self._begin(file, stack)
            if self._first is None and "mp4" in self._container.format.name.split(","):
                # Its edit list may hide all frames; browsers play such a file all the same.
                self._container.close()
                self._begin(file, stack, {"ignore_editlist": "1"})
            if self._first is None:
                raise NoMediaError(NEITHER)
            self.facts = self._facts()  # computed once, because another thread may be decoding when they are read
            stack.pop_all()

    def shots(self, wants: Callable[[float], bool] = lambda _: True) -> Iterator[Shot]:
        """See `Media`."""
        first = cast("Shot", self._first)
        if wants(first.time_s):
            yield first
        for shot in self._shots:
            if wants(shot.time_s):
                yield shot

    @property
    def streams(self) -> int:
        """Number of video streams."""
        return len(self._container.streams.video)

    def close(self) -> None:
        """See `Media`."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, file: Path | BinaryIO, stack: ExitStack, options: Mapping[str, str] | None = None) -> None:
        """Opens the file, to be closed by the stack, and decodes its first frame if it has one."""
        self._container = open_container(file, self._decoding, options)
        stack.callback(self._container.close)
        self._stream = _film_of(self._container)
        self._prepare()
        self._shots = self._decoded()
        self._fps = _fps(self._stream)
        self._times = FrameTimes(self._fps)
        self._first = next(self._shots, None)

    def _prepare(self) -> None:
        context = self._stream.codec_context
        check_size(context.width, context.height, self._decoding.max_pixels)
        context.options = {"max_pixels": str(self._decoding.max_pixels), **STRICT.get(context.name, {})}
        small = context.width * context.height <= _SMALL_PX
        context.thread_count = 1 if small else self._decoding.threads
        context.thread_type = "AUTO"

    def _facts(self) -> Facts:
        first = cast("Shot", self._first).upright()
        codec = self._stream.codec_context.codec.canonical_name
        return Facts("video", codec, (first.width, first.height), _duration_s(self._container, self._stream), self._fps)

    def _decoded(self) -> Iterator[Shot]:
        whole, tools = Deinterlacer(), Tools(self._stream.sample_aspect_ratio)
        for frame in self._frames():
            check_size(frame.width, frame.height, self._decoding.max_pixels)
            time_s = self._times.at(frame)
            frame.pts, frame.time_base = round(time_s * CLOCK_HZ), TIME_BASE
            for picture in whole.push(frame):
                yield Shot(picture, picture.time, tools)
        for picture in whole.flush():
            yield Shot(picture, picture.time, tools)

    def _frames(self) -> Iterator[VideoFrame]:
        """Yields all frames that can be decoded; damaged packets are counted and skipped."""
        packets = self._container.demux(self._stream)
        while True:
            self._decoding.between()
            try:
                packet = next(packets)
                if self._bytes and packet.pos:
                    self.done_share = min(max(self.done_share, packet.pos / self._bytes), 1.0)
            except StopIteration:
                break
            except FAILURES:  # the file is truncated here
                self.damaged += 1
                break
            try:
                frames = packet.decode()
            except FAILURES:
                self.damaged += 1
                continue
            yield from frames


class FrameTimes:
    """Times of a file's frames, which start at 0 s and increase even if the file's timestamps do not.

    Args:
        fps: as stated by the file; 0 if not stated.
    """

    def __init__(self, fps: float) -> None:
        self._clock = StreamClock(jump_s=LEAP_S)
        self._usual_s = 1 / (fps or ASSUMED_FPS)
        self._last_s = -self._usual_s
        self._rest_s = self._usual_s

    def at(self, frame: VideoFrame) -> float:
        """Time of the next frame in seconds. A frame whose timestamp is missing, falls or jumps follows at once."""
        given_s = frame.time if frame.pts is not None and frame.time_base else None
        self._last_s = self._clock.at(given_s, self._last_s + (self._usual_s if given_s is None else self._rest_s))
        stated_s = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
        self._rest_s = stated_s if self._usual_s < stated_s <= REST_S else self._usual_s
        return self._last_s


def open_container(
    file: Path | BinaryIO, decoding: Decoding, options: Mapping[str, str] | None = None
) -> InputContainer:
    """Opens a file with FFmpeg, which may read no other file.

    Args:
        file: a path, or an open file.
        decoding: limits.
        options: further ones of FFmpeg's demuxer.

    Raises:
        MediaError: it does not exist, or its format is not supported.
    """
    if isinstance(file, Path) and not file.is_file():
        raise MediaError("there is no such file" if not file.exists() else "expected a regular file")
    # With "file:" in front, FFmpeg does not interpret anything in a name as a protocol or a pattern.
    if not isinstance(file, Path):
        file.seek(0)
    source = f"file:{file.resolve()}" if isinstance(file, Path) else file
    try:
        return av.open(
            source,
            "r",
            options={"max_pixels": str(decoding.max_pixels)},
            container_options={**_OPTIONS, **(options or {})},
        )
    except FAILURES as error:
        raise NoMediaError(f"{NEITHER} ({words(error)})") from error


def _film_of(container: InputContainer) -> VideoStream:
    stream = film_among(container.streams.video)
    if stream is not None:
        return stream
    cover = av.stream.Disposition.attached_pic
    if any(not stream.disposition & cover for stream in container.streams.video):
        raise MediaError("its video codec is not supported")
    raise NoMediaError("it has sound but no video" if container.streams.audio else NEITHER)


def _fps(stream: VideoStream) -> float:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < float(rate) <= _FASTEST_FPS:
            return float(rate)
    return 0.0


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return max(float(stream.duration * stream.time_base), 0.0)
    return max((container.duration or 0) / av.time_base, 0.0)
