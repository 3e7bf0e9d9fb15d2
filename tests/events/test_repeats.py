"""A dead camera is recorded once, however often it is tried."""

import pytest

from stream_detect.events.rules import RepeatedFailures
from stream_detect.types import CameraState, StateChange

WORDS = {
    "c": (CameraState.CONNECTING, "connecting"),
    "l": (CameraState.LIVE, "pictures are coming"),
    "s": (CameraState.STALLED, "no picture came for 5 s"),
    "b": (CameraState.BACKING_OFF, "nobody answers"),
    "B": (CameraState.BACKING_OFF, "the host's name is not known"),
    "r": (CameraState.REFUSED, "the password was refused"),
    "x": (CameraState.STOPPED, "by an operator"),
}


@pytest.mark.parametrize(
    ("states", "written"),
    [
        ("cbcbcbcb", "cb"),
        ("crcrcr", "cr"),
        ("cbcbcBcBcb", "cbcBcb"),  # another reason is recorded
        ("clbcbcbcl", "clbcl"),  # its recovery is recorded completely
        ("cscs", "cscs"),
        ("csbcsbcsb", "csb"),  # packets that never yield a frame
        ("clslsl", "clslsl"),  # the camera of a publisher
        ("cbcbcxcb", "cbcxcb"),  # stopped during an attempt, and started again
        ("cbxcb", "cbxcb"),
        ("cbcrcb", "cbcrcb"),
    ],
)
def test_only_news_is_written(states: str, written: str):
    repeats = RepeatedFailures()
    changes = [StateChange("door", *WORDS[state], float(at_s)) for at_s, state in enumerate(states)]
    news = [change for each in changes for change in repeats.news(each)]
    assert [(change.state, change.reason) for change in news] == [WORDS[state] for state in written]
    assert [change.at_s for change in news] == sorted(change.at_s for change in news)
