"""Feedback: the RTCP of a peer that watches our own encoder's packets enters, bitrate and keyframe requests leave.

One of few places that reach into aiortc (`ice.close`, `uplink` and `outlet` are the others). A sender that is handed
packets ignores PLI and FIR, and keeps the peer's bandwidth estimate to an encoder of its own that it never uses. So the
sender's `_handle_rtcp_packet`, which its transport looks up at every packet, is shadowed on that one object; no class
is changed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransport, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
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

from stream_detect.settings import IceServer
from stream_detect.webrtc.encoding import KeyframeGate

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


def configuration(servers: Sequence[IceServer]) -> RTCConfiguration:
    """Configuration of a peer connection.

    Without servers the list is empty, never None: None means a public STUN server to aiortc, and nothing of a check
    leaves for a third party unless the settings say so.
    """
    return RTCConfiguration(
        iceServers=[
            RTCIceServer(
                urls=list(server.urls),
                username=server.username,
                credential=None if server.credential is None else server.credential.get_secret_value(),
            )
            for server in servers
        ]
    )


async def close(connection: RTCPeerConnection) -> None:
    """Closes a connection and leaves no task of it behind.

    Closed at the moment when its checks succeed, aioice (0.13) still starts the task that asks the peer for its
    consent; with no pair left to ask about, that task would loop for ever. So the end of the checks is waited for (it
    comes at once), and the task is cancelled. Nothing public tells of either.
    """
    transports: set[Any] = _transports(connection)
    await connection.close()
    for transport in transports:
        checked = transport._RTCIceTransport__start  # noqa: SLF001
        if checked is not None:
            await checked.wait()
        consent = transport._connection._query_consent_task  # noqa: SLF001
        if consent is not None:
            consent.cancel()


def _transports(connection: RTCPeerConnection) -> set[RTCIceTransport]:
    ends = [transceiver.receiver.transport for transceiver in connection.getTransceivers()]
    if connection.sctp is not None:
        ends.append(connection.sctp.transport)
    return {end.transport for end in ends}
