"""Takes the encoded frames of a peer's video from aiortc before it decodes them.

aiortc decodes frames of any size, on a thread that it joins on the event loop, between two unbounded queues. Its thread
is ended as soon as it starts, by the queue that replaces its own.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from aiortc import RTCRtpReceiver
from aiortc.codecs import is_rtx
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RTP_HISTORY_SIZE, RtpPacket

# ruff: noqa: SLF001 - this package is where private parts are used


STREAM_LOST_S = 1.5
"""After this time without a packet, another stream of the peer takes the place of the one that is received; a screen
may be shared at 1 fps."""

COMPARED_S = 2.0
MUCH_LARGER = 1.5
"""Another stream is received instead if it had this many times the bytes within COMPARED_S: the largest is the best."""

JITTER_PACKETS = 512
"""As in aiortc: the reordering that it allows."""


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

    def switch(self) -> None:
        """The following frames are of another stream; they can be decoded from its next keyframe on."""
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
    handle, one = private._handle_rtp_packet, OneStream()
    received: int | None = None  # the stream of the newest packet that was handled

    async def of_one_stream(packet: RtpPacket, arrival_time_ms: int) -> None:
        nonlocal received
        codec = private._RTCRtpReceiver__codecs.get(packet.payload_type)
        if codec is None or is_rtx(codec):
            if private._RTCRtpReceiver__rtx_ssrc.get(packet.ssrc, received) == received:
                await handle(packet, arrival_time_ms)
            return
        if not one.admits(packet.ssrc, len(packet.payload)):
            return
        if received is not None and received != one.ssrc:
            private._RTCRtpReceiver__nack_generator = _BoundedNackGenerator()
            private._RTCRtpReceiver__jitter_buffer = JitterBuffer(capacity=JITTER_PACKETS, is_video=True)
            sink.switch()
        received = one.ssrc
        await handle(packet, arrival_time_ms)

    private._handle_rtp_packet = of_one_stream
    request: Callable[[], None] = private._RTCRtpReceiver__decoder_error.set
    return request


class OneStream:
    """Chooses one of the RTP streams that a peer sends as one video.

    A publisher may send its video several times in different sizes (simulcast, RFC 8853), although the answer accepts
    one only. aiortc would put the packets of all together.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen_s = self._since_s = 0.0
        self._bytes: Counter[int] = Counter()  # by SSRC, of which a connection has MAX_SSRCS
        self.ssrc: int | None = None
        """The stream that is received; None before the first packet."""

    def admits(self, ssrc: int, size: int) -> bool:
        """Whether the next packet is of the stream that is received; it may be chosen by this packet.

        Args:
            ssrc: of the packet.
            size: of its payload in bytes.
        """
        now_s = self._clock()
        if self.ssrc is None or (ssrc != self.ssrc and now_s - self._seen_s > STREAM_LOST_S):
            self._choose(ssrc, now_s)
        elif now_s - self._since_s >= COMPARED_S:
            (largest, count), *_ = self._bytes.most_common(1) or [(self.ssrc, 0)]
            self._choose(largest if count > MUCH_LARGER * self._bytes[self.ssrc] else self.ssrc, now_s)
        self._bytes[ssrc] += size
        if ssrc == self.ssrc:
            self._seen_s = now_s
        return ssrc == self.ssrc

    def _choose(self, ssrc: int, now_s: float) -> None:
        if ssrc != self.ssrc:
            self._seen_s = now_s
        self.ssrc, self._since_s = ssrc, now_s
        self._bytes.clear()


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
