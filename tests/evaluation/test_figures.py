"""Figures: values computed by hand, and confidence intervals over groups."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from stream_detect.evaluation.figures import calibration_error, equal_error_rate, figures, recall_at, reliability
from stream_detect.evaluation.scored import Scored


def items(probability, fake, group=None):
    n = len(probability)
    groups = np.array([f"g{i}" for i in range(n)] if group is None else group)
    return Scored(np.array(probability, np.float64), np.array(fake, bool), np.array([""] * n), groups)


# Best first: .9 F, .8 R, .7 F, .6 F, .4 R, .3 F, .2 R, .1 R
KNOWN = items([0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1], [1, 0, 1, 1, 0, 1, 0, 0])


def test_known_scores_give_the_figures_computed_by_hand():
    got = figures(KNOWN, (0.5, 0.75))
    assert (got.real, got.fake, got.groups) == (4, 4, 8)
    # .9 beats 4 real ones, .7 and .6 beat 3, .3 beats 2: 12 of 16 pairs.
    assert got.auc.value == pytest.approx(12 / 16)
    # Precision where each fake is found: 1/1, 2/3, 3/4, 4/6.
    assert got.average_precision == pytest.approx((1 + 2 / 3 + 3 / 4 + 4 / 6) / 4, abs=1e-4)
    # At .6 one of 4 fakes is missed and one of 4 real ones called fake.
    assert got.equal_error_rate == pytest.approx(0.25)
    assert (got.recall_at_1_percent, got.recall_at_5_percent) == (0.25, 0.25)
    at_half, at_more = got.at
    assert at_half.confusion == ((3, 1), (1, 3))
    assert [e.value for e in (at_half.accuracy, at_half.precision, at_half.recall, at_half.f1)] == [0.75] * 4
    assert at_half.false_alarm_rate.value == 0.25
    assert at_more.confusion == ((3, 1), (3, 1))
    assert [at_more.accuracy.value, at_more.precision.value, at_more.recall.value] == [0.5, 0.5, 0.25]
    assert at_more.f1.value == pytest.approx(2 * 0.5 * 0.25 / 0.75, abs=1e-4)


def test_an_equal_error_rate_between_two_points_is_interpolated():
    # One fake in the middle of two real ones: the ROC goes from (.5, 0) straight up to (.5, 1).
    assert equal_error_rate(items([0.9, 0.5, 0.1], [0, 1, 0])) == pytest.approx(0.5)
    # A tie of one fake and one real of two each: from (0, .5) to (.5, 1), met where alarms = 1 - recall = .25.
    assert equal_error_rate(items([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0])) == pytest.approx(0.25)


def test_recall_at_a_share_of_false_alarms_keeps_to_it():
    rng = np.random.default_rng(1)
    fake = np.arange(1000) % 2 == 1
    some = items(rng.random(1000) * 0.8 + 0.2 * fake, fake)
    for share in (0.01, 0.05):
        threshold = np.sort(some.probability[~fake])[-int(500 * share) - 1]
        assert recall_at(some, share) == pytest.approx((some.probability[fake] > threshold).mean(), abs=0.003)


def test_calibration_error_is_the_mean_gap_of_the_bins():
    # Two items at .15, none fake: gap .15. Two at .85, one fake: gap .35. One at 1 (the last bin, its own mean): 0.
    some = items([0.15, 0.15, 0.85, 0.85, 1.0], [0, 0, 0, 1, 1])
    assert calibration_error(some) == pytest.approx((2 * 0.15 + 2 * 0.35 + 0) / 5)
    mean, share, n = reliability(some)
    assert mean == pytest.approx([0.15, 0.85, 1.0])
    assert share == pytest.approx([0, 0.5, 1])
    assert n.tolist() == [2, 2, 1]


def test_ties_and_weights_of_the_auc_agree_with_scikit_learn():
    rng = np.random.default_rng(2)
    some = items(rng.integers(0, 8, 300) / 8, rng.random(300) < 0.4)
    assert figures(some, (0.5,)).auc.value == pytest.approx(roc_auc_score(some.fake, some.probability), abs=1e-4)


def test_intervals_hold_the_value_and_are_the_same_every_time():
    rng = np.random.default_rng(3)
    fake = np.arange(400) % 2 == 1
    some = items(1 / (1 + np.exp(-rng.normal(fake * 1.0, 1.0))), fake)
    got = figures(some, (0.5,))
    for estimate in (got.auc, got.at[0].accuracy, got.at[0].precision, got.at[0].recall, got.at[0].false_alarm_rate):
        assert estimate.low < estimate.value < estimate.high
    # Hanley and McNeil (1982) for AUC .76 and 200 of each: a standard error of .024.
    assert got.auc.high - got.auc.low == pytest.approx(4 * 0.024, rel=0.2)
    assert got == figures(some, (0.5,))


def test_copies_of_a_group_do_not_narrow_the_interval():
    rng = np.random.default_rng(4)
    fake = np.arange(60) % 2 == 1
    score = np.clip(rng.normal(0.4 + 0.2 * fake, 0.2), 0, 1)
    names = [f"g{i}" for i in range(60)]
    once = figures(items(score, fake, names), (0.5,))
    often = figures(items(np.tile(score, 20), np.tile(fake, 20), names * 20), (0.5,))
    for pick in (lambda f: f.auc, lambda f: f.at[0].false_alarm_rate):
        assert pick(often) == pick(once)


def test_one_group_says_nothing_of_others():
    """The fakes of one video: their interval is the whole range, whatever the bootstrap of one group draws."""
    score, fake = [0.95, 0.95, 0.2, 0.1, 0.3, 0.2, 0.97, 0.4], [1, 1, 1, 0, 0, 0, 0, 0]
    got = figures(items(score, fake, ["video"] * 3 + [f"g{i}" for i in range(5)]), (0.9,))
    for estimate in (got.auc, got.at[0].recall):
        assert (estimate.low, estimate.high) == (0, 1)
        assert 0 < estimate.value < 1
    assert got.at[0].false_alarm_rate.high < 1


def test_groups_that_are_all_alike_do_not_prove_that_others_are():
    """Two videos of which the same share was found: their draws are equal, and no interval has a width of zero."""
    score, fake = [0.95, 0.2, 0.3, 0.96, 0.1, 0.2, 0.1, 0.2], [1, 1, 1, 1, 1, 1, 0, 0]
    recall = figures(items(score, fake, ["a"] * 3 + ["b"] * 3 + ["c", "d"]), (0.9,)).at[0].recall
    assert recall.value == pytest.approx(1 / 3, abs=1e-4)
    assert (recall.low, recall.high) == (0, pytest.approx(0.9874, abs=1e-4))  # none to one of two groups


@pytest.mark.parametrize("fake", [0, 1])
def test_one_kind_gives_what_one_kind_can(fake):
    got = figures(items([0.2, 0.3, 0.9], [fake] * 3), (0.5,))
    assert got.auc is got.average_precision is got.equal_error_rate is got.calibration_error is None
    at = got.at[0]
    rate = at.recall if fake else at.false_alarm_rate
    assert rate.value == pytest.approx(1 / 3, abs=1e-4)
    assert (at.false_alarm_rate if fake else at.recall) is None


def test_nothing_seen_has_the_exact_bound():
    # None of 40: 1 - .025 ** (1 / 40).
    got = figures(items([0.1] * 40, [0] * 40), (0.5,)).at[0].false_alarm_rate
    assert (got.value, got.low) == (0, 0)
    assert got.high == pytest.approx(0.0881, abs=1e-4)
