"""Offers made from parts of real ones are answered or refused with our errors, and nothing of them remains."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_detect.errors import SignalingError
from stream_detect.settings import WebRtcSettings
from stream_detect.webrtc.offer import read_offer
from stream_detect.webrtc.peer_connection import PeerConnection, PeerEvents
from tests.webrtc.conftest import tasks_and_threads
from tests.webrtc.test_offer import CANDIDATE, OFFER

DIRECTIONS = ("sendrecv", "recvonly", "sendonly")
LINES = OFFER.splitlines()
OTHERS = [
    "a=end-of-candidates",
    "a=ice-lite",
    "a=setup:active",
    "a=setup:passive",
    "a=inactive",
    "a=rtcp-mux-only",
    "a=candidate:1 2 udp 2122260223 192.0.2.7 50000 typ host",
    "a=candidate:1 1 tcp 2122260223 192.0.2.7 9 typ host tcptype active",
    "a=candidate:1 1 udp 1 2001:db8::1 50000 typ srflx raddr :: rport 0",
    "a=candidate:1 1 udp 1 0.0.0.0 0 typ prflx",
    "a=fmtp:102 profile-level-id=640c1f;packetization-mode=1",
    "a=fmtp:102 profile-level-id=zzzzzz",
    "a=fmtp:97 apt=x",
    "a=rtpmap:102 H264/8000",
    "a=ssrc:4294967296 cname:x",
    "a=ssrc-group:FID 1",
    "a=extmap:300 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=group:BUNDLE",
    "a=mid:0",
    "a=max-message-size:0",
    "a=sctp-port:0",
    "m=video 0 UDP/TLS/RTP/SAVPF 102",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    CANDIDATE.strip(),
]

edits = st.lists(
    st.tuples(
        st.sampled_from(["cut", "drop", "double", "swap", "other"]),
        st.integers(0, len(LINES) - 1),
        st.integers(0, len(LINES) - 1),
        st.sampled_from(OTHERS),
    ),
    min_size=1,
    max_size=6,
)


def edited(changes) -> str:
    """The offer after all changes."""
    lines = list(LINES)
    for kind, one, two, other in changes:
        index = one % len(lines)
        match kind:
            case "cut":
                lines[index] = lines[index][: two % (len(lines[index]) + 1)]
            case "drop" if len(lines) > 1:
                del lines[index]
            case "double":
                lines.insert(two % len(lines), lines[index])
            case "swap":
                lines[index], lines[two % len(lines)] = lines[two % len(lines)], lines[index]
            case _:
                lines.insert(index, other)
    return "\n".join(lines)


@given(changes=edits, direction=st.sampled_from(DIRECTIONS))
@settings(max_examples=400, deadline=None)
def test_offers_are_read_or_refused(changes, direction):
    text = edited(changes).replace("a=sendrecv", f"a={direction}")
    try:
        offer = read_offer(text, h264=True, direction=direction)
    except SignalingError:
        return
    assert "a=end-of-candidates" not in offer.sdp
    assert ".local" not in offer.sdp


async def answered(text: str) -> bool:
    """Whether an offer was answered; its connection is closed."""
    offer = read_offer(text, h264=True)
    nothing = PeerEvents(lambda: None, lambda _reason: None, lambda: None, "nothing")
    connection = PeerConnection("fuzz", WebRtcSettings(), nothing)
    try:
        connection.add_video("sendrecv", offer.codec)
        answer = await connection.answer(offer)
        assert "a=candidate" in answer
    finally:
        await connection.close()
    return True


@pytest.fixture
def runner():
    with asyncio.Runner() as made:
        yield made


@given(changes=edits)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parsed_offers_are_answered_or_refused_and_leave_nothing(runner, changes):
    async def run() -> bool:
        before = tasks_and_threads()
        try:
            return await answered(edited(changes))
        except SignalingError:
            return False
        finally:
            await asyncio.sleep(0)
            assert tasks_and_threads() <= before

    runner.run(run())
