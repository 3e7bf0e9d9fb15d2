"""Results become at most one row per second."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.events.recorder import Seconds
from stream_detect.settings import StorageSettings
from stream_detect.storage import history
from stream_detect.storage.database import Database
from stream_detect.storage.records import Score
from stream_detect.types import VerdictState
from tests.scenes import result


def test_folds_a_second():
    seconds = Seconds("door")
    for at_s, state, probability in [(7.0, "real", 0.1), (7.2, "uncertain", 0.6), (7.9, "no_face", None)]:
        assert seconds.add(result(state, probability), at_s) is None
    row = seconds.add(result("fake", 0.95), 8.0)
    assert row == Score("door", 7, 0.1, pytest.approx(0.35), 0.6, "uncertain", 3)
    assert seconds.close() == Score("door", 8, 0.95, 0.95, 0.95, "fake", 1)
    assert seconds.close() is None


def test_a_second_without_a_verdict_has_no_numbers():
    seconds = Seconds("door")
    seconds.add(result("gathering", None), 7.0)
    assert seconds.close() == Score("door", 7, None, None, None, "gathering", 1)


def test_a_second_ends_though_nothing_follows():
    seconds = Seconds("door")
    seconds.add(result(), 7.5)
    assert seconds.tick(8.9) is None, "a result of it may be under way"
    assert seconds.tick(10.0).at_s == 7
    assert seconds.idle


def test_a_clock_set_back_ends_a_second():
    seconds = Seconds("door")
    seconds.add(result(), 7.5)
    assert seconds.add(result(), 3.5).at_s == 7
    assert seconds.tick(3600.0).at_s == 3


def test_the_order_of_states_is_the_stored_one():
    stored = ("no_face", "gathering", "real", "uncertain", "fake")  # stored rows count
    assert stored == history.STATES
    assert [VerdictState(state).severity for state in stored] == [0, 1, 2, 3, 4]


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from(VerdictState), st.none() | st.floats(0, 1)), max_size=80))
def test_every_result_is_in_one_row(heard: list):
    heard.sort(key=lambda one: one[0])
    seconds = Seconds("door")
    rows = [seconds.add(result(state, score, tracks=[]), at_s) for at_s, state, score in heard] + [seconds.close()]
    rows = [row for row in rows if row is not None]
    assert Counter({row.at_s: row.samples for row in rows}) == Counter(int(at_s) for at_s, _, _ in heard)
    assert len({row.at_s for row in rows}) == len(rows)
    for row in rows:
        assert row.mean is None or row.low <= row.mean + 1e-12
        assert row.mean is None or row.mean <= row.high + 1e-12


def test_means_are_weighed_by_the_samples_that_had_a_score(tmp_path):
    with Database.open(StorageSettings(folder=tmp_path)) as database:
        kept = history.History(database)
        seconds = Seconds("door")
        rows = [seconds.add(result("no_face", None), 0.0 + tenth / 10) for tenth in range(9)]
        rows += [seconds.add(result("real", 0.9), 0.95), seconds.add(result("real", 0.1), 1.0)]
        rows += [seconds.add(result("real", 0.1), 1.0 + tenth / 10) for tenth in range(1, 9)]
        kept.add_scores([row for row in [*rows, seconds.close()] if row is not None])
        (minute,) = kept.scores("door", 0, 60, 60)
    assert minute.mean == pytest.approx((0.9 + 9 * 0.1) / 10)
    assert minute.samples == 19
