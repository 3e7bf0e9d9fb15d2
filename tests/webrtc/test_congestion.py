"""The bit rate that each viewer's link allows, and the bit rate of the common encoding."""

import pytest

from stream_detect.webrtc.congestion import BURST_S, SILENT_S, CongestionControl, shared_bitrate_bps
from stream_detect.webrtc.encoding import KeyframeGate


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def congestion(now):
    return CongestionControl(1_000_000, clock=lambda: now[0])


@pytest.mark.parametrize(
    ("estimates_bps", "shared_bps"),
    [
        ([900_000], 900_000),
        ([900_000, 600_000], 600_000),
        ([100_000, 1_000_000, 1_000_000], 500_000),
        ([50_000, 60_000, 70_000], 50_000),
    ],
)
def test_the_narrowest_link_is_followed_but_one_bad_link_costs_half_at_worst(estimates_bps, shared_bps):
    assert shared_bitrate_bps(estimates_bps) == shared_bps


def test_a_low_estimate_alone_holds_nothing_back(congestion, now):
    congestion.estimate(50_000)
    for _ in range(100):
        now[0] += 0.04
        assert congestion.admits()
        congestion.sent(10_000)
        congestion.report(0.05)


def test_a_lossy_link_gets_what_its_estimate_has_room_for(congestion, now):
    congestion.estimate(100_000)
    sent_bytes = 0
    for _ in range(250):  # ten seconds
        now[0] += 0.04
        congestion.report(0.3)
        if congestion.admits():
            congestion.sent(5_000)
            sent_bytes += 5_000
    assert sent_bytes * 8 == pytest.approx(100_000 * 10, rel=0.15)
    congestion.report(0.0)
    assert congestion.admits()


def test_room_does_not_pile_up_without_end(congestion, now):
    congestion.estimate(100_000)
    congestion.report(0.5)
    now[0] += 60.0
    assert congestion.admits()
    congestion.sent(round(100_000 * BURST_S / 8) + 100)
    assert not congestion.admits()


def test_a_viewer_without_reports_receives_nothing_until_it_reports(congestion, now):
    congestion.sent(1_000)
    now[0] += SILENT_S - 0.1
    assert congestion.admits()
    congestion.sent(1_000)
    now[0] += 0.2
    assert not congestion.admits()
    congestion.report(0.0)
    assert congestion.admits()


def test_a_still_camera_does_not_count_as_a_silent_viewer(congestion, now):
    congestion.sent(1_000)
    congestion.estimate(500_000)
    now[0] += 3600.0
    assert congestion.admits()


def test_keyframes_asked_for_in_quick_succession_are_one_now_and_one_later(now):
    gate = KeyframeGate(0.5, clock=lambda: now[0])
    taken = []
    for _ in range(8):
        gate.request()
        taken.append(gate.take())
        now[0] += 0.125
    assert taken == [True, False, False, False] * 2
    assert gate.take()
    assert not gate.take()
