"""What we ask of a peer's line: enough for a picture that can be judged."""

import pytest

from stream_detect.webrtc.uplink import BURST_TICKS, SEND_TIME_WRAP, UplinkFloor


class Scripted:
    def __init__(self, *estimates) -> None:
        self._estimates = iter(estimates)
        self.sizes = []

    def add(self, _arrival_time_ms: int, _abs_send_time: int, payload_size: int, _ssrc: int):
        self.sizes.append(payload_size)
        return next(self._estimates)


def told(floor: UplinkFloor, *send_times: int) -> list:
    return [floor.add(0, send_time % SEND_TIME_WRAP, 100, 7) for send_time in send_times]


@pytest.mark.parametrize(
    ("estimates", "expected"),
    [
        ([None, None], [(1000, [7]), None]),
        ([None, (300, [7])], [(1000, [7]), (1000, [7])]),
        ([(300, [7]), None], [(1000, [7]), None]),
        ([(2500, [7, 8]), (900, [7, 8])], [(2500, [7, 8]), (1000, [7, 8])]),
    ],
    ids=["at the first packet", "then never less", "one first estimate", "more when there is more"],
)
def test_estimates_leave_with_a_floor(estimates, expected):
    assert told(UplinkFloor(Scripted(*estimates), 1000), 0, BURST_TICKS) == expected


@pytest.mark.parametrize("origin", [0, SEND_TIME_WRAP - 2 * BURST_TICKS], ids=["", "over the wrap"])
def test_a_burst_is_one_packet_to_the_estimator_and_no_byte_is_lost(origin):
    estimator = Scripted(*[None] * 3)
    told(UplinkFloor(estimator, 1000), *(origin + ticks for ticks in (0, 9, 99, 3 * BURST_TICKS, 6 * BURST_TICKS)))
    assert estimator.sizes == [100, 300, 100]


async def test_a_real_peer_is_told_at_once(open_sessions, make_peer):
    peer = make_peer()
    await peer.connect(open_sessions(min_uplink_bps=2_000_000))
    await peer.more_frames(3)
    assert peer.video.sender._RTCRtpSender__encoder.target_bitrate == pytest.approx(2_000_000, rel=1e-3)
