"""Feedback: the RTCP of a peer that watches our own encoder's packets enters, bitrate and keyframe requests leave.

One of three places that reach into aiortc (`ice.close` and `uplink` are the others). A sender that is handed packets
ignores PLI and FIR, and keeps the peer's bandwidth estimate to an encoder of its own that it never uses. So the
sender's `_handle_rtcp_packet`, which its transport looks up at every packet, is shadowed on that one object; no class
is changed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    unpack_remb_fci,
)

KEYFRAME_INTERVAL_S = 0.4
"""Least time between two keyframes that a peer asked for: a peer under loss repeats its request with every broken
frame, and a keyframe for each would cause more loss. A request in between is kept, not dropped."""


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
        self._bitrate_bps = self._clip(bitrate_bps)
        self._clock = clock
        self._requested = False
        self._granted_s: float | None = None

    def take(self) -> Demand:
        """What the next frame must be like; a keyframe that is granted by it is taken off."""
        return Demand(self._bitrate_bps, self._take_keyframe())

    def request_keyframe(self) -> None:
        """The picture cannot be decoded without a keyframe."""
        self._requested = True

    def attach(self, sender: RTCRtpSender) -> None:
        """Listens to the RTCP that reaches a sender, which goes on handling it (retransmission, statistics)."""
        handle = sender._handle_rtcp_packet  # noqa: SLF001, no public way (module docstring)

        async def listen(packet: AnyRtcpPacket) -> None:
            self._read(packet, sender._ssrc)  # noqa: SLF001
            await handle(packet)

        shadowed: Any = sender
        shadowed._handle_rtcp_packet = listen  # noqa: SLF001

    def _take_keyframe(self) -> bool:
        if not self._requested:
            return False
        now_s = self._clock()
        if self._granted_s is not None and now_s - self._granted_s < KEYFRAME_INTERVAL_S:
            return False
        self._requested = False
        self._granted_s = now_s
        return True

    def _read(self, packet: AnyRtcpPacket, ssrc: int) -> None:
        if not isinstance(packet, RtcpPsfbPacket):
            return
        if packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
            self.request_keyframe()
        elif packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate_bps, ssrcs = unpack_remb_fci(packet.fci)
            except ValueError:
                return  # another application's message
            if ssrc in ssrcs:
                self._bitrate_bps = self._clip(bitrate_bps)

    def _clip(self, bitrate_bps: int) -> int:
        low, high = self._bounds_bps
        return min(max(bitrate_bps, low), high)
