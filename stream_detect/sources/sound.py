"""Copies the sound of a video file to another one, packet by packet; nothing is decoded."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from av.audio.stream import AudioStream
from av.container import InputContainer

from stream_detect.errors import MediaError
from stream_detect.sources.file_frame import FAILURES, Decoding
from stream_detect.sources.video_file import open_container

if TYPE_CHECKING:
    from av.packet import Packet


class Sound:
    """One audio stream.

    Args:
        container: its container, which `close` closes.
        stream: the stream.
        begins_s: time in the file at which the video begins.
    """

    def __init__(self, container: InputContainer, stream: AudioStream, begins_s: float) -> None:
        self._container = container
        self.stream = stream
        self.begins_s = begins_s

    def packets(self) -> "Iterator[Packet[AudioStream]]":
        """Packets that have a timestamp, in order; everything after damage is dropped."""
        packets = self._container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except FAILURES:
                return
            if packet is None:
                return
            if packet.pts is not None and packet.dts is not None and packet.size and packet.time_base:
                yield packet

    def close(self) -> None:
        """Closes the file."""
        self._container.close()


def open_sound(file: Path, codecs: Collection[str]) -> Sound | None:
    """Opens the first audio stream in one of these codecs; None if there is none.

    Args:
        file: a video.
        codecs: FFmpeg's names.
    """
    try:
        container = open_container(file, Decoding())
    except MediaError:
        return None
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.codec_context.codec.canonical_name in codecs:
            return Sound(container, stream, _pictures_begin_s(container))
    container.close()
    return None


def _pictures_begin_s(container: InputContainer) -> float:
    for stream in container.streams.video:
        if stream.start_time is not None and stream.time_base is not None:
            return float(stream.start_time * stream.time_base)
    return 0.0
