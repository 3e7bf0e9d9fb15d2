"""Publishing session: one publisher's offer enters; the pictures that it sends go to a camera."""

import contextlib
import secrets
import time
from collections.abc import Callable
from typing import Protocol

import av
from aiortc import MediaStreamError, MediaStreamTrack

from stream_detect.errors import StreamDetectError
from stream_detect.settings import WebRtcSettings
from stream_detect.webrtc.clock import StreamClock
from stream_detect.webrtc.link import Ending, Link, Watch
from stream_detect.webrtc.messages import ByeReason
from stream_detect.webrtc.offer import Codec, Offer
from stream_detect.webrtc.uplink import raise_uplink

_WORDS: dict[ByeReason, str] = {"closed": "the publisher left", "server_shutdown": "the server is shutting down"}


class PublisherSink(Protocol):
    """Where a publisher's pictures go (monitoring's cameras). Called on the event loop: must return at once."""

    def push(self, frame: av.VideoFrame, codec: str, *, gap: bool = False) -> None:
        """A picture, only read, with pts and time base.

        Args:
            frame: as decoded.
            codec: that it came in, as FFmpeg names it ("h264").
            gap: something was lost just before it.

        Raises:
            StreamDetectError: it takes no pictures any more.
        """
        ...

    def publisher_left(self, reason: str) -> None:
        """No more pictures will come, for a reason in words.

        Raises:
            StreamDetectError: it took none any more.
        """
        ...


class Publishing:
    """One publisher of a camera. Lives on the event loop. As a `Session`.

    Args:
        camera: its name.
        codec: what it sends in.
        sink: where its pictures go.
        settings: time-outs, ICE servers, bitrate.
        on_gone: called, perhaps more than once, when the publisher failed, left, vanished or never came.
    """

    def __init__(
        self,
        camera: str,
        codec: Codec,
        sink: PublisherSink,
        settings: WebRtcSettings,
        on_gone: Callable[["Publishing", str], None],
    ) -> None:
        self.camera = camera
        self.session_id = secrets.token_urlsafe(16)
        self._sink = sink
        self._codec = codec.value.removeprefix("video/").lower()
        self._on_gone = on_gone
        self._clock = StreamClock()
        self._frame_s: float | None = None
        self._gone: str | None = None
        name = f"whip {self.session_id[:6]}"
        self._ending = Ending(name, self._close)
        watch = Watch(connected=lambda: None, gone=self._note_gone, life_s=lambda: self._frame_s, silence="no picture")
        self._link = Link(name, settings, watch)
        raise_uplink(self._link.add_video("recvonly", codec).receiver, settings.min_uplink_bps)
        self._link.connection.on("track", self._on_track)

    @property
    def closing(self) -> bool:
        """As a `Session`."""
        return self._ending.begun

    async def answer(self, offer: Offer) -> str:
        """As a `Session`."""
        return await self._link.answer(offer)

    async def close(self, reason: ByeReason) -> None:
        """As a `Session`."""
        await self._ending.run(reason)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track is self._link.connection.getTransceivers()[0].receiver.track:
            self._link.begin(self._pump(track), "pump")

    async def _pump(self, track: MediaStreamTrack) -> None:
        """Drains the track for as long as it lasts: aiortc queues without bound what is not read."""
        try:
            while True:
                received = await track.recv()
                if isinstance(received, av.VideoFrame):
                    self._take(received)
        except MediaStreamError:
            self._note_gone("the publisher's video ended")
        except StreamDetectError as error:  # the camera was removed, or is of another kind now
            self._note_gone(str(error))

    def _take(self, frame: av.VideoFrame) -> None:
        self._frame_s = time.monotonic()
        if frame.pts is None:  # the decoder lost its packet's timestamp: it has no place in time
            return
        moment = self._clock.read(frame.pts, self._frame_s)
        self._sink.push(frame, self._codec, gap=moment.gap or frame.is_corrupt)

    def _note_gone(self, reason: str) -> None:
        self._gone = self._gone or reason
        self._on_gone(self, reason)

    async def _close(self, reason: ByeReason) -> None:
        await self._link.end_tasks()
        with contextlib.suppress(StreamDetectError):  # likewise: there is nobody to tell
            self._sink.publisher_left(self._gone or _WORDS[reason])
        await self._link.close()
