"""Drawing: a decoded frame enters, an own copy of it with the badge leaves."""

import logging
import time
from collections.abc import Callable

import av

from stream_detect.types import Result
from stream_detect.video.overlay import Overlay
from stream_detect.video.picture import copy_yuv420p

_log = logging.getLogger(__name__)


class Drawing:
    """Draws what is known onto one stream's pictures. One call at a time, from any thread.

    A badge that fails costs the badge of a frame, never the frame.

    Args:
        overlay: draws on the copies.
        newest: the newest result; None before the first.
    """

    def __init__(self, overlay: Overlay, newest: Callable[[], Result | None]) -> None:
        self._overlay = overlay
        self._newest = newest
        self._trouble: str | None = None

    def draw_with(self, overlay: Overlay) -> None:
        """Another overlay from the next picture on."""
        self._overlay = overlay

    def draw(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A copy in yuv420p with the badge, or without where it failed.

        Args:
            frame: as decoded; only read.

        Raises:
            MediaError: the picture is of no kind that can be sent.
        """
        picture = copy_yuv420p(frame)
        try:
            self._overlay.draw(picture, self._newest(), time.monotonic())
        except Exception as error:  # noqa: BLE001 - the session's edge: a badge that fails must not end the video
            self.note(f"pictures go out without a badge: {error!r}")
            return copy_yuv420p(frame)
        return picture

    def note(self, trouble: str) -> None:
        """Logs once a change, not once a frame."""
        if trouble != self._trouble:
            _log.error("%s", trouble)
            self._trouble = trouble
