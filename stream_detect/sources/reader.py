"""Reads a live source, or a file as if live: its frames as players show them, with their times, and its packets."""

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
from stream_detect.media.clock import LEAN, LIVE_JUMP_S, REST_S, Cadence, Pacer, StreamClock
from stream_detect.media.planes import to_rgb
from stream_detect.sources.address import Address
from stream_detect.sources.display import Deinterlacer, Display
from stream_detect.sources.failures import FAILURES, reading_failure
from stream_detect.sources.hls import Position
from stream_detect.sources.opening import Opened, open_source, refused_size
from stream_detect.sources.opening import ReaderSettings as ReaderSettings  # noqa: PLC0414 - readers are made with it
from stream_detect.types import Image

HEAL_S = 2.0
"""After damage, frames are dropped until the next key frame, but not longer than this: some cameras send one every ten
seconds, and a camera with a slightly smeared picture is not a stalled one."""

FASTEST_FPS = 240.0
"""If a stream does not state its frame rate, FFmpeg may report that of its clock."""

CLOCK_HZ = 90_000
TIME_BASE = Fraction(1, CLOCK_HZ)


class PacketTap(Protocol):
    """Receives every packet of a source's video before it is decoded, on the reader's thread. Must not raise."""

    def opened(self, stream: VideoStream) -> None:
        """Packets of this stream follow; called again when the source is reopened."""
        ...

    def packet(self, packet: "av.Packet[VideoStream]", arrived_s: float) -> None:
        """A packet arrived, at `arrived_s` on the monotonic clock."""
        ...

    def closed(self) -> None:
        """No more packets of that stream follow."""
        ...


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One frame of a source.

    Args:
        frame: as players show it; read-only, because the decoder still uses its memory. Its pts is `time_s` in a 90 kHz
            clock.
        time_s: stream time; increases from frame to frame and starts at the monotonic clock.
        arrived_s: arrival on the monotonic clock.
        keyframe: it was decoded without other frames.
        gap: something was lost or damaged just before it.
    """

    frame: VideoFrame
    time_s: float
    arrived_s: float
    keyframe: bool
    gap: bool


class Damage:
    """Damage in a stream, and which frames are dropped because of it.

    Args:
        advice: how to fix it, for people.
    """

    OFTEN = 0.1
    """Share of dropped frames from which the state mentions the reason: a lost packet now and then is no problem."""
    MEMORY = 0.01
    """Weight of each frame in that share: about the last four seconds at 25 fps."""

    def __init__(self, advice: str) -> None:
        self._advice = advice
        self._heal_by_s = 0.0
        self._left_out_share = 0.0
        self.gap = False
        """Whether something was lost since the newest frame that was not dropped."""
        self.errors = 0
        """Number of unusable packets and frames so far."""
        self.refused = ""
        """Why the newest packet cannot be decoded; empty if it can."""

    @property
    def trouble(self) -> str:
        """Why frames are missing, and how to fix it; empty while few are missing."""
        if self.refused:
            return self.refused
        if self._left_out_share < self.OFTEN:
            return ""
        return f"{100 * self._left_out_share:.0f} % of the frames are lost or damaged{self._advice}"

    def damaged(self) -> None:
        """Records an unusable packet or frame."""
        self.errors += 1
        self._left_out(1.0)
        self.lost()

    def lost(self) -> None:
        """Records a loss: following frames refer to missing ones and are dropped until a key frame, or for `HEAL_S`."""
        self.gap = True
        if not self._heal_by_s:
            self._heal_by_s = time.monotonic() + HEAL_S

    def leaves_out(self, *, keyframe: bool, arrived_s: float) -> bool:
        """Whether a decoded frame is to be dropped."""
        if self._heal_by_s and not keyframe and arrived_s < self._heal_by_s:
            self._left_out(1.0)
            return True
        self._heal_by_s = 0.0
        self._left_out(0.0)
        self.refused = ""
        return False

    def take_gap(self) -> bool:
        """Whether something was lost before the frame that is delivered now."""
        gap, self.gap = self.gap, False
        return gap

    def _left_out(self, share: float) -> None:
        self._left_out_share += self.MEMORY * (share - self._left_out_share)


class Reader:
    """An open source, as a context manager, for use on one thread.

    Args:
        address: what to read.
        settings: how to read it.
        stopping: ends `pictures` without an error; checked between packets, which `read_timeout_s` bounds.
        taps: receive its packets.
        position: position of an earlier reader in an HLS stream; it is updated.

    `keyframes_only` may be set from any thread; full decoding resumes at a key frame.
    """

    def __init__(
        self,
        address: Address,
        settings: ReaderSettings,
        stopping: Event,
        taps: Sequence[PacketTap] = (),
        position: Position | None = None,
    ) -> None:
        self._address = address
        self._settings = settings
        self._stopping = stopping
        self._taps = taps
        self._position = position or Position()
        self._opened: Opened | None = None
        self._closing = ExitStack()
        self._only_keys = False
        self._taken = 0
        self._cadence = Cadence()
        self._pacer = Pacer(stopping)
        self._damage = Damage(settings.advice(address))
        self._deinterlacer = Deinterlacer()
        self.codec = ""
        self.fps = 0.0
        self.keyframes_only = False
        self.received_bytes = 0
        self.packet_s = -REST_S
        """Arrival of the newest packet in monotonic seconds; long ago before the first."""

    def __enter__(self) -> Self:
        opened = self._open()
        live = self._address.is_live
        self._clock = StreamClock(jump_s=LIVE_JUMP_S if live else REST_S, lean=0.0 if opened.paced else LEAN)
        self.codec = opened.stream.codec_context.name
        fps = float(opened.stream.average_rate or opened.stream.guessed_rate or 0)
        self.fps = fps if fps <= FASTEST_FPS else 0.0
        return self

    def __exit__(self, *_: object) -> None:
        self._opened = None
        self._closing.close()

    @property
    def decode_errors(self) -> int:
        """Number of packets that could not be decoded, and of damaged frames, so far."""
        return self._damage.errors

    @property
    def trouble(self) -> str:
        """Why frames are missing although packets arrive, and how to fix it; empty if all is well."""
        return self._damage.trouble

    def pictures(self) -> Iterator[SourceFrame]:
        """Yields frames until `stopping` is set.

        Raises:
            SourceStalledError: nothing arrived in time.
            SourceEndedError: the other side closed it, or a file without `loop` ended.
            SourceRefusedError, SourceUnreachableError: a file could not be reopened.
        """
        opened = self._opened
        if opened is None:
            raise RuntimeError("expected a reader that was entered")
        while True:
            before = self._taken
            yield from self._until_end(opened)
            if self._stopping.is_set():
                return
            if self._address.is_live:
                raise SourceEndedError("the other side closed the stream")
            if not self._settings.loop:
                raise SourceEndedError("the file has ended")
            if self._taken == before:
                raise SourceUnreachableError("nothing in the file can be decoded")
            self._closing.close()
            opened = self._open()

    def _open(self) -> Opened:
        opened = self._opened = open_source(self._address, self._settings, self._stopping, self._position)
        self._closing.callback(opened.close)
        self._display = Display(opened.stream.sample_aspect_ratio)
        for tap in self._taps:
            tap.opened(opened.stream)
            self._closing.callback(tap.closed)
        return opened

    def _until_end(self, opened: Opened) -> Iterator[SourceFrame]:
        """Yields the frames of the open container."""
        for packet, arrived_s in self._packets(opened):
            if (self._only_keys or self.keyframes_only) and not self._wanted(packet):
                continue
            for decoded in self._decoded(packet, opened):
                yield from self._shown(decoded, arrived_s, opened)
        for frame in self._deinterlacer.flush():
            yield self._given(frame, time.monotonic(), opened)

    def _packets(self, opened: Opened) -> Iterator[tuple["av.Packet[VideoStream]", float]]:
        """Yields packets with their arrival, after the taps; the last one is empty and drains the decoder.

        A read that times out first returns the packet that FFmpeg's parser still held, as if it had just arrived, and
        fails only at the next call (measured: a stall was noticed after twice the time-out). So this method fails at
        once.
        """
        try:
            asked_s = time.monotonic()
            for packet in opened.container.demux(opened.stream):
                if self._stopping.is_set():
                    return
                arrived_s = time.monotonic()
                if opened.web is None and arrived_s - asked_s >= self._settings.read_timeout_s:
                    raise TimeoutError  # as the next read would
                if packet.size:
                    self.received_bytes += packet.size
                    self.packet_s = arrived_s
                    for tap in self._taps:
                        tap.packet(packet, arrived_s)
                yield packet, arrived_s
                asked_s = time.monotonic()
        except FAILURES as error:
            problem = reading_failure(error, timeout_s=self._settings.read_timeout_s)
        else:
            return
        if not self._stopping.is_set():
            raise problem  # raised here so that no traceback shows PyAV's error, which contains the address

    def _wanted(self, packet: "av.Packet[VideoStream]") -> bool:
        """Whether to decode a packet, while only key frames are decoded or until the first one after that."""
        self._only_keys = self.keyframes_only or not packet.is_keyframe
        self._cadence.forget()
        return packet.is_keyframe

    def _decoded(self, packet: "av.Packet[VideoStream]", opened: Opened) -> list[VideoFrame]:
        try:
            frames = packet.decode()
            context = opened.stream.codec_context
            if self._only_keys and context.has_b_frames:  # otherwise the decoder delays it to the next key frame
                end = av.Packet()
                end.time_base = packet.time_base
                frames += context.decode(end)
                context.flush_buffers()
        except FAILURES:
            wh = opened.stream.codec_context.width, opened.stream.codec_context.height
            self._damage.refused = refused_size(self.codec, packet, wh, self._settings.max_pixels)
            if self._taken or self._damage.refused or packet.is_keyframe:  # otherwise it was joined in its middle
                self._damage.damaged()
            return []
        return frames

    def _shown(self, frame: VideoFrame, arrived_s: float, opened: Opened) -> Iterator[SourceFrame]:
        """The frames to show for a decoded frame: none if it is incomplete."""
        time_s = self._clock.at(None if opened.untimed else frame.time, arrived_s)
        keyframe = frame.key_frame
        if opened.regular and not self._only_keys and self._cadence.hole(time_s):
            self._damage.lost()
        if frame.is_corrupt:
            self._damage.damaged()
            return
        if self._damage.leaves_out(keyframe=keyframe, arrived_s=arrived_s):
            return
        frame.pts, frame.time_base = round(time_s * CLOCK_HZ), TIME_BASE
        whole = self._deinterlacer.push(frame)
        if self._only_keys:  # the next one is seconds away: fill the missing rows from this frame alone
            whole += self._deinterlacer.flush()
        for shown in whole:
            yield self._given(shown, arrived_s, opened)

    def _given(self, frame: VideoFrame, arrived_s: float, opened: Opened) -> SourceFrame:
        gap = self._damage.take_gap()
        self._taken += 1
        keyframe, time_s = frame.key_frame, cast("int", frame.pts) / CLOCK_HZ
        frame = self._display.show(frame)
        if opened.paced:
            self._pacer.wait(time_s)
            arrived_s = time.monotonic()
        return SourceFrame(frame, time_s, arrived_s, keyframe, gap)


LONGEST_S = 10.0


@dataclass(frozen=True, slots=True)
class Probed:
    """Result of probing a source.

    Args:
        codec: FFmpeg's name ("h264").
        wh: size of the frame as players show it, in pixels.
        fps: frames per second as stated by the stream; 0 if not stated.
        image: RGB uint8 (h, w, 3), its first whole frame.
    """

    codec: str
    wh: tuple[int, int]
    fps: float
    image: Image


def probe(address: Address, settings: ReaderSettings) -> Probed:
    """Opens a source, waits for one frame and closes it, within `LONGEST_S`.

    Raises:
        AddressError, SourceRefusedError, SourceUnreachableError, SourceStalledError, SourceEndedError: no frame
            arrived.
    """
    stopping = Event()
    with ExitStack() as stack:
        timer = Timer(max(0.0, LONGEST_S - settings.read_timeout_s), stopping.set)  # a read may just have begun
        timer.start()
        stack.callback(timer.cancel)
        reader = stack.enter_context(Reader(address, settings, stopping))
        for picture in reader.pictures():
            image = to_rgb(picture.frame)
            return Probed(reader.codec, (image.shape[1], image.shape[0]), reader.fps, image)
        trouble = reader.trouble
    raise SourceStalledError(f"it answered, but no frame came within {LONGEST_S:g} s{f': {trouble}' * bool(trouble)}")
