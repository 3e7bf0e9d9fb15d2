"""Stream time is monotonic for any timestamps; gaps in a regular stream are noticed."""

import itertools
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.media.clock import LEAN, REST_S, Cadence, Pacer, StreamClock
from tests.patience import PATIENCE_S, in_time

BEGAN_S = 5000.0


def times(clock: StreamClock, pts_s: list[float | None], interval_s: float = 0.04) -> list[float]:
    return [clock.at(pts, BEGAN_S + index * interval_s) for index, pts in enumerate(pts_s)]


def steps(values: list[float]) -> list[float]:
    return [round(b - a, 3) for a, b in itertools.pairwise(values)]


@pytest.mark.parametrize(
    ("pts_s", "expected"),
    [
        ([0.0, 0.04, 0.08, 0.2], [0.04, 0.04, 0.12]),
        ([90.0, 90.04, 0.0, 0.04], [0.04, 0.04, 0.04]),  # restarted
        ([95443.68, 95443.7, 0.01, 0.05], [0.02, 0.04, 0.04]),  # wrapped at 33 bits
        ([0.0, 0.04, 4e9, 4e9 + 0.04], [0.04, 0.04, 0.04]),  # jumped to the camera's calendar
        ([None, None, None], [0.04, 0.04]),
        ([0.0, None, 0.08, 0.12], [0.04, 0.04, 0.04]),
        ([1.0, 1.0, 1.04], [0.04, 0.04]),
    ],
)
def test_jumps_and_missing_timestamps_are_bridged_by_arrival(pts_s: list[float | None], expected: list[float]) -> None:
    found = times(StreamClock(lean=LEAN), pts_s)
    assert found[0] == BEGAN_S
    assert steps(found) == pytest.approx(expected, abs=0.002)


@given(st.lists(st.none() | st.floats(-1e10, 1e10), min_size=2, max_size=60), st.sampled_from([0.0, LEAN]))
def test_time_always_rises(pts_s: list[float | None], lean: float) -> None:
    found = times(StreamClock(lean=lean), pts_s, interval_s=0.0)
    assert all(step > 0 for step in steps(found))


def test_a_camera_whose_clock_is_fast_stays_near_ours() -> None:
    found = times(StreamClock(lean=LEAN), [index * 0.0404 for index in range(5000)])
    assert abs(found[-1] - (BEGAN_S + 4999 * 0.04)) < 0.1


def test_after_a_restart_the_timestamps_have_another_origin() -> None:
    clock = StreamClock()
    clock.at(5.0, BEGAN_S)
    clock.restart()
    assert clock.at(5.5, BEGAN_S + 3.4) == BEGAN_S + 3.4


def test_a_file_may_rest_on_a_picture() -> None:
    assert steps(times(StreamClock(jump_s=REST_S), [0.0, 9.0, 9.04])) == [9.0, 0.04]


def test_a_pause_of_the_network_keeps_the_rhythm() -> None:
    clock, pause = StreamClock(lean=LEAN), [0.0] * 40 + [4.0] * 40
    found = [clock.at(0.04 * index, BEGAN_S + 0.04 * index + late) for index, late in enumerate(pause)]
    assert max(steps(found)) < 0.045
    assert holes(found) == []


def holes(times_s: list[float]) -> list[float]:
    cadence = Cadence()
    return [time_s for time_s in times_s if cadence.hole(time_s)]


def test_a_missing_picture_in_a_regular_stream_is_a_hole() -> None:
    regular = [10 + 0.04 * index for index in range(100)]
    assert holes(regular) == []
    assert holes(regular[:50] + regular[51:]) == [regular[51]]
    assert holes(regular[:10] + regular[11:]) == []  # too early to know
    assert holes([*regular[:50], regular[50] + 0.005, *regular[51:]]) == []


def test_an_irregular_stream_has_no_holes() -> None:
    assert holes([10 + 0.04 * index + 0.04 * (index // 7) for index in range(300)]) == []


def test_a_wait_ends_when_stopped() -> None:
    stopping = threading.Event()
    threading.Timer(0.05, stopping.set).start()
    with in_time():
        Pacer(stopping).wait(time.monotonic() + 5 * PATIENCE_S)


def test_late_frames_are_not_caught_up() -> None:
    pacer, began = Pacer(threading.Event()), time.monotonic()
    pacer.wait(began - 30)
    pacer.wait(began - 29.9)
    assert time.monotonic() - began > 0.09
