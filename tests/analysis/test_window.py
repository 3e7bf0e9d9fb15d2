"""The window depends on its scores and not on their order; it is bounded, and drops old scores."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.analysis.window import MAX_LOGIT, ScoreWindow, WindowSummary, probability

LENGTH_S = 10.0
MAX_ENTRIES = 40
EMPTY = WindowSummary(0, -math.inf, None, None, None)

times = st.integers(0, 300).map(lambda tenth: tenth / 10)
tellings = st.one_of(
    st.tuples(st.just("add"), times, st.floats(-20, 20)),
    st.tuples(st.just("refuse"), times),
    st.tuples(st.just("mark_gap"), times),
    st.tuples(st.just("advance"), times),
    st.tuples(st.just("forget_before"), times),
)


def window_of(*what, length_s=LENGTH_S):
    window = ScoreWindow(length_s, MAX_ENTRIES)
    for name, *arguments in what:
        getattr(window, name)(*arguments)
    return window


def contents(window):
    """All values of a window in comparable form (NaN is not equal to itself)."""
    return window.evidence(), [None if math.isnan(value) else value for value in window.trace()]


def scores(*logits, step_s=0.2):
    return [("add", index * step_s, logit) for index, logit in enumerate(logits)]


@given(st.lists(tellings, max_size=60).flatmap(lambda what: st.tuples(st.just(what), st.permutations(what))))
def test_the_order_of_what_it_was_given_does_not_matter(orders):
    first, second = orders
    assert contents(window_of(*first)) == contents(window_of(*second))


@given(st.lists(tellings, max_size=120))
def test_its_values_stay_within_the_range_of_its_scores(what):
    window = window_of(*what)
    evidence = window.evidence()
    trace = window.trace()
    assert len(trace) <= MAX_ENTRIES
    if not evidence.admitted:
        assert evidence == EMPTY
        return
    told_times = [one[1] for one in what]
    newest_s = max(told_times)
    added = [(one[1], one[2]) for one in what if one[0] == "add" and newest_s - one[1] <= LENGTH_S]
    allowed = [probability(min(max(logit, -MAX_LOGIT), MAX_LOGIT)) for _, logit in added]
    assert evidence.admitted <= len({time_s for time_s, _ in added})
    assert min(allowed) <= evidence.lowest <= evidence.fake_probability <= evidence.highest <= max(allowed)
    assert evidence.newest_s in {time_s for time_s, _ in added}
    assert sum(not math.isnan(value) for value in trace) == evidence.admitted
    assert all(math.isnan(value) or value in allowed for value in trace)


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=30))
def test_telling_twice_changes_nothing(logits):
    what = scores(*logits)
    assert contents(window_of(*what, *what)) == contents(window_of(*what))


def test_scores_older_than_the_window_expire():
    window = window_of(*scores(*[1.0] * 10))
    assert window.evidence().admitted == 10
    window.advance(11.0)
    assert window.evidence().admitted == 5  # scores from 1.0 s on
    window.advance(30.0)
    assert window.evidence() == EMPTY
    assert window.trace() == ()


def test_a_late_score_is_not_counted():
    assert window_of(("add", 20.0, 1.0), ("add", 9.9, 3.0)).evidence().admitted == 1


def test_what_was_forgotten_cannot_come_back():
    window = window_of(*scores(1.0, 1.0), ("forget_before", 0.2), ("add", 0.0, 3.0))
    assert [round(value, 3) for value in window.trace()] == [0.731]


def test_the_trace_shows_refusals_and_gaps_as_nan_and_gaps_in_a_row_once():
    window = window_of(
        ("add", 0.0, 0.0), ("refuse", 0.2), ("mark_gap", 0.3), ("mark_gap", 0.4), ("mark_gap", 0.4), ("add", 0.4, 0.0)
    )
    assert str(window.trace()) == "(0.5, nan, nan, 0.5)"
    assert window.evidence().admitted == 2


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ((("add", 1.0, 3.0), ("add", 1.0, 1.0)), 1.0),
        ((("add", 1.0, 1.0), ("add", 1.0, -3.0)), 1.0),
        ((("add", 1.0, 2.0), ("add", 1.0, -2.0)), -2.0),
        ((("refuse", 1.0), ("add", 1.0, 2.0)), 2.0),
        ((("add", 1.0, 2.0), ("refuse", 1.0)), 2.0),
    ],
)
def test_of_two_scores_at_one_time_the_less_certain_counts(what, expected):
    assert window_of(*what).evidence().fake_probability == pytest.approx(probability(expected))


def test_a_tenth_of_wild_scores_at_either_end_does_not_move_the_mean():
    calm = [-2.0] * 18
    assert window_of(*scores(4.5, *calm, 4.5)).evidence().fake_probability == pytest.approx(probability(-2.0))
    assert window_of(*scores(-4.5, *calm, 4.5)).evidence().fake_probability == pytest.approx(probability(-2.0))


def test_no_single_frame_claims_more_than_99_percent():
    evidence = window_of(("add", 0.0, 13.8)).evidence()
    assert evidence.fake_probability == pytest.approx(0.99)
    assert window_of(("add", 0.0, -13.8)).evidence().fake_probability == pytest.approx(0.01)


def test_memory_is_bounded_and_the_newest_stay():
    window = ScoreWindow(LENGTH_S, 5)
    for index in range(1000):
        window.add(index * 1e-3, float(index))
    assert len(window.trace()) == 5
    assert window.evidence().newest_s == 0.999
