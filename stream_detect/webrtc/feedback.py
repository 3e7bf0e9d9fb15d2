"""Feedback: the RTCP of a peer that watches our own encoder's packets enters, bitrate and keyframe requests leave.

One of few places that reach into aiortc (`ice.close`, `uplink` and `outlet` are the others). A sender that is handed
packets ignores PLI and FIR, and keeps the peer's bandwidth estimate to an encoder of its own that it never uses. So the
sender's `_handle_rtcp_packet`, which its transport looks up at every packet, is shadowed on that one object; no class
is changed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiortc import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

from stream_detect.webrtc.keyframes import KeyframeGate

KEYFRAME_INTERVAL_S = 0.4
"""Least time between two keyframes that a peer asked for."""


class RtcpListener(Protocol):
    """Is told, on the event loop, what a peer says of the video that it receives."""

    def request_keyframe(self) -> None:
        """The picture cannot be decoded without a keyframe (PLI, FIR)."""
        ...

    def estimate(self, bitrate_bps: int) -> None:
        """What the peer thinks its line takes (REMB)."""
        ...

    def report(self, lost: float) -> None:
        """Share of the packets since its last report that the peer missed, in [0, 1]."""
        ...


def listen(sender: RTCRtpSender, listener: RtcpListener) -> None:
    """Tells of the RTCP that reaches a sender, which goes on handling it (retransmission, statistics)."""
    handle = sender._handle_rtcp_packet  # noqa: SLF001, no public way (module docstring)

    async def told(packet: AnyRtcpPacket) -> None:
        _tell(listener, packet, sender._ssrc)  # noqa: SLF001
        await handle(packet)

    shadowed: Any = sender
    shadowed._handle_rtcp_packet = told  # noqa: SLF001


def _tell(listener: RtcpListener, packet: AnyRtcpPacket, ssrc: int) -> None:
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
            return  # another application's message
        if ssrc in ssrcs:
            listener.estimate(bitrate_bps)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a peer asks of the next frame.

    Args:
        bitrate_bps: its estimate of its bandwidth (REMB), within the encoder's bounds.
        keyframe: the frame must decode by itself.
    """

    bitrate_bps: int
    keyframe: bool


class Feedback:
    """What the receiving peer last asked of our encoder. Read and written on the event loop.

    Args:
        bitrate_bps: what to send until the peer has estimated its bandwidth.
        bounds_bps: lowest and highest bitrate followed.
        clock: monotonic seconds.
    """

    def __init__(
        self, bitrate_bps: int, bounds_bps: tuple[int, int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bounds_bps = bounds_bps
        self._keyframes = KeyframeGate(KEYFRAME_INTERVAL_S, clock)
        self.estimate(bitrate_bps)

    def take(self) -> Demand:
        """What the next frame must be like; a keyframe that is granted by it is taken off."""
        return Demand(self._bitrate_bps, self._keyframes.take())

    def request_keyframe(self) -> None:
        """As an `RtcpListener`."""
        self._keyframes.request()

    def estimate(self, bitrate_bps: int) -> None:
        """As an `RtcpListener`."""
        low, high = self._bounds_bps
        self._bitrate_bps = min(max(bitrate_bps, low), high)

    def report(self, lost: float) -> None:
        """As an `RtcpListener`: what is lost is retransmitted, or asked for as a keyframe."""

    def attach(self, sender: RTCRtpSender) -> None:
        """Listens to the RTCP that reaches a sender."""
        listen(sender, self)
