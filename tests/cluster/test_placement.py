"""The worker chosen for a camera, and when a worker counts as overloaded."""

import pytest

from stream_detect.cameras.status import CameraCounts, CameraStatus
from stream_detect.cluster.placement import OVERLOAD_S, Host, Overload, choose, cost
from stream_detect.types import CameraState, StateChange


def status(state=CameraState.LIVE, fps=25.0, wh=(640, 480)):
    change = StateChange("door", state, "", 0.0)
    return CameraStatus("door", change, CameraCounts(), fps, wh, "h264", 0, None, None, None)


@pytest.mark.parametrize(
    ("known", "rate_hz", "expected"),
    [
        (status(), 5, 640 * 480 * 25 / 1e6 + 10),
        (status(wh=(1920, 1080), fps=30), 5, 1920 * 1080 * 30 / 1e6 + 10),
        (status(CameraState.CONNECTING), 5, 640 * 480 * 25 / 1e6 + 10),
        (status(wh=None), 10, 640 * 480 * 25 / 1e6 + 20),
    ],
)
def test_cost_is_pixels_by_rate_and_samples(known, rate_hz, expected):
    assert cost(known, rate_hz) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("hosts", "node", "expected"),
    [
        ([Host("a/0", "a", 4, 10), Host("b/0", "b", 4, 5)], "", "b/0"),
        ([Host("a/0", "a", 16, 10), Host("b/0", "b", 2, 5)], "", "a/0"),  # more processors take more cameras
        ([Host("a/0", "a", 4, 9), Host("a/1", "a", 4, 3), Host("b/0", "b", 4, 13)], "", "a/1"),
        ([Host("a/0", "a", 4, 90), Host("b/0", "b", 4, 5)], "a", "a/0"),
        ([Host("b/0", "b", 4, 5)], "a", None),
        ([], "", None),
    ],
)
def test_a_camera_goes_to_the_worker_with_the_lowest_load(hosts, node, expected):
    chosen = choose(hosts, node)
    assert (None if chosen is None else chosen.worker) == expected


def test_sixty_cameras_are_spread_evenly():
    hosts = [Host(f"{node}/{index}", node, 4, 0.0) for node in "abc" for index in range(2)]
    for _ in range(60):
        chosen = choose(hosts)
        hosts = [Host(one.worker, one.node, one.cpus, one.cost + (one == chosen)) for one in hosts]
    assert {host.cost for host in hosts} == {10.0}


def test_a_worker_is_overloaded_after_a_minute_without_rest():
    overload = Overload()
    assert overload.look(0.95, 0.5, 0.0) == ""
    assert overload.look(0.5, 0.5, 30.0) == ""  # the minute starts again
    assert overload.look(0.95, 0.5, 40.0) == ""
    assert overload.look(0.95, 0.5, 40.0 + OVERLOAD_S - 1) == ""
    assert overload.look(0.2, 2.0, 40.0 + OVERLOAD_S) == "overloaded: 0.20 processors busy, load of the node 2.00"
    overload.reset()
    assert overload.look(0.95, 0.5, 102.0) == ""
