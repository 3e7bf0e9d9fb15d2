"""Writes annotated videos: frames are encoded as live video is, and the sound of the original is copied."""

import errno
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import av
from av.container import OutputContainer

from stream_detect.errors import DiskFullError, MediaError, StreamDetectError
from stream_detect.media.encoder import NOMINAL_FPS, H264Encoder
from stream_detect.settings import VideoSettings
from stream_detect.sources.file_frame import CLOCK_HZ, FAILURES, TIME_BASE, words
from stream_detect.sources.sound import open_sound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.stream import VideoStream


_COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
"""Audio codecs that MP4 supports and most browsers play."""

_BITRATE_BPS = 8_000_000
"""Upper limit, because a file is not a call; the encoder's quantiser and frame size usually keep it below that."""


class VideoWriter:
    """Writes an H.264 video in MP4. A context manager: after an error the file is not finished.

    Args:
        to: output file.
        original: file whose sound is copied.
        settings: limits of the bitrate.

    Raises:
        MediaError: it cannot be started.
    """

    def __init__(self, to: Path, original: Path, settings: VideoSettings) -> None:
        most_bps = max(_BITRATE_BPS, settings.max_bitrate_bps)
        self._encoder = H264Encoder(settings.min_bitrate_bps, most_bps, most_bps)
        self.to = to
        self._copied = _Copied(original)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._wh = (0, 0)
        self._pts = -1

    def put(self, frame: av.VideoFrame) -> None:
        """Adds a frame, scaled to the size of the first one.

        Args:
            frame: yuv420p of even width and height, with an increasing pts in a 90 kHz clock.

        Raises:
            MediaError: it cannot be encoded or written.
        """
        try:
            if self._container is None:
                self._begin(frame)
            if (frame.width, frame.height) != self._wh:
                pts = frame.pts
                frame = frame.reformat(*self._wh)
                frame.pts, frame.time_base = pts, TIME_BASE
            frame.pts = self._pts = max(cast("int", frame.pts), self._pts + 1)
            for packet in self._encoder.encode(frame):
                packet.stream = cast("VideoStream", self._stream)
                cast("OutputContainer", self._container).mux_one(packet)
            self._copied.copy(cast("OutputContainer", self._container), self._pts / CLOCK_HZ)
        except FAILURES as error:
            raise _unwritten(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._encoder.close()
        try:
            if self._container is not None:
                if kind is None:
                    self._copied.copy(self._container, self._pts / CLOCK_HZ + 1.0)
                self._container.close()
        except FAILURES as problem:
            if kind is None:
                raise _unwritten(problem) from problem
        finally:
            self._copied.close()

    def _begin(self, frame: av.VideoFrame) -> None:
        self._wh = (frame.width, frame.height)
        self._container = av.open(str(self.to), "w", format="mp4", options={"movflags": "+faststart"})
        # Not add_stream, which opens its own encoder, whose headers would differ from those of our packets.
        stream = self._container.add_mux_stream("h264", rate=NOMINAL_FPS, width=frame.width, height=frame.height)
        stream.time_base = TIME_BASE
        self._stream = cast("VideoStream", stream)
        self._copied.begin(self._container)


class _Copied:
    """The original's sound, copied packet by packet; silent if none can be copied."""

    def __init__(self, original: Path) -> None:
        self._sound = open_sound(original, _COPIED)
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._next: Packet[AudioStream] | None = None
        self._to: AudioStream | None = None
        self._last_dts = -1

    def begin(self, container: OutputContainer) -> None:
        if self._sound is not None:
            self._to = container.add_stream_from_template(self._sound.stream)
            self._packets = self._sound.packets()
            self._next = next(self._packets, None)

    def copy(self, container: OutputContainer, until_s: float) -> None:
        """Writes the packets due before that time, counted from the first frame."""
        while self._next is not None and self._sound is not None:
            packet = self._next
            tick_s = packet.time_base
            shift = round(self._sound.begins_s / tick_s)
            pts, dts = cast("int", packet.pts) - shift, cast("int", packet.dts) - shift
            if float(pts * tick_s) > until_s:
                return
            if pts >= 0 and dts > self._last_dts:  # sound whose times go back is left out
                self._last_dts = dts
                packet.pts, packet.dts, packet.stream = pts, dts, cast("AudioStream", self._to)
                container.mux_one(packet)
            self._next = next(self._packets, None)

    def close(self) -> None:
        if self._sound is not None:
            self._sound.close()


def _unwritten(error: BaseException) -> StreamDetectError:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError("not enough space on the disk for the annotated video")
    return MediaError(f"the annotated video cannot be written: {words(error)}")
