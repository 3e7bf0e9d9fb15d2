"""Annotator: a decoded frame enters, the picture that is sent back leaves: badge drawn, and encoded when in H.264."""

from collections.abc import Callable
from typing import Any, TypeAlias

import av

from stream_detect.errors import MediaError
from stream_detect.types import Result
from stream_detect.video.encoder import H264Encoder
from stream_detect.video.overlay import Overlay
from stream_detect.webrtc.drawing import Drawing
from stream_detect.webrtc.feedback import Demand

Picture: TypeAlias = "av.VideoFrame | av.Packet[Any]"
"""What aiortc's sender takes: a frame to encode, or a packet that is encoded."""


class Annotator:
    """The work on one session's pictures. Synchronous; one call at a time, from any thread.

    What fails here costs the badge or the compression of a frame, never the stream: an undrawn copy is encoded, and an
    unencoded one is left to aiortc's own encoder.

    Args:
        overlay: draws on the copies.
        newest: the newest result; None before the first.
        encoder: compresses; None leaves it to aiortc.
    """

    def __init__(self, overlay: Overlay, newest: Callable[[], Result | None], encoder: H264Encoder | None) -> None:
        self._drawing = Drawing(overlay, newest)
        self._encoder = encoder
        self._broken = False  # aiortc's encoder stepped in: the peer's decoder knows no picture of ours
        self._closed = False

    def annotate(self, frame: av.VideoFrame, demand: Demand) -> "Picture | None":
        """The picture to send for a frame, with the frame's pts.

        Args:
            frame: as decoded; only read.
            demand: what the peer asks of the encoder.

        Returns:
            A packet, or a frame for aiortc to encode; None when the picture is of no kind that can be sent.
        """
        try:
            picture = self._drawing.draw(frame)
        except MediaError as error:
            self._drawing.note(f"pictures are left out: {error}")
            return None
        if self._encoder is None:
            return picture
        self._encoder.target_bitrate_bps = demand.bitrate_bps
        try:
            packet: Picture
            (packet,) = self._encoder.encode(picture, demand.keyframe or self._broken)
        except (MediaError, ValueError) as error:
            if self._closed:
                return None
            self._broken = True
            self._drawing.note(f"pictures are left to aiortc's encoder: {error}")
            return picture
        self._broken = False
        return packet

    def draw_with(self, overlay: Overlay) -> None:
        """Another overlay from the next picture on."""
        self._drawing.draw_with(overlay)

    def close(self) -> None:
        """Frees the encoder; a call in progress, which outlives the sender that asked for it, gives nothing."""
        self._closed = True
        if self._encoder is not None:
            self._encoder.close()
