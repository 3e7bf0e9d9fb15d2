"""Metrics of known scores, confidence intervals, and halves of the data that never share a group."""

import math

import numpy as np
import pytest

from stream_detect.errors import DatasetError
from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.evaluation.metrics import confusion, measure
from stream_detect.evaluation.scored import Scored, balanced_weights, calibrated, fit_calibration, halves, score
from stream_detect.types import Calibration


def scored(probability, fake, source="dfdc", groups=None):
    n = len(probability)
    sources = np.array([source] * n if isinstance(source, str) else source)
    names = np.array([f"g{i}" for i in range(n)] if groups is None else groups)
    return Scored(np.array(probability, np.float64), np.array(fake, bool), sources, names)


def figures(metrics, on="all"):
    return {(m.name, m.threshold): m for m in metrics if m.data == on}


KNOWN = scored([0.9, 0.7, 0.3, 0.6, 0.1, 0.2, 0.3, 0.85], [1, 1, 1, 0, 0, 0, 0, 0])


def test_known_scores_give_known_figures():
    got = figures(measure(KNOWN, 0.5, "all"))
    value = {key: metric.value for key, metric in got.items()}
    # Of 15 pairs: .9 beats all 5 real ones, .7 beats 4, .3 beats 2 and ties with one.
    assert value["auc", None] == pytest.approx((5 + 4 + 2.5) / 15, abs=1e-4)
    assert value["accuracy", 0.5] == pytest.approx(5 / 8)
    assert value["precision", 0.5] == pytest.approx(2 / 4)
    assert value["recall", 0.5] == pytest.approx(2 / 3, abs=1e-4)
    assert value["false_alarm_rate", 0.5] == pytest.approx(2 / 5)
    assert value["recall", 0.8] == pytest.approx(1 / 3, abs=1e-4)
    assert value["false_alarm_rate", 0.8] == pytest.approx(1 / 5)
    assert (got["auc", None].n, got["recall", 0.5].n, got["false_alarm_rate", 0.5].n) == (8, 3, 5)


def test_a_precision_that_nothing_was_called_fake_for_is_not_stated():
    got = figures(measure(scored([0.1, 0.2, 0.3, 0.4], [1, 0, 1, 0]), 0.5, "all"))
    assert ("precision", 0.5) not in got
    assert got["recall", 0.5].value == 0


def test_confusion_counts():
    assert confusion(KNOWN, 0.5).tolist() == [[3, 2], [1, 2]]


def test_intervals_hold_the_value_and_narrow_with_more_groups():
    rng = np.random.default_rng(1)

    def width(n):
        fake = np.arange(n) % 2 == 1
        some = scored(1 / (1 + np.exp(-rng.normal(fake * 1.0, 1.0))), fake)
        metric = figures(measure(some, 0.5, "all"))["auc", None]
        assert metric.low < metric.value < metric.high
        return metric.high - metric.low

    assert width(1000) < 0.5 * width(100)


def test_intervals_are_drawn_by_group():
    rng = np.random.default_rng(1)
    fake = np.arange(40) % 2 == 1
    probability = 1 / (1 + np.exp(-rng.normal(fake * 1.0, 1.0)))
    # The same forty faces ten times are no more evidence than once.
    once = scored(probability, fake)
    ten_times = scored(np.tile(probability, 10), np.tile(fake, 10), groups=[f"g{i % 40}" for i in range(400)])
    narrow, same = (figures(measure(some, 0.5, "all"))["auc", None] for some in (once, ten_times))
    assert same.high - same.low == pytest.approx(narrow.high - narrow.low, rel=0.15)


def test_families_are_measured_apart_and_so_are_the_real_faces_of_every_source():
    n = 20
    source = ["dfdc"] * n + ["fairface"] * n + ["sfhq"] * n + ["dfdc"] * n + ["other"]
    fake = [0] * n + [0] * n + [1] * (2 * n + 1)
    real = [0.2] * n + [0.7] * (n // 4) + [0.9] * (n // 4) + [0.1] * (n // 2)
    both = scored([*real, *[0.8, 0.6] * (n // 2), *[0.9, 0.3] * (n // 2), 0.5], fake, source)
    family = np.array([""] * 2 * n + ["gan"] * n + ["swap"] * n + ["edit"])
    metrics = measure(Scored(both.probability, both.fake, both.source, both.group, family), 0.5, "all")
    swap = figures(metrics, "all, family swap")
    assert swap["auc", None].value == pytest.approx((30 + 5 + 2.5 + 30) / 80, abs=1e-4)
    assert swap["auc_own_reals", None].value == 1.0
    assert (swap["recall", 0.8].value, swap["taken_for_real", 0.2].value) == (0.5, 0.0)
    assert ("auc_own_reals", None) not in figures(metrics, "all, family gan")
    assert figures(metrics, "all of FairFace")["false_alarm_rate", 0.8].value == 0.25
    assert figures(metrics, "all of DFDC")["false_alarm_rate", 0.8].value == 0.0
    assert {metric.family for metric in metrics} == {"", "swap", "gan"}, "one fake tells nothing of its family"


def test_what_was_never_seen_can_still_happen():
    never = scored([0.1] * 25 + [0.9] * 5, [0] * 25 + [1] * 5)
    got = figures(measure(never, 0.5, "all"))
    alarms, recall = got["false_alarm_rate", 0.5], got["recall", 0.5]
    # Clopper and Pearson's bounds for 0 of 25 and 5 of 5.
    assert (alarms.value, alarms.low, alarms.high) == (0.0, 0.0, pytest.approx(0.1372, abs=1e-4))
    assert (recall.value, recall.low, recall.high) == (1.0, pytest.approx(0.4782, abs=1e-4), 1.0)


def test_calibration_recovers_a_known_bend():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, 20_000)
    fake = rng.random(20_000) < 1 / (1 + np.exp(-logits))
    # The model's logits are too large and biased towards fake: logit = 2 x true + 1.
    bent = scored(1 / (1 + np.exp(-(2 * logits + 1))), fake)
    fitted = fit_calibration(bent, "here")
    assert fitted.slope == pytest.approx(0.5, abs=0.03)
    assert fitted.intercept == pytest.approx(-0.5, abs=0.06)
    assert fitted.fitted_on == "here"


def test_calibration_weighs_real_and_fake_the_same():
    few = scored([0.4, 0.5, 0.6] * 20 + [0.5, 0.6, 0.7] * 2, [0] * 60 + [1] * 6)
    fitted = fit_calibration(few, "")
    middle = fitted.slope * math.log(0.55 / 0.45) + fitted.intercept
    assert middle == pytest.approx(0, abs=0.1)


def test_calibrated_scores_are_those_of_the_contract():
    platt = Calibration(0.5, -0.3)
    got = calibrated(KNOWN, platt).probability
    expected = [1 / (1 + math.exp(-platt.logit(p))) for p in KNOWN.probability]
    assert got == pytest.approx(expected)


def test_scores_that_fall_with_the_truth_are_no_model():
    with pytest.raises(DatasetError, match="train for longer"):
        fit_calibration(scored([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]), "")


@pytest.mark.parametrize("act", [lambda s: measure(s, 0.5, "all"), lambda s: fit_calibration(s, "")])
def test_one_kind_only_is_reported(act):
    with pytest.raises(DatasetError, match="one kind only"):
        act(scored([0.1, 0.2], [0, 0]))


def test_halves_share_no_group_and_stay_the_same():
    names = [f"g{i % 100}" for i in range(400)]
    both = scored(np.linspace(0, 1, 400), np.arange(400) % 2 == 0, groups=names)
    first, second = halves(both)
    assert not set(first.group) & set(second.group)
    assert len(first.group) + len(second.group) == 400
    assert 120 < len(first.group) < 280
    assert np.array_equal(halves(both)[0].probability, first.probability)


def test_every_face_is_scored_in_order():
    crops = np.broadcast_to(np.arange(150, dtype=np.uint8)[:, None, None, None], (150, 4, 4, 3))
    rows = tuple(Row(f"{i}", "fake" if i % 2 else "real", "dfdc", f"g{i}", "val") for i in range(150))
    got = score(Faces(crops, rows, ()), lambda some: some[:, 0, 0, 0].astype(np.float32) / 255)
    assert got.probability == pytest.approx(np.arange(150) / 255, abs=1e-6)
    assert got.fake.tolist() == [bool(i % 2) for i in range(150)]


def test_neither_a_long_video_nor_a_large_source_outweighs_the_others():
    # Sources of 4 and 1 groups; one group of 8 frames; families of 1 and 4 groups.
    source = ["a"] * 11 + ["b"] + ["x"] * 5
    groups = ["long"] * 8 + ["1", "2", "3", "4"] + ["5", "6", "7", "8", "9"]
    both = scored([0.5] * 17, [0] * 12 + [1] * 5, source, groups)
    some = Scored(both.probability, both.fake, both.source, both.group, np.array([""] * 12 + ["f"] + ["g"] * 4))
    weights = balanced_weights(some)
    assert weights.sum() == pytest.approx(1)
    assert weights[:12].sum() == pytest.approx(0.5)
    assert weights[:8].sum() == pytest.approx(weights[8])  # the long video is one group of four
    assert weights[:11].sum() == pytest.approx(2 * weights[11])
    assert weights[13:].sum() == pytest.approx(2 * weights[12])
