"""What we ask of a peer's line: enough for a picture that can be judged."""

import pytest

from stream_detect.webrtc.uplink import UplinkFloor


class Scripted:
    def __init__(self, *estimates) -> None:
        self._estimates = iter(estimates)

    def add(self, *_packet: int):
        return next(self._estimates)


PACKET = {"arrival_time_ms": 0, "abs_send_time": 0, "payload_size": 1000, "ssrc": 7}


@pytest.mark.parametrize(
    ("estimates", "told"),
    [
        ([None, None], [(1000, [7]), None]),
        ([None, (300, [7])], [(1000, [7]), (1000, [7])]),
        ([(300, [7]), None], [(1000, [7]), None]),
        ([(2500, [7, 8]), (900, [7, 8])], [(2500, [7, 8]), (1000, [7, 8])]),
    ],
    ids=["at the first packet", "then never less", "one first estimate", "more when there is more"],
)
def test_estimates_leave_with_a_floor(estimates, told):
    floor = UplinkFloor(Scripted(*estimates), 1000)
    assert [floor.add(**PACKET) for _ in estimates] == told


async def test_a_real_peer_is_told_at_once(open_sessions, make_peer):
    peer = make_peer()
    await peer.connect(open_sessions(min_uplink_bps=2_000_000))
    await peer.more_frames(3)
    assert peer.video.sender._RTCRtpSender__encoder.target_bitrate == pytest.approx(2_000_000, rel=1e-3)
