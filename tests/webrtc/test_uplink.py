"""The bit rate requested from a peer: enough for video that can be judged."""

import pytest

from stream_detect.webrtc.aiortc_private.rtcp import BURST_TICKS, REPEAT_MS, SEND_TIME_WRAP, UplinkFloor


class Scripted:
    def __init__(self, *estimates) -> None:
        self._estimates = iter(estimates)
        self.sizes = []

    def add(self, _arrival_time_ms: int, _abs_send_time: int, payload_size: int, _ssrc: int):
        self.sizes.append(payload_size)
        return next(self._estimates)


def estimates_of(floor: UplinkFloor, *packets: tuple[int, int]) -> list:
    return [floor.add(arrived_ms, send_time % SEND_TIME_WRAP, 100, 7) for arrived_ms, send_time in packets]


@pytest.mark.parametrize(
    ("estimates", "expected"),
    [
        ([None, None, None], [(1000, [7]), None, (1000, [7])]),
        ([None, (300, [7]), None], [(1000, [7]), (1000, [7]), None]),
        ([(300, [7]), None, None], [(1000, [7]), None, None]),
        ([(2500, [7, 8]), (900, [7, 8]), None], [(2500, [7, 8]), (1000, [7, 8]), None]),
    ],
    ids=["the floor until there is one", "then never less", "one at once", "more when there is more"],
)
def test_estimates_leave_with_a_floor(estimates, expected):
    packets = [(10, 0), (10 + REPEAT_MS - 1, BURST_TICKS), (10 + REPEAT_MS, 2 * BURST_TICKS)]
    assert estimates_of(UplinkFloor(Scripted(*estimates), 1000), *packets) == expected


@pytest.mark.parametrize("origin", [0, SEND_TIME_WRAP - 2 * BURST_TICKS], ids=["", "over the wrap"])
def test_a_burst_is_one_packet_to_the_estimator_and_no_byte_is_lost(origin):
    estimator = Scripted(*[None] * 3)
    estimates_of(
        UplinkFloor(estimator, 1000), *((0, origin + ticks) for ticks in (0, 9, 99, 3 * BURST_TICKS, 6 * BURST_TICKS))
    )
    assert estimator.sizes == [100, 300, 100]


async def test_a_real_peer_is_notified_at_once(open_sessions, make_peer):
    peer = make_peer()
    await peer.connect(open_sessions(min_uplink_bps=2_000_000))
    await peer.more_frames(3)
    await peer.until(lambda: peer.video.sender._RTCRtpSender__encoder.target_bitrate >= 0.999 * 2_000_000)
