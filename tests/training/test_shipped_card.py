"""The shipped bundle: intact, equal on both backends, with a complete card that agrees with the documents."""

from pathlib import Path

import pytest

from stream_detect.models.registry import Registry
from stream_detect.settings import Settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.fixture(scope="module")
def bundle():
    return Registry.of(None).load(Settings().model.name)


def test_the_card_states_what_a_person_must_know(bundle):
    card = bundle.card
    measured = {(metric.name, metric.threshold) for metric in card.metrics}
    assert measured >= {("auc", None), ("accuracy", 0.5), ("recall", 0.5), ("false_alarm_rate", 0.5)}
    assert all(metric.low <= metric.value <= metric.high for metric in card.metrics if metric.low is not None)
    assert "DFDC" in card.training.data
    assert "research terms" in card.training.terms
    assert "stream-detect train" in card.training.recipe
    assert any("Measured on single frames" in limit for limit in card.limits)
    assert any("not a proof" in limit for limit in card.limits)
    assert card.calibration.fitted_on


@pytest.mark.parametrize("value", ["auc", "accuracy", "precision", "recall", "false_alarm_rate"])
def test_the_document_states_the_card_s_figures(bundle, value):
    text = DOCUMENT.read_text(encoding="utf-8")
    for metric in bundle.card.metrics:
        if metric.name == value:
            at = "" if metric.threshold is None else f" at {metric.threshold:g}"
            row = f"| {metric.data} | {metric.name.replace('_', ' ')}{at} | {metric.value:.3f} "
            assert f"{row}| {metric.low:.3f} to {metric.high:.3f} | {metric.n:,} |" in text


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_both_backends_agree_on_it(bundle):
    from stream_detect.training.convert import check_agreement  # noqa: PLC0415 - it imports TensorFlow

    assert check_agreement(bundle) < 1e-3
