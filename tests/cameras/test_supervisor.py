"""The states of a camera, with a clock that only the test moves."""

from threading import RLock

import pytest

from stream_detect.cameras.supervisor import Clocks, Supervisor
from stream_detect.errors import SourceEndedError, SourceRefusedError, SourceStalledError, SourceUnreachableError
from stream_detect.settings import MonitoringSettings
from stream_detect.types import CameraState

CONNECTING, LIVE, STALLED, BACKING_OFF, REFUSED, STOPPED, LOST_NODE = CameraState


class Bench:
    """A supervisor, its reported changes, and the clock."""

    def __init__(self):
        self.now_s = 1000.0
        self.changes = []
        clocks = Clocks(lambda: self.now_s, lambda: self.now_s + 1e9, lambda: 0.0)
        self.supervisor = Supervisor("door", MonitoringSettings(), self.changes.append, clocks, RLock())

    @property
    def states(self):
        return [change.state for change in self.changes]

    def receive_s(self, seconds, trouble=""):
        """Time passes with packets but without frames."""
        for _ in range(round(10 * seconds)):
            self.now_s += 0.1
            self.supervisor.look(self.now_s, trouble)

    @property
    def reason(self):
        return self.supervisor.situation.change.reason

    def pass_s(self, seconds):
        self.now_s += seconds
        self.supervisor.look()

    def live(self, seconds=0.0):
        """An attempt that delivers one frame per second for the given time."""
        attempt = self.supervisor.start("connecting")
        for _ in range(int(seconds) + 1):
            assert self.supervisor.picture(attempt, self.now_s)
            self.pass_s(1.0 if seconds else 0.0)
        return attempt


@pytest.fixture
def bench():
    return Bench()


def test_it_begins_stopped_and_says_nothing(bench):
    assert bench.supervisor.situation.state is STOPPED
    assert bench.changes == []


def test_the_first_picture_makes_it_live(bench):
    attempt = bench.supervisor.start("connecting")
    assert bench.states == [CONNECTING]
    assert bench.supervisor.picture(attempt, bench.now_s)
    assert bench.supervisor.picture(attempt, bench.now_s)
    assert bench.states == [CONNECTING, LIVE]
    assert bench.changes[-1].at_s == bench.now_s + 1e9


@pytest.mark.parametrize("error", [SourceUnreachableError("nobody answers"), SourceEndedError("it ended")])
@pytest.mark.parametrize("pictures", [0, 1])
def test_failures_and_clean_ends_back_off_also_at_the_first_connect(bench, error, pictures):
    attempt = bench.supervisor.start("connecting")
    for _ in range(pictures):
        bench.supervisor.picture(attempt, bench.now_s)
    bench.supervisor.failed(attempt, error)
    assert bench.states == [CONNECTING, LIVE, BACKING_OFF] if pictures else [CONNECTING, BACKING_OFF]
    assert bench.reason == str(error)
    assert bench.supervisor.situation.retry_at_s == bench.now_s + 1e9 + 1.0
    assert attempt.stopping.is_set()
    assert not bench.supervisor.due
    bench.pass_s(1.0)
    assert bench.supervisor.due


def test_attempts_that_fail_over_and_over_come_ever_slower_and_a_good_one_resets_that(bench):
    attempt = bench.supervisor.start("connecting")
    pauses = []
    for good_s in (0, 0, 0, 10, 40, 0):
        for _ in range(good_s):
            bench.supervisor.picture(attempt, bench.now_s)
            bench.pass_s(1.0)
        bench.supervisor.failed(attempt, SourceEndedError("it ended"))
        pauses.append(bench.supervisor.situation.due_s - bench.now_s)
        attempt = bench.supervisor.again("connecting")
    assert pauses == [1, 2, 4, 8, 1, 2]
    assert bench.supervisor.reconnects == 6


def test_wrong_credentials_are_tried_again_slowly(bench):
    attempt = bench.supervisor.start("connecting")
    bench.supervisor.failed(attempt, SourceRefusedError("the camera refused the password"))
    assert bench.states == [CONNECTING, REFUSED]
    assert bench.reason == "the camera refused the password"
    bench.pass_s(299.0)
    assert not bench.supervisor.due
    bench.pass_s(1.0)
    assert bench.supervisor.due


def test_a_live_camera_without_a_frame_for_five_seconds_has_stalled_even_if_its_reader_is_silent(bench):
    attempt = bench.live(10)
    bench.now_s = attempt.last_s
    bench.pass_s(4.9)
    assert bench.supervisor.situation.state is LIVE
    bench.pass_s(0.1)
    assert bench.states[-1] is STALLED
    assert bench.reason == "no frame came for 5 s"
    assert attempt.stopping.is_set()
    assert not bench.supervisor.picture(attempt, bench.now_s)  # too late
    assert bench.supervisor.situation.state is STALLED
    bench.supervisor.failed(attempt, SourceEndedError("told to stop"))
    assert bench.states[-2:] == [STALLED, BACKING_OFF]
    assert bench.reason == "no frame came for 5 s"


def test_a_hanging_reader_is_abandoned_and_ignored(bench):
    attempt = bench.live()
    bench.pass_s(5.0)
    bench.pass_s(5.4)
    assert bench.states[-1] is STALLED
    bench.pass_s(0.2)
    assert bench.states[-1] is BACKING_OFF
    following = bench.supervisor.again("connecting")
    count = len(bench.changes)
    bench.supervisor.failed(attempt, SourceRefusedError("long ago"))
    assert not bench.supervisor.picture(attempt, bench.now_s)
    assert len(bench.changes) == count
    assert bench.supervisor.picture(following, bench.now_s)


def test_a_socket_time_out_of_a_live_camera_is_a_stall_and_then_a_failure(bench):
    attempt = bench.live()
    bench.supervisor.failed(attempt, SourceStalledError("it sent nothing for 4 s"))
    assert bench.states == [CONNECTING, LIVE, STALLED, BACKING_OFF]
    assert bench.reason == "it sent nothing for 4 s"


def test_packets_that_never_decode_are_no_connection(bench):
    attempt = bench.supervisor.start("connecting")
    bench.pass_s(9.4)
    assert bench.states == [CONNECTING]
    bench.pass_s(0.1)
    assert bench.states == [CONNECTING, STALLED]
    assert bench.reason == "no frame could be decoded within 9.5 s"
    bench.supervisor.failed(attempt, SourceEndedError("told to stop"))
    assert bench.states[-1] is BACKING_OFF


def test_a_pushed_camera_waits_indefinitely_and_a_stall_ends_with_the_next_frame(bench):
    attempt = bench.supervisor.start("waiting for a publisher", pushed=True)
    bench.pass_s(86400.0)
    assert bench.states == [CONNECTING]
    assert bench.supervisor.picture(attempt, bench.now_s)
    bench.pass_s(5.0)
    bench.pass_s(600.0)
    assert bench.states == [CONNECTING, LIVE, STALLED]
    assert bench.supervisor.picture(attempt, bench.now_s)
    assert bench.states[-1] is LIVE


def test_a_connection_whose_packets_come_is_kept_and_its_trouble_reported(bench):
    attempt = bench.live(10)
    bench.receive_s(5.0, "every key frame is damaged")
    assert bench.states[-1] is STALLED
    assert bench.reason == "packets come, but no frame for 5 s: every key frame is damaged"
    bench.receive_s(20.0)
    assert not attempt.stopping.is_set()
    assert bench.supervisor.picture(attempt, bench.now_s)
    assert bench.states[-1] is LIVE


@pytest.mark.parametrize("begin", [lambda bench: bench.live(10), lambda bench: bench.supervisor.start("connecting")])
def test_a_connection_that_gives_no_frame_for_long_is_given_up_though_packets_come(begin, bench):
    attempt = begin(bench)
    bench.receive_s(10.0)
    assert bench.states[-1] is STALLED
    bench.receive_s(30.0)
    assert attempt.stopping.is_set()
    bench.receive_s(5.6)  # its reader hangs
    assert bench.states[-1] is BACKING_OFF


def test_a_connection_whose_packets_end_is_given_up_soon(bench):
    attempt = bench.live(10)
    bench.receive_s(5.0)
    assert not attempt.stopping.is_set()
    bench.pass_s(5.0)
    assert attempt.stopping.is_set()


def test_an_attempt_after_a_failure_says_what_failed(bench):
    bench.supervisor.failed(bench.supervisor.start("connecting"), SourceUnreachableError("nobody answers"))
    attempt = bench.supervisor.again("connecting")
    assert bench.reason == "trying again: nobody answers"
    bench.supervisor.picture(attempt, bench.now_s)
    bench.supervisor.failed(attempt, SourceEndedError("it ended"))
    bench.supervisor.again("connecting")
    assert bench.reason == "trying again: it ended"
    bench.supervisor.stop("enough")
    bench.supervisor.start("connecting")
    assert bench.reason == "connecting"


STATES = {
    CONNECTING: lambda bench: bench.supervisor.start("connecting"),
    LIVE: lambda bench: bench.live(),
    STALLED: lambda bench: (bench.live(), bench.pass_s(5.0)),
    BACKING_OFF: lambda bench: bench.supervisor.failed(bench.live(), SourceEndedError("it ended")),
    REFUSED: lambda bench: bench.supervisor.failed(bench.live(), SourceRefusedError("no")),
}


@pytest.mark.parametrize("state", STATES)
def test_it_can_be_stopped_from_any_state_and_started_again(bench, state):
    STATES[state](bench)
    assert bench.supervisor.situation.state is state
    attempt = bench.supervisor.attempt
    assert bench.supervisor.stop("enough")
    assert not bench.supervisor.stop("enough")
    assert bench.states[-1] is STOPPED
    assert bench.states.count(STOPPED) == 1
    assert bench.supervisor.attempt is None
    assert attempt is None or attempt.stopping.is_set()
    bench.pass_s(86400.0)
    assert not bench.supervisor.due
    attempt = bench.supervisor.start("connecting")
    bench.supervisor.failed(attempt, SourceEndedError("it ended"))
    assert bench.supervisor.situation.due_s - bench.now_s == 1.0  # a start forgets old failures


def test_a_reason_is_one_line_and_not_endless(bench):
    attempt = bench.supervisor.start("connecting")
    bench.supervisor.failed(attempt, SourceUnreachableError("x" * 1000 + "\nmore"))
    assert len(bench.reason) == 200
