"""Scores and states over time: merging, roll-up and expiry, compared with a naive implementation."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from stream_detect.errors import RequestError, StorageError
from stream_detect.storage.database import Database
from stream_detect.storage.history import DAY_S, STATES, History
from stream_detect.storage.records import Score, StateEntry
from stream_detect.storage.tables import MinuteRow, SecondRow, StateRow

NOW = 10 * DAY_S + 30  # a day ago was half a minute past a full minute


@pytest.fixture
def history(database) -> History:
    return History(database)


def second(at_s: int, mean: float | None = 0.5, state: str = "real", **given) -> Score:
    values = {"camera": "door", "low": mean, "high": mean, "samples": 5} | given
    return Score(at_s=at_s, mean=mean, state=state, **values)


def rows(database: Database, table) -> list[tuple[str, int]]:
    with database.reading() as session:
        return sorted(session.execute(select(table.camera, table.at_s)).tuples())


def joined(scores: list[Score], step_s: int) -> list[Score]:
    """The naive reference: everything at once, in plain Python."""
    groups: dict[tuple[str, int], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.camera, score.at_s // step_s * step_s), []).append(score)
    found = []
    for (camera, at_s), parts in sorted(groups.items()):
        known = [part for part in parts if part.mean is not None]
        weight = sum(part.samples for part in known)
        found.append(
            Score(
                camera,
                at_s,
                min((part.low for part in known), default=None),
                math.fsum(part.mean * part.samples for part in known) / weight if known else None,
                max((part.high for part in known), default=None),
                max((part.state for part in parts), key=STATES.index),
                sum(part.samples for part in parts),
            )
        )
    return found


def same(found: list[Score], expected: list[Score]) -> bool:
    def rounded(score: Score) -> tuple[object, ...]:
        mean = score.mean if score.mean is None else pytest.approx(score.mean, abs=1e-12)
        return (score.camera, score.at_s, score.low, mean, score.high, score.state, score.samples)

    return [(s.camera, s.at_s, s.low, s.mean, s.high, s.state, s.samples) for s in found] == [*map(rounded, expected)]


def test_a_score_is_read_as_it_was_written(history):
    scores = [
        second(100, 0.25, low=0.125, high=0.75),
        second(101, None, "no_face", samples=2),
        second(160, state="fake"),
    ]
    history.add_scores(scores)
    history.add_scores([])
    assert history.scores("door", 0, 1e12, 1) == scores
    assert history.scores("yard", 0, 1e12, 1) == []


@pytest.mark.parametrize("at_once", [True, False])
def test_two_rows_of_one_second_are_merged(history, at_once):
    parts = [
        second(100, 0.9, "fake", low=0.8, high=0.95, samples=2),
        second(100, None, "no_face", samples=4),
        second(100, 0.1, "real", low=0.05, high=0.2, samples=6),
        second(100, None, "gathering", samples=1),
        second(101, None, "gathering", samples=1),
        second(101, 0.3, "uncertain", samples=1),
    ]
    for batch in [parts] if at_once else [[part] for part in parts]:
        history.add_scores(batch)
    assert same(
        history.scores("door", 0, 1000, 1),
        [
            second(100, 0.3, "fake", low=0.05, high=0.95, samples=13),  # (2 x 0.9 + 6 x 0.1) / 8
            second(101, 0.3, "uncertain", samples=2),
        ],
    )


def test_a_state_that_is_none_is_refused_and_nothing_of_its_batch_is_written(history):
    with pytest.raises(StorageError, match="'angry'"):
        history.add_scores([second(1), second(2, state="angry")])
    assert history.scores("door", 0, 10, 1) == []


@pytest.mark.parametrize(
    ("from_s", "to_s", "step_s", "expected"),
    [
        (100, 102, 1, [100, 101]),  # from is in, to is not
        (100.5, 101.5, 1, [101]),
        (100, 100, 1, []),
        (-1e300, 1e300, 1, [59, 60, 100, 101, 102, 119, 120]),
        (60, 120, 60, [60]),
        (61, 120.5, 60, [60, 120]),  # the minute in which it begins
        (119, 119, 60, []),
        (0, 61, 60, [0, 60]),
    ],
)
def test_spans(history, from_s, to_s, step_s, expected):
    history.add_scores([second(at_s) for at_s in (59, 60, 100, 101, 102, 119, 120)])
    assert [score.at_s for score in history.scores("door", from_s, to_s, step_s)] == expected


def test_a_minute_holds_all_its_seconds_wherever_the_span_ends(history):
    history.add_scores([second(at_s) for at_s in (60, 100, 119)])
    assert history.scores("door", 100, 101, 60)[0].samples == 15


@pytest.mark.parametrize("step_s", [0, 2, 59, 3600])
def test_other_steps_are_refused(history, step_s):
    with pytest.raises(RequestError, match="1 or 60"):
        history.scores("door", 0, 1, step_s)


def test_seconds_become_minutes_at_a_full_minute(history, database):
    edge = NOW - 30 - DAY_S
    history.add_scores([second(edge + offset) for offset in (-61, -60, -1, 0, 29, 30, 60)])
    before = history.scores("door", 0, NOW, 60)
    history.roll_up(NOW, seconds_days=1, minutes_days=90)
    assert rows(database, MinuteRow) == [("door", edge - 120), ("door", edge - 60)]
    assert rows(database, SecondRow) == [("door", edge + offset) for offset in (0, 29, 30, 60)]
    assert same(history.scores("door", 0, NOW, 60), before)
    history.roll_up(NOW, seconds_days=1, minutes_days=90)  # again: nothing changes
    assert same(history.scores("door", 0, NOW, 60), before)
    history.roll_up(NOW + 29, seconds_days=1, minutes_days=90)  # the next minute is not complete yet
    assert len(rows(database, SecondRow)) == 4
    history.roll_up(NOW + 30, seconds_days=1, minutes_days=90)
    assert rows(database, SecondRow) == [("door", edge + 60)]


def test_a_late_second_joins_its_minute(history):
    history.add_scores([second(120, 0.2, samples=3)])
    history.roll_up(NOW, 1, 90)
    history.add_scores([second(121, 0.8, "fake", samples=1)])
    expected = [second(120, 0.35, "fake", low=0.2, high=0.8, samples=4)]
    assert same(history.scores("door", 0, NOW, 60), expected)  # from both tables
    history.roll_up(NOW, 1, 90)
    assert same(history.scores("door", 0, NOW, 60), expected)  # from one


def test_old_minutes_and_states_are_forgotten_but_the_state_in_force(history, database, monkeypatch):
    monkeypatch.setitem(History.roll_up.__globals__["AT_ONCE_S"], MinuteRow, 120)
    edge = NOW - 2 * DAY_S
    first = edge - 30  # the minute that contains the edge
    history.add_scores([second(first + minute * 60, camera=name) for name in ("a", "b") for minute in (-9, -5, 0, 1)])
    entries = [StateEntry(name, at_s, "live", "r") for name in ("a", "b") for at_s in (1.5, 2.5, edge, edge + 1.5)]
    history.add_states([*entries, StateEntry("c", 3.5, "stopped", "long ago")])
    history.roll_up(NOW, seconds_days=1, minutes_days=2)
    assert rows(database, MinuteRow) == [("a", first + 60), ("b", first + 60)]
    assert rows(database, StateRow) == [("a", edge), ("a", edge + 1.5), ("b", edge), ("b", edge + 1.5), ("c", 3.5)]


def test_the_roll_up_stops_between_transactions_when_asked(history, database):
    history.add_scores([second(hour * 3600) for hour in range(4)])
    allowed = iter([True, True])
    history.roll_up(NOW, 1, 90, go_on=lambda: next(allowed, False))
    assert rows(database, MinuteRow) == [("door", 0), ("door", 3600)]
    assert rows(database, SecondRow) == [("door", 7200), ("door", 10800)]
    history.roll_up(NOW, 1, 90)
    assert len(rows(database, MinuteRow)) == 4


def test_states_begin_with_the_one_in_force(history):
    entries = [StateEntry("door", float(at_s), state, f"reason {at_s}") for at_s, state in
               ((10, "connecting"), (20, "live"), (20, "stalled"), (30, "live"), (40, "stopped"))]  # fmt: skip
    history.add_states([*entries, StateEntry("yard", 15.0, "live", "")])
    assert history.states("door", 0, 100) == entries
    assert history.states("door", 20.0, 40.0) == entries[2:4]  # of two at the same time, the later one counts
    assert history.states("door", 25, 30.0) == entries[2:3]
    assert history.states("door", 50, 60) == entries[4:]
    assert history.states("door", 0, 5) == []
    assert history.states("door", 0, 100, limit=2) == entries[3:]
    assert history.states("door", 35, 100, limit=1) == entries[4:]


unit = st.floats(0, 1, width=32)
scored = st.tuples(unit, unit, unit).map(sorted)
seconds = st.lists(
    st.builds(
        lambda camera, at_s, numbers, state, samples: Score(camera, at_s, *(numbers or [None] * 3), state, samples),
        st.sampled_from(["a", "b"]),
        st.integers(0, 400) | st.integers(3500, 3700) | st.integers(DAY_S - 130, DAY_S + 130),
        st.none() | scored,
        st.sampled_from(STATES),
        st.integers(1, 30),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(seconds, max_size=3), ages=st.lists(st.integers(0, 2 * DAY_S), max_size=3), span=st.data())
def test_any_scores_in_any_order_read_as_the_naive_reference(history, database, batches, ages, span):
    with database.writing() as session:
        session.execute(delete(SecondRow))
        session.execute(delete(MinuteRow))
    written: list[Score] = []
    for number, batch in enumerate(batches):
        history.add_scores(batch)
        written += batch
        if number < len(ages):
            history.roll_up(DAY_S + ages[number], seconds_days=1, minutes_days=90)
    from_s, to_s = sorted(span.draw(st.tuples(st.integers(0, 500), st.integers(0, DAY_S + 500))))
    for camera in ("a", "b"):
        expected = joined([score for score in written if score.camera == camera], 60)
        assert same(history.scores(camera, 0, 3 * DAY_S, 60), expected)
        inside = [score for score in expected if from_s // 60 * 60 <= score.at_s < to_s and from_s < to_s]
        assert same(history.scores(camera, from_s, to_s, 60), inside)
        fresh = max([age // 60 * 60 for age in ages[: len(batches)]], default=0)  # older seconds may be minutes
        late = joined([score for score in written if score.camera == camera and score.at_s >= fresh], 1)
        assert same(history.scores(camera, fresh, 3 * DAY_S, 1), late)
