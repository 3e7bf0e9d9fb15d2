"""The sampler keeps its average rate at any frame rate, and does not catch up after a gap."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.analysis.sampler import Sampler


def picked(sampler, times):
    return [time_s for time_s in times if sampler.wants(time_s)]


def every(fps, length_s, start_s=0.0):
    return [start_s + frame / fps for frame in range(round(fps * length_s))]


@pytest.mark.parametrize(
    ("fps", "rate_hz", "expected"),
    [
        (30, 10, 600),
        (15, 10, 600),
        (60, 10, 600),
        (24, 10, 600),
        (25, 5, 300),
        (29.97, 10, 600),
        (8, 10, 480),
        (10, 10, 600),
    ],
)
def test_a_minute_gives_the_rate_or_every_frame_of_a_slower_stream(fps, rate_hz, expected):
    assert len(picked(Sampler(rate_hz), every(fps, 60))) == pytest.approx(expected, abs=1)


@given(st.lists(st.floats(1 / 60, 1 / 15), min_size=150, max_size=600), st.floats(-1e6, 1e6))
def test_irregular_frames_of_15_to_60_fps_are_sampled_without_drift(intervals, start_s):
    times = [start_s + sum(intervals[:count]) for count in range(len(intervals))]
    expected = (times[-1] - times[0]) * 10
    assert len(picked(Sampler(10), times)) == pytest.approx(expected, abs=1.5)


def test_rounded_timestamps_do_not_cost_samples():
    times = [round(frame * 1000 / 30) / 1000 for frame in range(900)]  # 30 fps in whole milliseconds
    assert len(picked(Sampler(10), times)) == 300


def test_a_pause_is_not_made_up_for():
    times = every(30, 2) + every(30, 2, start_s=7.5)
    after = [time_s for time_s in picked(Sampler(10), times) if time_s >= 7.5]
    assert after[0] == 7.5
    assert min(later - before for before, later in pairwise(after)) >= 0.099


@pytest.mark.parametrize("start_s", [-1e9, 0.0, 3.0, 1e9])
def test_a_jump_of_any_size_restarts_sampling_at_once(start_s):
    sampler = Sampler(10)
    picked(sampler, every(30, 20))
    assert len(picked(sampler, every(30, 10, start_s))) == pytest.approx(100, abs=1)


def test_frames_out_of_order_by_less_than_a_period_are_no_new_beginning():
    sampler = Sampler(10)
    assert [sampler.wants(time_s) for time_s in (1.0, 0.96, 1.03, 1.1, 1.06)] == [True, False, False, True, False]


def test_a_rate_must_be_above_zero():
    with pytest.raises(ValueError, match="above 0"):
        Sampler(0.0)
