"""Reads one source: an address enters, pictures leave, upright, timed and whole; packets go to taps on the way."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from threading import Event, Timer
from typing import Protocol, Self, cast

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream_detect.errors import SourceEndedError, SourceStalledError, SourceUnreachableError
from stream_detect.media.clock import Cadence, Pacer, StreamClock
from stream_detect.media.upright import Upright
from stream_detect.sources.address import Address
from stream_detect.sources.opening import FAILURES, Opened, open_source, reading_failure
from stream_detect.sources.opening import ReaderSettings as ReaderSettings  # noqa: PLC0414 - readers are made with it
from stream_detect.types import Image

HEAL_S = 2.0
"""After damage, pictures are left out until a key frame, but no longer: some cameras send one every ten seconds, and a
camera that is slightly smeared is not a stalled one."""

FASTEST_FPS = 240.0
"""Where a stream does not state its rate FFmpeg may give its clock's."""

CLOCK_HZ = 90_000
TIME_BASE = Fraction(1, CLOCK_HZ)


class PacketTap(Protocol):
    """Is given every packet of a source's pictures before it is decoded, on the reader's thread. Never raises."""

    def opened(self, stream: VideoStream) -> None:
        """Packets of this stream follow. Comes again when the source was opened again."""
        ...

    def packet(self, packet: "av.Packet[VideoStream]", arrived_s: float) -> None:
        """A packet came; `arrived_s` is the monotonic clock."""
        ...

    def closed(self) -> None:
        """No more packets of that stream will come."""
        ...


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One picture.

    Args:
        frame: upright; only to be read (the decoder still refers to it). Its pts is `time_s` in a 90 kHz clock.
        time_s: stream time, rises from picture to picture and begins at the monotonic clock.
        arrived_s: monotonic clock when it reached us.
        keyframe: it was decoded without others.
        gap: something was lost or damaged just before it.
    """

    frame: VideoFrame
    time_s: float
    arrived_s: float
    keyframe: bool
    gap: bool


class Reader:
    """An open source, as a context manager, for use on one thread.

    Args:
        address: what to read.
        settings: how.
        stopping: ends `pictures` quietly; looked at between packets, which `read_timeout_s` bounds.
        taps: of its packets.

    `keyframes_only` may be set from any thread; full decoding begins again with a key frame.
    """

    def __init__(
        self, address: Address, settings: ReaderSettings, stopping: Event, taps: Sequence[PacketTap] = ()
    ) -> None:
        self._address = address
        self._settings = settings
        self._stopping = stopping
        self._taps = taps
        self._opened: Opened | None = None
        self._closing = ExitStack()
        self._only_keys = False
        self._gap = False
        self._heal_by_s = 0.0
        self._pictures = 0
        self._upright = Upright()
        self._cadence = Cadence()
        self._pacer = Pacer(stopping)
        self.codec = ""
        self.fps = 0.0
        self.keyframes_only = False
        self.decode_errors = 0
        self.received_bytes = 0

    def __enter__(self) -> Self:
        opened = self._open()
        self._clock = StreamClock(paced=opened.paced, untimed=opened.untimed)
        self.codec = opened.stream.codec_context.name
        fps = float(opened.stream.average_rate or opened.stream.guessed_rate or 0)
        self.fps = fps if fps <= FASTEST_FPS else 0.0
        return self

    def __exit__(self, *_: object) -> None:
        self._opened = None
        self._closing.close()

    def pictures(self) -> Iterator[SourceFrame]:
        """Its pictures, until `stopping` is set.

        Raises:
            SourceStalledError: nothing came in time.
            SourceEndedError: the other side closed it, or a file that does not loop is over.
            SourceRefusedError, SourceUnreachableError: a file could not be opened again.
        """
        opened = self._opened
        if opened is None:
            raise RuntimeError("expected a reader that was entered")
        while True:
            before = self._pictures
            yield from self._until_end(opened)
            if self._stopping.is_set():
                return
            if self._address.is_live:
                raise SourceEndedError("the other side closed the stream")
            if not self._settings.loop:
                raise SourceEndedError("the file is over")
            if self._pictures == before:
                raise SourceUnreachableError("nothing in the file can be decoded")
            self._closing.close()
            opened = self._open()

    def _open(self) -> Opened:
        opened = self._opened = open_source(self._address, self._settings)
        self._closing.callback(opened.container.close)
        for tap in self._taps:
            tap.opened(opened.stream)
            self._closing.callback(tap.closed)
        return opened

    def _until_end(self, opened: Opened) -> Iterator[SourceFrame]:
        """Pictures of the open container."""
        for packet, arrived_s in self._packets(opened):
            if (self._only_keys or self.keyframes_only) and not self._wanted(packet):
                continue
            for frame in self._decoded(packet, opened):
                picture = self._picture(frame, arrived_s, opened)
                if picture is not None:
                    yield picture

    def _packets(self, opened: Opened) -> Iterator[tuple["av.Packet[VideoStream]", float]]:
        """Its packets with their arrivals, the taps served; the last one is empty and drains the decoder.

        A read that times out first gives the packet that FFmpeg's parser still held, as if it had come just now, and
        fails only when it is asked again (measured: a stall was noticed after twice the time-out). So it fails here.
        """
        try:
            asked_s = time.monotonic()
            for packet in opened.container.demux(opened.stream):
                if self._stopping.is_set():
                    return
                arrived_s = time.monotonic()
                if arrived_s - asked_s >= self._settings.read_timeout_s:
                    raise TimeoutError  # as the next read would
                if packet.size:
                    self.received_bytes += packet.size
                    for tap in self._taps:
                        tap.packet(packet, arrived_s)
                yield packet, arrived_s
                asked_s = time.monotonic()
        except FAILURES as error:
            problem = reading_failure(error, timeout_s=self._settings.read_timeout_s)
        else:
            return
        if not self._stopping.is_set():
            raise problem  # out here, so that no traceback shows PyAV's error: the address is in it

    def _wanted(self, packet: "av.Packet[VideoStream]") -> bool:
        """Whether a packet is decoded, while only key frames are or until the first one after that."""
        self._only_keys = self.keyframes_only or not packet.is_keyframe
        self._cadence.forget()
        return packet.is_keyframe

    def _decoded(self, packet: "av.Packet[VideoStream]", opened: Opened) -> list[VideoFrame]:
        try:
            frames = packet.decode()
            context = opened.stream.codec_context
            if self._only_keys and context.has_b_frames:  # else the decoder holds it back until the next key frame
                end = av.Packet()
                end.time_base = packet.time_base
                frames += context.decode(end)
                context.flush_buffers()
        except FAILURES:
            if self._pictures:  # before that a stream was joined in its middle
                self._damaged()
            return []
        return frames

    def _picture(self, frame: VideoFrame, arrived_s: float, opened: Opened) -> SourceFrame | None:
        """The picture of a frame; None when it is not whole."""
        time_s = self._clock.at(frame.time, arrived_s)
        keyframe = frame.key_frame
        if opened.regular and not self._only_keys and self._cadence.hole(time_s):
            self._lost()
        if frame.is_corrupt:
            self._damaged()
            return None
        if self._heal_by_s:
            if not keyframe and arrived_s < self._heal_by_s:
                return None
            self._heal_by_s = 0.0
        gap, self._gap = self._gap, False
        self._pictures += 1
        frame = self._upright.turn(frame)
        frame.pts = round(time_s * CLOCK_HZ)
        frame.time_base = TIME_BASE
        if opened.paced:
            self._pacer.wait(time_s)
            arrived_s = time.monotonic()
        return SourceFrame(frame, time_s, arrived_s, keyframe, gap)

    def _damaged(self) -> None:
        self.decode_errors += 1
        self._lost()

    def _lost(self) -> None:
        """What follows is marked, and left out as long as it refers to what is not there."""
        self._gap = True
        self._heal_by_s = time.monotonic() + HEAL_S


LONGEST_S = 10.0


@dataclass(frozen=True, slots=True)
class Probed:
    """What a source sent.

    Args:
        codec: as FFmpeg names it ("h264").
        wh: size of the upright picture in pixels.
        fps: pictures a second, as the stream states it; 0 when it does not.
        image: RGB uint8 (h, w, 3), its first whole picture.
    """

    codec: str
    wh: tuple[int, int]
    fps: float
    image: Image


def probe(address: Address, settings: ReaderSettings) -> Probed:
    """Opens a source, waits for one picture and closes it, within `LONGEST_S`.

    Raises:
        AddressError, SourceRefusedError, SourceUnreachableError, SourceStalledError, SourceEndedError: no picture came.
    """
    stopping = Event()
    with ExitStack() as stack:
        timer = Timer(max(0.0, LONGEST_S - settings.read_timeout_s), stopping.set)  # a read may have just begun
        timer.start()
        stack.callback(timer.cancel)
        reader = stack.enter_context(Reader(address, settings, stopping))
        for picture in reader.pictures():
            image = cast("Image", picture.frame.to_ndarray(format="rgb24"))
            return Probed(reader.codec, (image.shape[1], image.shape[0]), reader.fps, image)
    raise SourceStalledError(f"it answered, but no picture came within {LONGEST_S:g} s")
