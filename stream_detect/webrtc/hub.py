"""Hub: one camera's pictures enter, everybody who watches gets them, drawn once and encoded once a codec.

camera ──show──> Hub ──> Studio (thread) ──> Fanout (event loop) ──> viewers
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import av

from stream_detect.overlay.overlay import Overlay
from stream_detect.settings import VideoSettings
from stream_detect.types import Result, Thresholds
from stream_detect.webrtc.annotated_track import Drawing
from stream_detect.webrtc.offer import Codec
from stream_detect.webrtc.renderer import Fanout, Outgoing, Studio, Viewer

REPEAT_S = 0.5
"""When the newest picture is older, a new viewer is shown it again instead of waiting for a slow or stalled camera."""

JOIN_S = 2.0
"""Bound on waiting for the studio's thread at the end: it ends after the picture that it is at."""


@dataclass(frozen=True, slots=True)
class Look:
    """How pictures are drawn.

    Args:
        thresholds: of the model that judges.
        stale_s: without a result for so long, all is shown hatched grey.
    """

    thresholds: Thresholds
    stale_s: float

    def overlay(self) -> Overlay:
        """Draws so."""
        return Overlay(self.thresholds, self.stale_s)


class Hub:
    """One camera's fan-out. Fits `monitoring.observer.Viewing`.

    `show` may be called from any thread at any time; all else on one event loop. Nothing is drawn or encoded, and no
    thread is there, while nobody watches.

    Args:
        name: of the camera.
        look: how pictures are drawn.
        newest: the camera's newest result; None before the first.
        video: bitrates.
    """

    def __init__(self, name: str, look: Look, newest: Callable[[], Result | None], video: VideoSettings) -> None:
        self._name = name
        self._look = look
        self._newest = newest
        self._video = video
        self._fanout = Fanout()
        self._places = 0
        self._held: tuple[av.VideoFrame, float] | None = None
        self._studio: Studio | None = None
        self._drawing: Drawing | None = None
        self._ending: list[Studio] = []

    @property
    def viewers(self) -> int:
        """Who watch or are about to: those still connecting count, so that the camera has a picture for them."""
        return self._places

    def show(self, frame: av.VideoFrame) -> None:
        """Takes a picture of the camera and returns at once."""
        if self._places == 0:
            return
        self._held = frame, time.monotonic()
        studio = self._studio
        if studio is not None:
            studio.show(frame)

    def show_results(self, newest: Callable[[], Result | None]) -> None:
        """Where results are found from now on."""
        self._newest = newest

    def draw_with(self, look: Look) -> None:
        """Another look from the next picture on: another model judges."""
        self._look = look
        if self._drawing is not None:
            self._drawing.draw_with(look.overlay())

    def enter(self) -> None:
        """Somebody is about to watch."""
        self._places += 1

    def leave(self) -> None:
        """Somebody who entered watches no more."""
        self._places -= 1
        if self._places == 0:
            self._held = None

    def attach(self, viewer: Viewer) -> None:
        """Pictures go to this viewer; one that waits for a keyframe asks for it."""
        self._fanout.attach(viewer)
        studio, is_new = (self._studio, False) if self._studio else (self._begin(), True)
        self.retarget(viewer.codec)
        studio.request_keyframe(viewer.codec)
        held = self._held
        if held is not None and (is_new or time.monotonic() - held[1] > REPEAT_S):
            studio.show(held[0])

    def detach(self, viewer: Viewer) -> None:
        """No more pictures for this one; passed over when it was never attached."""
        self._fanout.detach(viewer)
        self.retarget(viewer.codec)
        if not self._fanout.viewers and self._studio is not None:
            self._studio.stop()
            self._ending = [studio for studio in (*self._ending, self._studio) if studio.is_running]
            self._studio = self._drawing = None

    def request_keyframe(self, codec: Codec) -> None:
        """A viewer cannot decode without one."""
        if self._studio is not None:
            self._studio.request_keyframe(codec)

    def retarget(self, codec: Codec) -> None:
        """The viewers of a codec, or what their lines take, have changed."""
        bitrate_bps = self._fanout.bitrate_bps(codec)
        if self._studio is not None and bitrate_bps is not None:
            self._studio.follow(codec, bitrate_bps)

    async def close(self) -> None:
        """Waits, for a bounded time, for the end of what detached viewers have left behind."""
        for studio in self._ending:
            await asyncio.to_thread(studio.join, JOIN_S)
        self._ending.clear()

    def _result(self) -> Result | None:
        return self._newest()

    def _begin(self) -> Studio:
        self._drawing = Drawing(self._look.overlay(), self._result)
        outgoing = Outgoing(lambda: self._fanout.codecs, lambda: self._fanout.is_free, self._fanout.deliver)
        self._studio = Studio(self._name, self._drawing, self._video, outgoing)
        self._studio.start()
        return self._studio
