"""Decodes the video of one peer on its own thread, within limits on what the peer sends.

aiortc ──put──> encoded frames ──thread──> decoder ──> decoded frames ──event loop──> on_frame
                (bounded in bytes)                     (newest few)
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Condition, Thread
from typing import cast

import av
from aiortc import RTCRtpReceiver
from av.video.codeccontext import VideoCodecContext

from stream_detect.media.clock import RTP_TIME_BASE
from stream_detect.media.coded_size import read_header
from stream_detect.webrtc.aiortc_private.receiver import take_encoded

MAX_ENCODED_BYTES = 8 << 20
"""Maximum size of encoded frames that wait for the decoder: half a second of 100 Mbit/s."""

MAX_ENCODED_FRAMES = 60
"""Maximum number of encoded frames that wait for the decoder: two seconds at 30 fps, the longest pause of a busy
machine."""

MAX_DECODED_FRAMES = 3
"""Maximum number of decoded frames that wait for the event loop; the oldest is dropped first."""

REQUEST_S = 0.5
"""Minimum time between two requests for a keyframe."""

WARN_S = 30.0
"""Minimum time between two log lines about frames that cannot be decoded."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A decoded frame of a peer.

    Args:
        frame: read-only; its pts is in 90 kHz ticks, or None if the decoder lost it.
        arrived_s: arrival of its last packet in monotonic seconds, before it waited and was decoded.
        gap: previous frames were lost, or it was decoded from damaged ones.
    """

    frame: av.VideoFrame
    arrived_s: float
    gap: bool


@dataclass(frozen=True, slots=True)
class VideoEvents:
    """Callbacks of a receiver, called on the event loop.

    Args:
        on_frame: receives the next decoded frame.
        on_refused: the peer's video is too large, in words; nothing more of it is decoded.
        on_failed: `on_frame` or the decoder raised an unexpected error, in words; it was logged.
        on_end: no more frames follow.
    """

    on_frame: Callable[[ReceivedFrame], None]
    on_refused: Callable[[str], None]
    on_failed: Callable[[str], None]
    on_end: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A frame that waits for the decoder."""

    codec: str
    data: bytes
    pts: int
    arrived_s: float
    keyframe: bool
    gap: bool


class VideoReceiver:
    """Decodes the video of one peer. Used on the event loop.

    Drop policy: if the decoder is too slow, waiting frames are dropped up to the newest keyframe. If there is none,
    frames are dropped until the peer has sent a requested one, because a frame depends on previous ones.

    Args:
        name: name of the session, for the log and the thread.
        max_pixels: width times height of a frame; a peer with a larger one is refused before it is decoded.
        events: the callbacks.
    """

    def __init__(self, name: str, max_pixels: int, events: VideoEvents) -> None:
        self._name = name
        self._max_pixels = max_pixels
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Encoded] = deque()
        self._waiting_bytes = 0
        self._changed = Condition()
        self._decoded: deque[ReceivedFrame] = deque()
        self._thread: Thread | None = None
        self._request_keyframe: Callable[[], None] = lambda: None
        self._requested_s = 0.0
        self._warned_s = 0.0
        self._needs_keyframe = False
        self._lost = False
        self._ended = False
        self.dropped = 0
        """Number of frames that arrived but were not decoded, or not delivered."""

    def attach(self, receiver: RTCRtpReceiver) -> None:
        """Attaches to a receiver before it receives frames."""
        self._request_keyframe = take_encoded(receiver, self)

    def put(self, codec: str, data: bytes, pts: int) -> None:
        """Accepts the next encoded frame; returns at once. See `EncodedSink`."""
        if self._ended or not data:  # padding alone; FFmpeg would take an empty packet for the end of the stream
            return
        header = read_header(codec, data)
        if header.wh is not None and header.wh[0] * header.wh[1] > self._max_pixels:
            self._refuse(header.wh)
            return
        if self._needs_keyframe and not header.keyframe:
            self._drop(1)
            return
        self._needs_keyframe = False
        frame = _Encoded(codec, data, pts, time.monotonic(), header.keyframe, self._lost)
        self._lost = False
        with self._changed:
            self._waiting.append(frame)
            self._waiting_bytes += len(data)
            if self._waiting_bytes > MAX_ENCODED_BYTES or len(self._waiting) > MAX_ENCODED_FRAMES:
                self._shorten()
            self._changed.notify()
        if self._thread is None:
            self._thread = Thread(target=self._work, name=f"{self._name} decoder", daemon=True)
            self._thread.start()

    def switch(self) -> None:
        """Drops frames up to a keyframe, which is requested. See `EncodedSink`."""
        self._needs_keyframe = True
        self._drop(0)

    def end(self) -> None:
        """Ends decoding after the current frame; waiting frames are dropped. See `EncodedSink`."""
        if self._ended:
            return
        self._ended = True
        with self._changed:
            self._waiting.clear()
            self._waiting_bytes = 0
            self._changed.notify()
        self._loop.call_soon(self._events.on_end)

    async def close(self, timeout_s: float) -> None:
        """Ends, and waits a bounded time for the thread; not for the event loop."""
        self.end()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, timeout_s)
        self._decoded.clear()

    def _refuse(self, wh: tuple[int, int]) -> None:
        self.end()
        self._events.on_refused(
            f"the video is {wh[0]}x{wh[1]}; webrtc.max_pixels allows {self._max_pixels:,} pixels: send a smaller one"
        )

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._lost = True
        now_s = time.monotonic()
        if now_s - self._requested_s > REQUEST_S:
            self._requested_s = now_s
            self._request_keyframe()

    def _shorten(self) -> None:
        """Drops waiting frames up to the newest keyframe, or all of them. Call with the lock held."""
        frames = list(self._waiting)
        newest = max((number for number, frame in enumerate(frames) if frame.keyframe), default=len(frames))
        if 0 < newest < len(frames):
            self.dropped += newest
            self._waiting = deque([replace(frames[newest], gap=True), *frames[newest + 1 :]])
        else:  # the oldest is the newest keyframe, and its dependent frames are too many
            self._waiting.clear()
            self._needs_keyframe = True
            self._drop(len(frames))
        self._waiting_bytes = sum(len(frame.data) for frame in self._waiting)

    def _work(self) -> None:
        """Decodes until the end, on the receiver's own thread; an error that nobody expects ends the session."""
        try:
            self._decode()
        except Exception:  # noqa: BLE001 - the thread's edge: otherwise the video would stand still and nobody know why
            _log.exception("%s decoder failed", self._name)
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                self._loop.call_soon_threadsafe(self._fail, "its video could not be decoded")

    def _decode(self) -> None:
        decoder: VideoCodecContext | None = None
        arrivals: deque[tuple[int, float]] = deque(maxlen=32)  # of frames that the decoder delays
        gap = False
        while (encoded := self._next()) is not None:
            gap |= encoded.gap
            if decoder is None or decoder.name != encoded.codec:
                decoder = _decoder(encoded.codec, self._max_pixels)
            arrivals.append((encoded.pts, encoded.arrived_s))
            packet = av.Packet(encoded.data)
            packet.pts, packet.time_base = encoded.pts, RTP_TIME_BASE
            try:
                frames = decoder.decode(packet)
            except av.FFmpegError as error:
                gap = True
                self._request_keyframe()
                self._warn(encoded.codec, error)
                continue
            for frame in frames:
                arrived_s = next((s for pts, s in reversed(arrivals) if pts == frame.pts), encoded.arrived_s)
                if not self._hand_on(ReceivedFrame(frame, arrived_s, gap or frame.is_corrupt)):
                    return
                gap = False

    def _next(self) -> _Encoded | None:
        with self._changed:
            while not self._waiting:
                if self._ended:
                    return None
                self._changed.wait()
            encoded = self._waiting.popleft()
            self._waiting_bytes -= len(encoded.data)
            return encoded

    def _hand_on(self, received: ReceivedFrame) -> bool:
        """Passes a frame to the event loop; False if that has ended."""
        with self._changed:
            self._decoded.append(received)
            if len(self._decoded) > MAX_DECODED_FRAMES:
                self.dropped += 1
                if self._decoded.popleft().gap:
                    self._decoded[0] = replace(self._decoded[0], gap=True)
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            return False
        return True

    def _deliver(self) -> None:
        try:
            while (received := self._take_decoded()) is not None:
                self._events.on_frame(received)
        except Exception:  # noqa: BLE001 - the session's edge: the loop would only log it, and the session go on without
            _log.exception("%s receiver failed", self._name)
            self._fail("a frame could not be accepted")

    def _fail(self, reason: str) -> None:
        self.end()
        self._events.on_failed(reason)

    def _take_decoded(self) -> ReceivedFrame | None:
        with self._changed:
            return self._decoded.popleft() if self._decoded and not self._ended else None

    def _warn(self, codec: str, error: av.FFmpegError) -> None:
        now_s = time.monotonic()
        if now_s - self._warned_s > WARN_S:
            self._warned_s = now_s
            _log.warning("%s: a frame of %s cannot be decoded: %s", self._name, codec, error)


def _decoder(codec: str, max_pixels: int) -> VideoCodecContext:
    """FFmpeg's own decoder with one thread, which also rejects larger frames in case a header was misread.

    Its VP8 decoder takes a tenth less processor time than libvpx at 640x480, a quarter less at 1080p (measured), and
    unlike libvpx checks the size before it allocates.
    """
    context = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
    context.thread_count = 1
    context.options = {"max_pixels": str(max_pixels)}
    return context
