"""Thresholds of the window: chosen on frames of people joined as in the live window, by the rule on the card."""

import math

import numpy as np
import pytest

from stream_detect.evaluation.scored import Scored
from stream_detect.evaluation.windows import choose_thresholds, course, said_of, window_figures, windows_of
from stream_detect.settings import WindowSettings
from stream_detect.types import Thresholds, VerdictState

SETTINGS = WindowSettings()


def people(real, fake):
    """Each person's frames, as a tuple of probabilities; one source, one family."""
    rows = [
        (p, label, f"{label}{n}") for label, some in ((0, real), (1, fake)) for n, them in enumerate(some) for p in them
    ]
    probability, label, group = zip(*rows, strict=True)
    label = np.array(label, bool)
    return Scored(
        np.array(probability, np.float64),
        label,
        np.full(len(rows), "here"),
        np.array(group),
        np.where(label, "swap", ""),
    )


def test_a_person_is_a_window_and_frames_come_in_turn():
    windows = windows_of(people([(0.1, 0.3)], [(0.9,)]), SETTINGS)
    assert windows.frames.tolist() == [2, 1]
    steps = windows.courses[0]
    assert len(steps) == 50  # ten seconds at 5 Hz
    assert [each.admitted for each in steps[:3]] == [1, 2, 3]
    middle = 1 / (1 + math.exp(-(math.log(0.1 / 0.9) + math.log(0.3 / 0.7)) / 2))
    assert steps[-1].fake_probability == pytest.approx(middle)
    assert windows.courses[1][-1].fake_probability == pytest.approx(0.9)


def test_two_manipulations_of_one_person_are_two_windows():
    both = people([(0.1,)], [(0.8,), (0.9,)])
    same_group = np.array(["one"] * 3)
    scored = Scored(both.probability, both.fake, both.source, same_group, both.family, np.array(["", "A", "B"]))
    assert len(windows_of(scored, SETTINGS).courses) == 3


def test_thresholds_are_the_boldest_at_which_both_errors_are_rare():
    real = [(0.1,)] * 99 + [(0.86,)]
    fake = [(0.9,)] * 97 + [(0.165,)] * 3
    chosen = choose_thresholds(windows_of(people(real, fake), SETTINGS), "here")
    # One real person in a hundred may be called fake, three fakes in a hundred real: not one more.
    assert (chosen.fake_enter, chosen.real_enter) == (0.55, 0.45)
    stricter = choose_thresholds(windows_of(people([*real, (0.86,)], [*fake, (0.165,)]), SETTINGS), "here")
    assert (stricter.fake_enter, stricter.real_enter) == (0.87, 0.16)
    assert (stricter.fake_leave, stricter.real_leave) == (0.67, 0.36)
    assert "window" in stricter.rule
    assert stricter.fitted_on == "here"


def test_the_card_says_where_no_threshold_keeps_errors_rare():
    real = [(0.1,)] * 9 + [(0.999,)]
    fake = [(0.9,)] * 9 + [(0.001,)]
    chosen = choose_thresholds(windows_of(people(real, fake), SETTINGS), "here")
    assert (chosen.fake_enter, chosen.real_enter) == (0.98, 0.02)
    assert "no fake_enter reaches that: even at 0.98, 10.0% are called fake" in chosen.rule
    assert "no real_enter reaches that: even at 0.02, 10.0% are called real" in chosen.rule


def test_thresholds_leave_room_for_hysteresis_however_near_they_are():
    chosen = choose_thresholds(windows_of(people([(0.1,)], [(0.9,)]), SETTINGS), "here")
    assert chosen.real_enter < chosen.real_leave <= chosen.fake_leave < chosen.fake_enter


def test_several_frames_are_judged_by_their_mean_and_not_by_the_worst():
    # One frame in eight at .95 raises no alarm in a window of ten seconds; alone it would.
    windows = windows_of(people([(0.95, *[0.2] * 7)], [(0.9,)]), SETTINGS)
    at = Thresholds(0.8, 0.6, 0.3, 0.5)
    assert window_figures(windows, at).false_alarms.value == 0
    alone = windows_of(people([(0.95,)], [(0.9,)]), SETTINGS)
    assert window_figures(alone, at).false_alarms.value == 1


def test_figures_count_what_the_badge_says_in_time():
    windows = windows_of(people([(0.05,), (0.5,), (0.95,)], [(0.95,), (0.05,), (0.5,), (0.95,)]), SETTINGS)
    seen = window_figures(windows, Thresholds(0.8, 0.6, 0.2, 0.4))
    assert (seen.real, seen.fake) == (3, 4)
    assert seen.real_in_5_s.value == pytest.approx(1 / 3, abs=1e-4)
    assert seen.false_alarms.value == pytest.approx(1 / 3, abs=1e-4)
    assert (seen.fake_in_10_s.value, seen.taken_for_real.value) == (0.5, 0.25)
    assert seen.false_alarms.low < seen.false_alarms.value < seen.false_alarms.high


def test_no_verdict_without_the_evidence_that_the_window_asks_for():
    slow = SETTINGS.model_copy(update={"min_scores": 30})
    states = said_of(course([-5.0], slow), Thresholds(), slow)
    assert states[28] is VerdictState.GATHERING
    assert states[29] is VerdictState.REAL
    seen = window_figures(windows_of(people([(0.01,)], [(0.99,)]), slow), Thresholds())
    assert seen.real_in_5_s.value == 0  # thirty scores take six seconds
