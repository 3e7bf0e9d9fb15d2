"""Stream time from faulty RTP timestamps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.media.clock import RtpClock

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
