"""Takes the encoded frames of a peer's video from aiortc before it decodes them.

aiortc decodes frames of any size, on a thread that it joins on the event loop, between two unbounded queues. Its thread
is ended as soon as it starts, by the queue that replaces its own.
"""

from collections.abc import Callable
from typing import Any, Protocol

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RTP_HISTORY_SIZE, RtpPacket

# ruff: noqa: SLF001 - this package is where private parts are used


class EncodedSink(Protocol):
    """Receives encoded frames. Called on the event loop; must return at once."""

    def put(self, codec: str, data: bytes, pts: int) -> None:
        """Accepts the next complete frame.

        Args:
            codec: FFmpeg's name ("h264", "vp8").
            data: Annex B, or one VP8 frame.
            pts: 90 kHz ticks.
        """
        ...

    def end(self) -> None:
        """No more frames follow: the peer said so, or its connection ended."""
        ...


def take_encoded(receiver: RTCRtpReceiver, sink: EncodedSink) -> Callable[[], None]:
    """Passes a receiver's encoded frames to a sink. Call it before it receives.

    Returns:
        A thread-safe function that requests a keyframe from the peer (PLI) at the next packet.
    """
    private: Any = receiver
    private._RTCRtpReceiver__decoder_queue = _Handover(sink)
    private._RTCRtpReceiver__nack_generator = _BoundedNackGenerator()
    request: Callable[[], None] = private._RTCRtpReceiver__decoder_error.set
    return request


class _Handover:
    """Replaces the queue of aiortc's decoder thread."""

    def __init__(self, sink: EncodedSink) -> None:
        self._sink = sink

    def put(self, item: tuple[RTCRtpCodecParameters, JitterFrame] | None) -> None:
        if item is None:
            self._sink.end()
        else:
            codec, frame = item
            self._sink.put(codec.name.lower(), frame.data, frame.timestamp)

    def get(self) -> None:
        """Ends the thread."""


class _BoundedNackGenerator(NackGenerator):
    """Treats a jump of the sequence numbers as a restart, instead of requesting 30,000 packets one by one."""

    def add(self, packet: RtpPacket) -> bool:
        if self.max_seq is not None and RTP_HISTORY_SIZE < (packet.sequence_number - self.max_seq) % 65536 < 32768:
            self.missing.clear()
            self.max_seq = packet.sequence_number
            return False
        return super().add(packet)
