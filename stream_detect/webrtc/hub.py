"""Distributes the frames of one camera to its viewers.

camera ──show──> Hub ──> Renderer (thread) ──> Fanout (event loop) ──> viewers
"""

import asyncio
import time
from dataclasses import dataclass

import av

from stream_detect.overlay.overlay import Overlay
from stream_detect.settings import VideoSettings
from stream_detect.types import Result, Thresholds
from stream_detect.webrtc.annotated_track import Drawing, NewestResult
from stream_detect.webrtc.offer import Codec
from stream_detect.webrtc.renderer import Fanout, Renderer, RendererOutput, Viewer

REPEAT_S = 0.5
"""If the newest frame is older, it is repeated for a new viewer instead of waiting for a slow or stalled camera."""

JOIN_S = 2.0
"""Time limit for the end of the renderer's thread, which ends after its current frame."""


@dataclass(frozen=True, slots=True)
class OverlayStyle:
    """Style of the badge on a camera's frames.

    Args:
        thresholds: of the model.
        stale_s: once the frame of the newest result arrived this long ago, everything is shown hatched grey.
    """

    thresholds: Thresholds
    stale_s: float

    def overlay(self) -> Overlay:
        """Makes an overlay with this style."""
        return Overlay(self.thresholds, self.stale_s)


class Hub:
    """Viewers of one camera; a `Viewing`.

    `show` and `show_result` are thread-safe; everything else is used on one event loop. While nobody watches, nothing
    is drawn or encoded, and there is no thread.

    Args:
        name: name of the camera.
        style: style of the badge.
        video: bitrates.
    """

    def __init__(self, name: str, style: OverlayStyle, video: VideoSettings) -> None:
        self._name = name
        self._style = style
        self._newest = NewestResult()
        self._video = video
        self._fanout = Fanout()
        self._places = 0
        self._held: tuple[av.VideoFrame, float] | None = None
        self._renderer: Renderer | None = None
        self._drawing: Drawing | None = None
        self._ending: list[Renderer] = []

    @property
    def viewers(self) -> int:
        """Number of viewers, including connecting ones, so that the camera has a frame for them."""
        return self._places

    def show(self, frame: av.VideoFrame) -> None:
        """Accepts a frame of the camera; returns at once."""
        if self._places == 0:
            return
        self._held = frame, time.monotonic()
        if self._places == 0:  # the last viewer left meanwhile; the next one must not see this frame hours later
            self._held = None
        renderer = self._renderer
        if renderer is not None:
            renderer.show(frame)

    def show_result(self, result: Result | None) -> None:
        """Sets the result drawn on frames from now on; None draws that there is no result."""
        self._newest.result = result

    def draw_with(self, style: OverlayStyle) -> None:
        """Changes the style from the next frame on, for another model."""
        self._style = style
        if self._drawing is not None:
            self._drawing.draw_with(style.overlay())

    def enter(self) -> None:
        """Called when somebody is about to watch."""
        self._places += 1

    def leave(self) -> None:
        """Called when somebody who entered stops watching."""
        self._places -= 1
        if self._places == 0:
            self._held = None

    def attach(self, viewer: Viewer) -> None:
        """Starts to send frames to this viewer, and requests a keyframe for it."""
        self._fanout.attach(viewer)
        renderer, is_new = (self._renderer, False) if self._renderer else (self._begin(), True)
        self.retarget(viewer.codec)
        held = self._held
        waited_s = 0.0 if held is None else time.monotonic() - held[1]
        repeated = held is not None and (is_new or waited_s > REPEAT_S)
        # A stalled camera may send no further frame for a delayed keyframe, so the repeated one must be a keyframe.
        renderer.request_keyframe(viewer.codec, at_once=repeated)
        if held is not None and repeated:
            renderer.show(held[0], waited_s)

    def detach(self, viewer: Viewer) -> None:
        """Stops sending frames to this viewer; does nothing if it was never attached."""
        self._fanout.detach(viewer)
        self.retarget(viewer.codec)
        if not self._fanout.viewers and self._renderer is not None:
            self._renderer.stop()
            self._ending = [renderer for renderer in (*self._ending, self._renderer) if renderer.is_running]
            self._renderer = self._drawing = None
            self._fanout = Fanout()  # the stopped renderer may still deliver a frame, to the previous one

    def request_keyframe(self, codec: Codec) -> None:
        """Called when a viewer needs a keyframe."""
        if self._renderer is not None:
            self._renderer.request_keyframe(codec)

    def retarget(self, codec: Codec) -> None:
        """Called when the viewers of a codec, or the capacity of their links, have changed."""
        bitrate_bps = self._fanout.bitrate_bps(codec)
        if self._renderer is not None and bitrate_bps is not None:
            self._renderer.follow(codec, bitrate_bps)

    async def close(self) -> None:
        """Waits, for a bounded time, for the threads of detached viewers."""
        for renderer in self._ending:
            await asyncio.to_thread(renderer.join, JOIN_S)
        self._ending.clear()

    def _begin(self) -> Renderer:
        self._drawing = Drawing(self._style.overlay(), self._newest)
        fanout = self._fanout
        output = RendererOutput(lambda: fanout.codecs, lambda: fanout.is_free, fanout.deliver)
        self._renderer = Renderer(self._name, self._drawing, self._video, output)
        self._renderer.start()
        return self._renderer
