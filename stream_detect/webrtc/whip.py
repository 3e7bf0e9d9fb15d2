"""Publishing session: one publisher's offer enters; the pictures that it sends go to a camera."""

import contextlib
import secrets
import time
from collections.abc import Callable
from typing import Protocol

import av
from aiortc import MediaStreamError, MediaStreamTrack

from stream_detect.errors import CapacityError, ConflictError, NotFoundError, StreamDetectError
from stream_detect.settings import WebRtcSettings
from stream_detect.types import Answer
from stream_detect.webrtc.aiortc_private import raise_uplink
from stream_detect.webrtc.frames import StreamClock
from stream_detect.webrtc.offer import Codec, Offer, read_offer
from stream_detect.webrtc.peer_connection import Ending, Link, Watch
from stream_detect.webrtc.results_channel import ByeReason
from stream_detect.webrtc.sessions import SessionTable

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


RETRY_AFTER_S = 10
"""When to try again while the server restarts."""


class Publishers:
    """All who publish to cameras of a server. Used on one event loop; `close_all` is its end.

    Args:
        settings: time-outs, ICE servers, bitrate asked of publishers.
    """

    def __init__(self, settings: WebRtcSettings) -> None:
        self._settings = settings
        self._sessions: SessionTable[Publishing] = SessionTable("whip")

    @property
    def count(self) -> int:
        """Publishers who hold their camera, those still closing among them."""
        return len(self._sessions)

    async def answer(self, camera: str, offer_sdp: str, sink: PublisherSink) -> Answer:
        """Opens a session for a publisher.

        Args:
            camera: its name.
            offer_sdp: the offer.
            sink: where the pictures go; `publisher_left` is called at the end, whatever ends it.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) has no video to send.
            CodecError: it has no codec that we have.
            ConflictError: another publisher is there.
            CapacityError: the server is closing.
        """
        offer = read_offer(offer_sdp, h264=True, direction="sendonly")
        if self._sessions.closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if self._publisher_of(camera) is not None:
            raise ConflictError(
                f"{camera} has a publisher already; end that one first (DELETE), or wait "
                f"{self._settings.vanish_timeout_s:g} s if it has vanished"
            )
        session = Publishing(camera, offer.codec, sink, self._settings, self._sessions.gone)
        sdp = await self._sessions.open(session, offer)
        return Answer(session.session_id, sdp, etag=secrets.token_hex(8))

    async def close(self, camera: str, session_id: str) -> None:
        """Ends a publisher's session.

        Raises:
            NotFoundError: that camera has none of that id, or it is closing already.
        """
        session = self._sessions.running(session_id)
        if session.camera != camera:
            raise NotFoundError("expected the id of this camera's publisher, received another one")
        await self._sessions.end(session)

    async def forget(self, camera: str) -> None:
        """Ends the publisher, if there is one, of a camera that is no more."""
        session = self._publisher_of(camera)
        if session is not None:
            await self._sessions.end(session)

    async def close_all(self) -> None:
        """Ends all sessions at once, within five seconds, and takes no more."""
        await self._sessions.close_all()

    def _publisher_of(self, camera: str) -> Publishing | None:
        return next((s for s in self._sessions.all() if s.camera == camera and not s.closing), None)
