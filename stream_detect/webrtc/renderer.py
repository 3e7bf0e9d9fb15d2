"""The renderer of a camera: draws each frame once and encodes it once per codec for all viewers, on one thread.

camera ──> Mailbox ──thread──> Drawing ──> H264Encoding ──> deliver
                                      └──> Vp8Encoding  ──> deliver
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Protocol

import av

from stream_detect.analysis.sampler import Mailbox
from stream_detect.backoff import Outage
from stream_detect.errors import MediaError
from stream_detect.media.clock import RTP_CLOCK_RATE_HZ, RTP_TIME_BASE, RtpClock
from stream_detect.settings import VideoSettings
from stream_detect.webrtc.annotated_track import SILENT_S, Drawing
from stream_detect.webrtc.congestion import shared_bitrate_bps
from stream_detect.webrtc.encoding import EncodedFrame, Encoding, KeyframeGate, new_encoding
from stream_detect.webrtc.offer import Codec

KEYFRAME_INTERVAL_S = 0.5
"""Minimum time between two keyframes of a codec: viewers who join, or lose packets, within it share one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A frame to be encoded.

    Args:
        frame: as decoded; read only.
        arrived_s: monotonic seconds; of a repeated frame, when it is repeated.
        waited_s: how long before that it was shown first; 0 unless it is repeated.
    """

    frame: av.VideoFrame
    arrived_s: float
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RendererOutput:
    """Receiver of encoded frames. Called on the renderer's thread.

    Args:
        codecs: returns the codecs of the current viewers.
        is_free: returns whether the previous frames were sent; if not, a frame is dropped before it is encoded.
        deliver: accepts an encoded frame; returns at once.
    """

    codecs: Callable[[], frozenset[Codec]]
    is_free: Callable[[], bool]
    deliver: Callable[[EncodedFrame], None]


class Renderer:
    """Draws and encodes one camera's frames while somebody watches, on its own thread from `start` to `stop`.

    Drop policy: at most one frame waits, the newest; replaced frames, and those for which the event loop had no time,
    are counted. After SILENT_S without a frame the newest is encoded again.

    Args:
        name: name of the camera.
        drawing: draws on the frames.
        video: bitrates.
        output: receives encoded frames.
    """

    def __init__(self, name: str, drawing: Drawing, video: VideoSettings, output: RendererOutput) -> None:
        self._drawing = drawing
        self._video = video
        self._output = output
        self._frames: Mailbox[_Shown] = Mailbox()
        self._newest: _Shown | None = None  # used on the renderer's thread only
        self._keyframes = {codec: KeyframeGate(KEYFRAME_INTERVAL_S) for codec in Codec}
        self._targets_bps = dict.fromkeys(Codec, video.start_bitrate_bps)
        self._encodings: dict[Codec, Encoding] = {}
        self._clock = RtpClock()
        self._ticks = -1
        self._skipped = 0
        self._thread = Thread(target=self._work, name=f"renderer {name}", daemon=True)

    @property
    def dropped(self) -> int:
        """Number of frames that were shown to it but not encoded."""
        return self._frames.replaced + self._skipped

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def show(self, frame: av.VideoFrame, waited_s: float = 0.0) -> None:
        """Accepts a frame. Thread-safe.

        Args:
            frame: as decoded; read only.
            waited_s: how long ago it arrived, if it is repeated.
        """
        self._frames.put(_Shown(frame, time.monotonic(), waited_s))

    def request_keyframe(self, codec: Codec, *, at_once: bool = False) -> None:
        """Requests a keyframe; `at_once` if no later frame may come that could be one."""
        self._keyframes[codec].request(at_once=at_once)

    def follow(self, codec: Codec, bitrate_bps: int) -> None:
        """Sets the target bitrate from the next frame on."""
        self._targets_bps[codec] = bitrate_bps

    def stop(self) -> None:
        """Ends the thread after its current frame."""
        self._frames.close()

    @property
    def is_running(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Waits for the thread's end."""
        self._thread.join(timeout_s)

    def _work(self) -> None:
        outage = Outage(_log, self._thread.name)
        while (shown := self._next()) is not None:
            try:
                self._make(shown)
                outage.ended()
            except MediaError as error:
                self._drawing.note(f"{self._thread.name}: a frame is left out: {error}")
            except Exception as error:  # noqa: BLE001 - the thread's edge: one frame that fails must not end the view
                outage.failed("a frame is left out", error)
        self._keep(frozenset())

    def _next(self) -> _Shown | None:
        """Waits for the next frame, or until the newest has to be repeated; None after `stop`."""
        newest = self._newest
        shown = self._frames.take(None if newest is None else SILENT_S)
        if shown is None and newest is not None and not self._frames.closed:
            now_s = time.monotonic()
            shown = _Shown(newest.frame, now_s, now_s - newest.arrived_s + newest.waited_s)
        self._newest = shown
        return shown

    def _make(self, shown: _Shown) -> None:
        codecs = self._output.codecs()
        self._keep(codecs)
        if not self._output.is_free():
            self._skipped += 1
            return
        drawn = self._drawing.draw(shown.frame)
        drawn.pts, drawn.time_base = self._timestamp(shown), RTP_TIME_BASE
        for codec in codecs:
            encoding = self._encodings.get(codec)
            if encoding is None:
                encoding = self._encodings[codec] = new_encoding(codec, self._video)
            encoding.follow(self._targets_bps[codec])
            self._output.deliver(encoding.encode(drawn, keyframe=self._keyframes[codec].take()))

    def _keep(self, codecs: frozenset[Codec]) -> None:
        """Closes the encoders of codecs without viewers."""
        for codec in self._encodings.keys() - codecs:
            self._encodings.pop(codec).close()

    def _timestamp(self, shown: _Shown) -> int:
        """90 kHz ticks since the first frame; increases, whatever the source's clock does."""
        frame, seconds = shown.frame, shown.arrived_s
        if frame.pts is not None and frame.time_base is not None:
            # Without the wait, the frame after a repeated one would seem to come that much later.
            seconds = float(frame.pts * frame.time_base) + shown.waited_s
        at = self._clock.read(round(seconds * RTP_CLOCK_RATE_HZ), shown.arrived_s)
        self._ticks = max(round(at.time_s * RTP_CLOCK_RATE_HZ), self._ticks + 1)
        return self._ticks


MAX_UNDELIVERED = 4
"""Encoded frames that may wait for the event loop; beyond that, frames are dropped before they are encoded."""


class Viewer(Protocol):
    """A viewer. Used on the event loop."""

    @property
    def codec(self) -> Codec:
        """Codec that it receives."""
        ...

    @property
    def bitrate_bps(self) -> int:
        """Estimated capacity of its link."""
        ...

    async def take(self, frame: EncodedFrame) -> None:
        """Accepts a frame; must not wait. After an exception it gets no more frames, and `failed` is called."""
        ...

    def failed(self) -> None:
        """Called after an exception; it must end."""
        ...


class Fanout:
    """Passes encoded frames to viewers. Used on the event loop unless stated otherwise."""

    def __init__(self) -> None:
        self._viewers: tuple[Viewer, ...] = ()
        self._codecs: frozenset[Codec] = frozenset()
        self._undelivered: deque[EncodedFrame] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def codecs(self) -> frozenset[Codec]:
        """Codecs of the current viewers. Thread-safe."""
        return self._codecs

    @property
    def is_free(self) -> bool:
        """Whether there is space for another frame. Thread-safe."""
        return len(self._undelivered) < MAX_UNDELIVERED

    @property
    def viewers(self) -> tuple[Viewer, ...]:
        """The current viewers."""
        return self._viewers

    def deliver(self, frame: EncodedFrame) -> None:
        """Accepts a frame; returns at once. Thread-safe."""
        loop = self._loop
        if loop is not None:
            self._undelivered.append(frame)
            loop.call_soon_threadsafe(self._arrived.set)

    def attach(self, viewer: Viewer) -> None:
        """Adds a viewer."""
        self._set((*self._viewers, viewer))
        if self._task is None:
            self._loop = asyncio.get_running_loop()
            self._task = self._loop.create_task(self._run(), name="fan-out")

    def detach(self, viewer: Viewer) -> None:
        """Removes a viewer."""
        self._set(tuple(other for other in self._viewers if other is not viewer))
        if not self._viewers and self._task is not None:
            self._task.cancel()
            self._task = self._loop = None
            self._undelivered.clear()

    def bitrate_bps(self, codec: Codec) -> int | None:
        """Bitrate to encode for; None if nobody receives this codec."""
        estimates_bps = [viewer.bitrate_bps for viewer in self._viewers if viewer.codec is codec]
        return shared_bitrate_bps(estimates_bps) if estimates_bps else None

    def _set(self, viewers: tuple[Viewer, ...]) -> None:
        self._viewers = viewers
        self._codecs = frozenset(viewer.codec for viewer in viewers)

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._undelivered:
                frame = self._undelivered.popleft()
                for viewer in self._viewers:
                    if viewer.codec is frame.codec:
                        await self._give(viewer, frame)

    async def _give(self, viewer: Viewer, frame: EncodedFrame) -> None:
        try:
            await viewer.take(frame)
        except Exception:  # noqa: BLE001 - a viewer's edge: the others are next
            _log.exception("a viewer failed to send a frame, and is closed")
            self._set(tuple(other for other in self._viewers if other is not viewer))
            viewer.failed()
