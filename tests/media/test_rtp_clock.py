"""Stream time from faulty RTP timestamps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.media.clock import LIVE_DRIFT_S, RtpClock

TICK = 90_000


@pytest.mark.parametrize(
    ("pts", "arrived_s", "time_s", "gap"),
    [
        ((0, 3000), (10.0, 10.0), 3000 / TICK, False),
        ((500_000, 503_000), (10.0, 10.5), 3000 / TICK, False),
        ((0, TICK // 5), (10.0, 10.2), 0.2, False),
        ((0, TICK), (10.0, 11.0), 1.0, True),
        ((0, 2 << 31), (10.0, 10.25), 0.25, True),
        ((TICK, 0), (10.0, 10.25), 0.25, True),
        ((TICK, TICK), (10.0, 10.25), 0.25, False),
    ],
    ids=["first", "any origin", "5 fps", "loss", "wrap", "new origin", "same twice"],
)
def test_second_frame(pts, arrived_s, time_s, gap):
    clock = RtpClock()
    assert clock.read(pts[0], arrived_s[0]).time_s == 0.0
    at = clock.read(pts[1], arrived_s[1])
    assert at.time_s == pytest.approx(time_s)
    assert at.gap is gap


@given(st.lists(st.integers(-(2**33), 2**33)))
def test_stream_time_never_falls(timestamps):
    clock = RtpClock()
    times_s = [clock.read(pts, float(number)).time_s for number, pts in enumerate(timestamps)]
    assert times_s == sorted(times_s)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.85, 1.2, 10.0])
def test_a_sender_that_sets_the_rate_of_its_timestamps_gains_no_more_than_the_drift(rate):
    clock = RtpClock()
    for number in range(3000):
        arrived_s = 50.0 + number / 30
        at = clock.read(round(rate * number * 3000), arrived_s)
        assert abs(at.time_s - number / 30) <= LIVE_DRIFT_S + 1e-6


def test_a_pause_that_the_timestamps_hide_is_a_gap_in_stream_time():
    clock = RtpClock()
    before_s = clock.read(0, 10.0).time_s
    assert clock.read(3000, 40.0).time_s - before_s == pytest.approx(30.0 - LIVE_DRIFT_S)


@given(st.lists(st.floats(0.0, LIVE_DRIFT_S - 0.01), min_size=2, max_size=60))
def test_late_frames_keep_the_times_of_their_timestamps(late_s):
    clock = RtpClock()
    late_s[0], arrived_s, times_s = 0.0, 0.0, []
    for number, late in enumerate(late_s):
        arrived_s = max(arrived_s, number / 30 + late)
        times_s.append(clock.read(number * 3000, arrived_s).time_s)
    assert times_s == pytest.approx([number / 30 for number in range(len(late_s))])
