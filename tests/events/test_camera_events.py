"""Start and end of a camera's events."""

import math
from dataclasses import replace

import pytest

from stream_detect.events.rules import MAX_GAPS, CameraEvents, FakeEvents, FeedEvents, OfflineEvents, Transition
from stream_detect.media.clock import Moment
from stream_detect.storage.records import new_id
from stream_detect.types import FeedState
from tests.scenes import JUDGE, WALL_S, at, change, result, track

REST_S, AFTER_S = 5.0, 10.0


@pytest.fixture
def events() -> CameraEvents:
    return CameraEvents(FakeEvents("door", REST_S, lambda: JUDGE), OfflineEvents("door", AFTER_S))


def run(events: CameraEvents, story: list[tuple[float, str]]) -> list[tuple[float, str, str, float]]:
    """Plays (time, input) pairs; returns (time, began or ended, kind, when) of each transition."""
    seen = []
    for now_s, what in story:
        if what == "tick":
            transitions = events.tick(at(now_s))
        elif what in {"fake", "real", "uncertain", "no_face", "gathering"}:
            transitions = events.result(result(what, 0.95 if what == "fake" else None), at(now_s))
        else:
            transitions = events.state(change(what, WALL_S + now_s), at(now_s))
        for word, event in transitions:
            when = event.began_s if word == "began" else event.ended_s
            seen.append((now_s, word, event.kind, when - WALL_S))
    return seen


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        pytest.param([(1, "real"), (2, "uncertain"), (3, "no_face"), (60, "tick")], [], id="nothing fake"),
        pytest.param(
            [(1, "fake"), (2, "fake"), (3, "real"), (7.9, "real"), (8, "real")],
            [(1, "began", "fake", 1), (7.9, "ended", "fake", 3)],
            id="ends when another verdict rested; ended when it ceased to be fake",
        ),
        pytest.param(
            [(1, "fake"), (3, "real"), (5.9, "fake"), (8, "real"), (10.8, "tick"), (11, "tick")],
            [(1, "began", "fake", 1), (11, "ended", "fake", 8)],
            id="a short other verdict is part of it",
        ),
        pytest.param(
            [(1, "fake"), (2, "fake"), (6.9, "tick"), (7, "tick")],
            [(1, "began", "fake", 1), (7, "ended", "fake", 2)],
            id="no result is as good as another verdict",
        ),
        pytest.param(
            [(1, "fake"), (9, "fake"), (10, "fake")],
            [(1, "began", "fake", 1), (9, "ended", "fake", 1), (9, "began", "fake", 9)],
            id="nobody looked meanwhile",
        ),
        pytest.param([(0, "connecting"), (9.9, "tick"), (9.95, "live"), (60, "tick")], [], id="came in time"),
        pytest.param(
            [(0, "connecting"), (4, "backing_off"), (6, "connecting"), (10, "tick"), (30, "tick"), (40, "live")],
            [(10, "began", "offline", 0), (40, "ended", "offline", 40)],
            id="never came: dark since the first attempt",
        ),
        pytest.param(
            [
                (0, "live"),
                (5, "stalled"),
                (9, "live"),
                (10, "backing_off"),
                (19, "tick"),
                (20, "refused"),
                (25, "live"),
            ],
            [(20, "began", "offline", 10), (25, "ended", "offline", 25)],
            id="a short drop is none, and does not count for the next",
        ),
        pytest.param([(0, "live"), (5, "stopped"), (60, "tick")], [], id="stopped by its owner"),
        pytest.param([(0, "stalled"), (5, "stopped"), (60, "tick")], [], id="stopped while dark"),
        pytest.param(
            [(0, "stalled"), (12, "tick"), (15, "stopped"), (60, "tick")],
            [(12, "began", "offline", 0), (15, "ended", "offline", 15)],
            id="stopped while offline",
        ),
        pytest.param(
            [(0, "stalled"), (30, "live")],
            [(30, "began", "offline", 0), (30, "ended", "offline", 30)],
            id="no tick came in between",
        ),
        pytest.param(
            [(0, "live"), (1, "fake"), (2, "stalled"), (12, "tick"), (20, "live")],
            [
                (1, "began", "fake", 1),
                (12, "ended", "fake", 1),
                (12, "began", "offline", 2),
                (20, "ended", "offline", 20),
            ],
            id="both",
        ),
    ],
)
def test_story(events: CameraEvents, story: list, expected: list):
    assert run(events, story) == expected


def test_durations_are_measured_by_the_monotonic_clock(events: CameraEvents):
    """The wall clock is set back an hour in the middle."""
    events.result(result("fake"), Moment(WALL_S, 10.0))
    assert events.tick(Moment(WALL_S - 3600, 14.0)) == []
    (ended,) = events.tick(Moment(WALL_S - 3596, 15.0))
    assert ended.event.ended_s == ended.event.began_s == WALL_S


def test_reports_the_observations(events: CameraEvents):
    (began,) = events.result(result("fake", 0.91), at(1))
    assert began.event.kind == "fake"
    assert began.event.camera == "door"
    assert began.event.judge == JUDGE
    assert (began.event.peak, began.event.mean, began.event.track) == (0.91, 0.91, 1)
    assert began.event.reason == "a face was called fake: steady over 20 usable frames"
    events.result(result("fake", 0.99), at(2))
    events.result(result("uncertain", 0.65), at(3))
    (event,) = events.open
    assert event.mean == pytest.approx(0.95), "what follows the fake verdict is not the event's yet"
    events.result(result("fake", 0.93), at(4))
    events.result(result("real", 0.05), at(5))
    (ended,) = events.tick(at(9))
    assert ended.event.peak == 0.99
    assert ended.event.mean == pytest.approx((0.91 + 0.99 + 0.65 + 0.93) / 4)
    assert ended.event.id == began.event.id


def test_follows_the_worst_face(events: CameraEvents):
    mild, bad = track(3, probability=0.91), track(7, probability=0.99)
    (began,) = events.result(result("fake", 0.91, tracks=[mild]), at(1))
    assert began.event.track == 3
    events.result(result("fake", 0.99, tracks=[mild, bad]), at(2))
    events.result(result("fake", 0.91, tracks=[mild]), at(3))
    assert events.open[0].track == 7


def test_marks_gaps_of_the_stream_and_of_the_trace(events: CameraEvents):
    nan = math.nan

    def sees(now_s: float, trace: list[float], rejected: str | None = None) -> None:
        events.result(result("fake", 0.95, tracks=[track(trace=trace, rejected=rejected)]), at(now_s))

    sees(1, [0.9, nan])  # before it began
    sees(2, [0.9, nan, 0.9])
    sees(3, [0.9, nan, 0.9, nan], rejected="blurred")  # no gap: a refused sample
    sees(4, [0.9, nan, 0.9, nan, 0.9])
    sees(5, [nan, 0.9, nan, 0.9, nan, 0.9])  # something was lost before this sample
    sees(6, [0.9, nan, 0.9, nan, 0.9, 0.9])
    events.state(change("stalled", WALL_S + 7), at(7))
    assert [gap - WALL_S for gap in events.open[0].gaps_s] == [5, 7]


def test_marks_no_more_gaps_than_anybody_reads(events: CameraEvents):
    events.result(result("fake"), at(0))
    for number in range(2 * MAX_GAPS):
        events.state(change("stalled", WALL_S + number / 100), at(number / 100))
    assert len(next(event for event in events.open if event.kind == "fake").gaps_s) == MAX_GAPS


@pytest.mark.parametrize("interrupted", [False, True])
def test_closing_ends_ongoing_events(events: CameraEvents, interrupted: bool):
    run(events, [(0, "stalled"), (11, "tick"), (11.5, "fake")])
    ended = events.close(at(12), interrupted=interrupted)
    assert [(what, event.kind, event.ended_s - WALL_S, event.interrupted) for what, event in ended] == [
        ("ended", "fake", 12, interrupted),
        ("ended", "offline", 12, interrupted),
    ]
    assert not events.open
    assert all(isinstance(one, Transition) for one in ended)


def test_knows_when_it_may_be_forgotten(events: CameraEvents):
    assert events.idle
    events.state(change("stalled", WALL_S), at(0))
    assert not events.idle, "it is counting"
    events.state(change("live", WALL_S + 1), at(1))
    assert events.idle
    events.result(result("fake"), at(2))
    assert not events.idle


def test_ids_sort_by_time_and_are_uuids_of_version_7():
    ids = [new_id(WALL_S + number) for number in range(50)]
    assert ids == sorted(ids)
    assert all(len(one) == 32 and one[12] == "7" and one[16] in "89ab" for one in ids)
    assert len({new_id(WALL_S) for _ in range(1000)}) == 1000


def feed(state, reason=""):
    return replace(result("real", 0.1), feed=FeedState(state), feed_reason=reason)


def test_a_frozen_feed_is_an_event_from_then_until_it_was_live_for_a_while():
    events = FeedEvents("door", 5.0)
    assert events.result(feed("live"), at(0)) == []
    (began,) = events.result(feed("frozen", "the picture has stood still for 10 s"), at(10))
    assert (began.what, began.event.kind, began.event.began_s) == ("began", "frozen", WALL_S + 10)
    assert began.event.reason == "the picture has stood still for 10 s"
    for now_s in range(11, 21):
        assert events.result(feed("frozen", f"the picture has stood still for {now_s} s"), at(now_s)) == []
    assert events.result(feed("live"), at(24)) == []
    (ended,) = events.result(feed("live"), at(25))
    assert (ended.what, ended.event.id, ended.event.ended_s) == ("ended", began.event.id, WALL_S + 20)
    assert ended.event.reason == "the picture has stood still for 20 s"
    assert events.open is None


def test_a_feed_that_freezes_after_a_loop_is_another_event():
    events = FeedEvents("door", 5.0)
    events.result(feed("looped", "the picture repeats every 6 s"), at(10))
    ended, began = events.result(feed("frozen", "the picture has stood still for 10 s"), at(12))
    assert (ended.event.kind, began.event.kind) == ("looped", "frozen")


def test_a_feed_event_ends_with_the_results_and_with_the_process():
    events = FeedEvents("door", 5.0)
    events.result(feed("looped", "why"), at(10))
    (ended,) = events.tick(at(15))
    assert not ended.event.interrupted
    events.result(feed("looped", "why"), at(20))
    (ended,) = events.close(at(21), interrupted=True)
    assert ended.event.interrupted


def test_a_cameras_events_hold_those_of_its_feed():
    events = CameraEvents(FakeEvents("door", 5.0, lambda: JUDGE), OfflineEvents("door", 30.0), FeedEvents("door", 5.0))
    assert [one.event.kind for one in events.result(feed("looped", "why"), at(1))] == ["looped"]
    assert [one.kind for one in events.open] == ["looped"]
    assert not events.idle
    assert [one.what for one in events.tick(at(7))] == ["ended"]
    assert events.idle
