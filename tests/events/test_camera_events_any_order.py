"""Invariants of a camera's events, for any input in any order."""

from hypothesis import given
from hypothesis import strategies as st

from stream_detect.events.rules import CameraEvents, FakeEvents, OfflineEvents, Transition
from stream_detect.media.clock import Moment
from stream_detect.types import CameraState, VerdictState
from tests.scenes import JUDGE, WALL_S, change, result

REST_S, AFTER_S = 5.0, 10.0
BRIGHT = {CameraState.LIVE, CameraState.STOPPED}

happening = st.tuples(
    st.floats(0.0, 12.0),  # time since the previous one
    st.floats(-100.0, 100.0),  # error of the wall clock
    st.one_of(
        st.just("tick"),
        st.sampled_from(CameraState),
        st.tuples(st.sampled_from(VerdictState), st.none() | st.floats(0.0, 1.0)),
    ),
)


class Reference:
    """Checks the invariants of transitions, given the input so far."""

    def __init__(self) -> None:
        self.going = {}
        self.seen = set()
        self.dark_s = None
        self.fake_s = None

    def check(self, transitions: list[Transition], now_s: float) -> None:
        for word, event in transitions:
            if word == "began":
                assert event.kind not in self.going
                assert event.id not in self.seen
                assert event.ended_s is None
                assert event.kind == "fake" or now_s - self.dark_s >= AFTER_S
                assert event.kind == "offline" or self.fake_s == now_s
                self.going[event.kind] = event.id
                self.seen.add(event.id)
            else:
                assert self.going.pop(event.kind) == event.id
                assert event.ended_s >= event.began_s
                assert not event.interrupted
                assert event.kind == "offline" or now_s - self.rested_s >= REST_S


def say(events: CameraEvents, truth: Reference, what: object, moment: Moment) -> None:
    truth.rested_s = truth.fake_s
    if what == "tick":
        truth.check(events.tick(moment), moment.now_s)
    elif isinstance(what, CameraState):
        if what not in BRIGHT and truth.dark_s is None:
            truth.dark_s = moment.now_s
        truth.check(events.state(change(what, moment.at_s), moment), moment.now_s)
        if what in BRIGHT:
            truth.dark_s = None
    else:
        if what[0] is VerdictState.FAKE:
            truth.fake_s = moment.now_s
        truth.check(events.result(result(*what, tracks=[]), moment), moment.now_s)


@given(st.lists(happening, max_size=60), st.booleans())
def test_events_alternate_and_end_in_order(story: list, interrupted: bool):
    events = CameraEvents(FakeEvents("door", REST_S, lambda: JUDGE), OfflineEvents("door", AFTER_S))
    truth = Reference()
    now_s = 0.0
    for pause_s, wrong_s, what in story:
        now_s += pause_s
        say(events, truth, what, Moment(WALL_S + now_s + wrong_s, now_s))
        assert {event.kind: event.id for event in events.open} == truth.going
        assert all(0.0 <= event.mean <= event.peak <= 1.0 for event in events.open if event.mean is not None)
    ended = events.close(Moment(WALL_S + now_s, now_s), interrupted=interrupted)
    assert {event.kind: event.id for _, event in ended} == truth.going
    assert all(event.interrupted is interrupted for _, event in ended)
