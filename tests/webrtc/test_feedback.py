"""RTCP feedback of a peer reaches our encoder."""

import pytest
from aiortc import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    pack_remb_fci,
)

from stream_detect.webrtc.aiortc_private.rtcp import RETRANSMITTED_HZ, limit_retransmissions
from stream_detect.webrtc.annotated_track import KEYFRAME_INTERVAL_S, Feedback


class Transport:
    state = "new"


@pytest.fixture
async def sender():
    return RTCRtpSender("video", Transport())


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def feedback(now):
    return Feedback(1_500_000, (200_000, 4_000_000), clock=lambda: now[0])


def psfb(fmt: int, sender: RTCRtpSender, fci: bytes = b"") -> RtcpPsfbPacket:
    return RtcpPsfbPacket(fmt=fmt, ssrc=1, media_ssrc=sender._ssrc, fci=fci)


@pytest.mark.parametrize(
    ("estimate_bps", "followed_bps"), [(900_000, 900_000), (60_000, 200_000), (40_000_000, 4_000_000)]
)
async def test_bitrate_follows_the_estimate_within_bounds(sender, feedback, estimate_bps, followed_bps):
    feedback.attach(sender)
    assert feedback.take().bitrate_bps == 1_500_000
    await sender._handle_rtcp_packet(psfb(RTCP_PSFB_APP, sender, pack_remb_fci(estimate_bps, [sender._ssrc])))
    assert feedback.take().bitrate_bps == pytest.approx(followed_bps, rel=1e-4)


async def test_an_estimate_for_another_stream_is_not_ours(sender, feedback):
    feedback.attach(sender)
    other = (sender._ssrc + 1) % 2**32
    await sender._handle_rtcp_packet(psfb(RTCP_PSFB_APP, sender, pack_remb_fci(300_000, [other])))
    await sender._handle_rtcp_packet(psfb(RTCP_PSFB_APP, sender, b"another application"))
    assert feedback.take().bitrate_bps == 1_500_000


@pytest.mark.parametrize("fmt", [RTCP_PSFB_PLI, RTCP_PSFB_FIR])
async def test_a_lost_picture_asks_for_one_keyframe(sender, feedback, fmt):
    feedback.attach(sender)
    assert not feedback.take().keyframe
    await sender._handle_rtcp_packet(psfb(fmt, sender))
    assert [feedback.take().keyframe for _ in range(3)] == [True, False, False]


async def test_requests_in_quick_succession_are_put_off_not_lost(sender, feedback, now):
    feedback.attach(sender)
    feedback.request_keyframe()
    assert feedback.take().keyframe
    await sender._handle_rtcp_packet(psfb(RTCP_PSFB_PLI, sender))
    assert not feedback.take().keyframe
    now[0] += KEYFRAME_INTERVAL_S
    assert feedback.take().keyframe
    assert not feedback.take().keyframe


async def test_the_sender_still_gets_every_packet(sender, feedback):
    received = []

    async def handle(packet):
        received.append(packet)

    sender._handle_rtcp_packet = handle
    feedback.attach(sender)
    packets = [psfb(RTCP_PSFB_PLI, sender), RtcpRrPacket(ssrc=1)]
    for packet in packets:
        await sender._handle_rtcp_packet(packet)
    assert received == packets


async def test_a_peer_has_so_many_packets_sent_again_and_no_more(sender, feedback, now):
    again = []

    async def retransmit(sequence: int) -> None:
        again.append(sequence)

    limit_retransmissions(sender, clock=lambda: now[0])
    feedback.attach(sender)
    sender._retransmit = retransmit

    async def ask(count: int) -> int:
        again.clear()
        await sender._handle_rtcp_packet(RtcpRtpfbPacket(RTCP_RTPFB_NACK, 1, sender._ssrc, lost=[*range(count)]))
        return len(again)

    assert await ask(20) == 20
    assert await ask(6000) == RETRANSMITTED_HZ - 20
    assert await ask(6000) == 0
    now[0] += 0.5
    assert await ask(6000) == RETRANSMITTED_HZ / 2
    now[0] += 60.0
    assert await ask(6000) == RETRANSMITTED_HZ


async def test_every_connection_limits_them(open_sessions, make_peer):
    sessions, peer = open_sessions(), make_peer(codecs=frozenset({"VP8"}))
    session_id = await peer.connect(sessions)
    (transceiver,) = sessions._sessions.running(session_id)._connection.rtc.getTransceivers()
    again = []

    async def retransmit(sequence: int) -> None:
        again.append(sequence)

    transceiver.sender._retransmit = retransmit
    await transceiver.sender._handle_rtcp_packet(
        RtcpRtpfbPacket(RTCP_RTPFB_NACK, 1, transceiver.sender._ssrc, lost=[*range(6000)])
    )
    assert 0 < len(again) <= RETRANSMITTED_HZ
