"""Uplink: aiortc's estimate of what the peer can send enters, never less than a picture worth judging leaves.

aiortc's estimator judges by delay, and takes a busy processor for a full line: it held a browser on the same machine at
.2 to .4 Mbit/s, where it scales 640x480 down to 480x360 (measured with Chromium 156), and what a detector looks for is
gone. REMB is an upper bound to a browser: one whose line has less than the floor slows down by itself, by the loss that
our receiver reports tell it of.
"""

from typing import Any, Protocol

from aiortc import RTCRtpReceiver

SEND_TIME_WRAP = 1 << 24
"""abs-send-time counts 1 / 2**18 s in 24 bits."""

BURST_TICKS = (1 << 18) // 200
"""Packets sent within 5 ms are one burst, as in aiortc's estimator."""

REPEAT_MS = 200
"""Until the first estimate: a browser that is not ready yet for the first packet's answer passes over it."""

Estimate = tuple[int, list[int]]
"""Bits a second, and the streams (SSRC) that share them."""


class Estimator(Protocol):
    """What aiortc asks at every packet."""

    def add(self, arrival_time_ms: int, abs_send_time: int, payload_size: int, ssrc: int) -> Estimate | None:
        """Notes a packet; an estimate when it is time to tell the peer."""
        ...


class UplinkFloor:
    """Raises an estimator's estimates to a floor, and tells the floor until there is one, from the first packet on.

    A browser begins at .3 Mbit/s, and goes to what it is told in its first two seconds at once, later by 8 % a second.
    aiortc's first estimate takes three.
    The estimator looks at bursts of packets, not at single ones; it is given one packet in the place of each burst,
    which saves most of its time (9 % of the event loop's otherwise).

    Args:
        estimator: gives the estimates.
        floor_bps: least bitrate that leaves.
    """

    def __init__(self, estimator: Estimator, floor_bps: int) -> None:
        self._estimator = estimator
        self._floor_bps = floor_bps
        self._burst_began: int | None = None
        self._burst_bytes = 0
        self._estimated = False
        self._tell_at_ms = 0

    def add(self, arrival_time_ms: int, abs_send_time: int, payload_size: int, ssrc: int) -> Estimate | None:
        """As an `Estimator`."""
        self._burst_bytes += payload_size
        began = self._burst_began
        if began is not None and (abs_send_time - began) % SEND_TIME_WRAP < BURST_TICKS:
            return None
        estimate = self._estimator.add(arrival_time_ms, abs_send_time, self._burst_bytes, ssrc)
        self._burst_began, self._burst_bytes = abs_send_time, 0
        if estimate is not None:
            self._estimated = True
            bitrate_bps, ssrcs = estimate
            return max(bitrate_bps, self._floor_bps), ssrcs
        if self._estimated or arrival_time_ms < self._tell_at_ms:
            return None
        self._tell_at_ms = arrival_time_ms + REPEAT_MS
        return self._floor_bps, [ssrc]


def raise_uplink(receiver: RTCRtpReceiver, floor_bps: int) -> None:
    """Puts a floor under what a receiver of video asks of its peer; to be called before it receives."""
    private: Any = receiver
    private._RTCRtpReceiver__remote_bitrate_estimator = UplinkFloor(  # noqa: SLF001 - aiortc has no setting for it
        private._RTCRtpReceiver__remote_bitrate_estimator,  # noqa: SLF001
        floor_bps,
    )
