"""Annotated track: frames of the peer enter by the queue, pictures with the badge leave to aiortc's sender."""

import asyncio
import logging
from concurrent.futures import Executor

from aiortc import MediaStreamTrack

from stream_detect.webrtc.annotator import Annotator, Picture
from stream_detect.webrtc.feedback import Feedback
from stream_detect.webrtc.frames import FrameQueue

_log = logging.getLogger(__name__)


class AnnotatedTrack(MediaStreamTrack):
    """The video that goes back. What `recv` awaits delays every frame: a draw and an encode off the loop, no model.

    Args:
        frames: what the peer sent.
        annotator: makes pictures of them.
        feedback: what the peer asks of the encoder.
        pool: where the annotator works.
    """

    kind = "video"

    def __init__(self, frames: FrameQueue, annotator: Annotator, feedback: Feedback, pool: Executor) -> None:
        super().__init__()
        self._frames = frames
        self._annotator = annotator
        self._feedback = feedback
        self._pool = pool

    async def recv(self) -> Picture:
        """The next picture.

        Raises:
            MediaStreamError: the peer's track has ended. Nothing else: any other error would end the sender unseen.
        """
        while True:
            frame = await self._frames.get()
            demand = self._feedback.take()
            try:
                picture = await asyncio.get_running_loop().run_in_executor(
                    self._pool, self._annotator.annotate, frame, demand
                )
            except Exception:  # noqa: BLE001 - the session's edge: aiortc's sender would end without a word
                _log.exception("a picture goes back as it came")
                return frame
            if picture is not None:
                return picture
            self._frames.dropped += 1
