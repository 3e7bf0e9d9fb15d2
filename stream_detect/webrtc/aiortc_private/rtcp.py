"""RTCP messages: a peer's requests to our encoders and for lost packets, and the bit rate requested from the peer.

A sender that gets packets ignores PLI and FIR, and passes the peer's bandwidth estimate to an encoder that it never
uses. So the sender's `_handle_rtcp_packet`, which its transport looks up for every packet, is shadowed.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

from aiortc import RTCRtpReceiver, RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

# ruff: noqa: SLF001 - this package is where private parts are used


class RtcpListener(Protocol):
    """Receives, on the event loop, a peer's RTCP feedback about the video."""

    def request_keyframe(self) -> None:
        """The video cannot be decoded without a keyframe (PLI, FIR)."""
        ...

    def estimate(self, bitrate_bps: int) -> None:
        """The peer's estimate of its bandwidth (REMB)."""
        ...

    def report(self, lost: float) -> None:
        """Share of the packets since its last report that the peer missed, in [0, 1]."""
        ...


def listen(sender: RTCRtpSender, listener: RtcpListener) -> None:
    """Passes the RTCP of a sender to a listener; the sender still handles it (retransmission, statistics)."""
    handle = sender._handle_rtcp_packet

    async def reported(packet: AnyRtcpPacket) -> None:
        _report(listener, packet, sender._ssrc)
        await handle(packet)

    shadowed: Any = sender
    shadowed._handle_rtcp_packet = reported


def _report(listener: RtcpListener, packet: AnyRtcpPacket, ssrc: int) -> None:
    if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
        for report in packet.reports:
            if report.ssrc == ssrc:
                listener.report(report.fraction_lost / 256)
    elif not isinstance(packet, RtcpPsfbPacket):
        return
    elif packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
        listener.request_keyframe()
    elif packet.fmt == RTCP_PSFB_APP:
        try:
            bitrate_bps, ssrcs = unpack_remb_fci(packet.fci)
        except ValueError:
            return  # message of another application
        if ssrc in ssrcs:
            listener.estimate(bitrate_bps)


RETRANSMITTED_HZ = 256.0
"""Packets a second that a peer may request again, and as many at once: more than half of all at 4 Mbit/s. One message
can name thousands, which would hold the event loop for tenths of a second and multiply what the peer sends."""


def limit_retransmissions(sender: RTCRtpSender, clock: Callable[[], float] = time.monotonic) -> None:
    """Limits the packets that a sender sends again for its peer (NACK); further requests are ignored.

    Args:
        sender: sender of a connection.
        clock: returns monotonic seconds.
    """
    shadowed: Any = sender
    handle = shadowed._handle_rtcp_packet
    left, filled_s = RETRANSMITTED_HZ, clock()

    async def limited(packet: AnyRtcpPacket) -> None:
        nonlocal left, filled_s
        if isinstance(packet, RtcpRtpfbPacket):
            now_s = clock()
            left = min(left + (now_s - filled_s) * RETRANSMITTED_HZ, RETRANSMITTED_HZ)
            filled_s = now_s
            packet.lost = packet.lost[: int(left)]
            left -= len(packet.lost)
        await handle(packet)

    shadowed._handle_rtcp_packet = limited


SEND_TIME_WRAP = 1 << 24
"""abs-send-time counts 1 / 2**18 s in 24 bits."""

BURST_TICKS = (1 << 18) // 200
"""Packets sent within 5 ms are one burst, as in aiortc's estimator."""

REPEAT_MS = 200
"""Interval until the first estimate: a browser that is not ready ignores the feedback to the first packet."""

Estimate = tuple[int, list[int]]
"""Bits per second, and the streams (SSRC) that share them."""


class Estimator(Protocol):
    """The estimator that aiortc calls for every packet."""

    def add(self, arrival_time_ms: int, abs_send_time: int, payload_size: int, ssrc: int) -> Estimate | None:
        """Adds a packet; returns an estimate if it is time to send one to the peer."""
        ...


class UplinkFloor:
    """Raises estimates to a floor, and sends the floor until there is an estimate, from the first packet on.

    A browser starts at .3 Mbit/s. It follows an estimate in its first two seconds at once, later by 8 % per second.
    aiortc's first estimate takes three seconds. The estimator examines bursts of packets, not single ones; it gets one
    packet per burst, which saves most of its time (otherwise 9 % of the event loop).

    Args:
        estimator: the wrapped estimator.
        floor_bps: lowest estimate.
    """

    def __init__(self, estimator: Estimator, floor_bps: int) -> None:
        self._estimator = estimator
        self._floor_bps = floor_bps
        self._burst_began: int | None = None
        self._burst_bytes = 0
        self._estimated = False
        self._repeat_at_ms = 0

    def add(self, arrival_time_ms: int, abs_send_time: int, payload_size: int, ssrc: int) -> Estimate | None:
        """See `Estimator`."""
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
        if self._estimated or arrival_time_ms < self._repeat_at_ms:
            return None
        self._repeat_at_ms = arrival_time_ms + REPEAT_MS
        return self._floor_bps, [ssrc]


def raise_uplink(receiver: RTCRtpReceiver, floor_bps: int) -> None:
    """Sets a minimum for the bitrate estimates of a video receiver; call it before it receives."""
    private: Any = receiver
    private._RTCRtpReceiver__remote_bitrate_estimator = UplinkFloor(
        private._RTCRtpReceiver__remote_bitrate_estimator,
        floor_bps,
    )
