import json

import pytest
from pydantic import ValidationError

from stream_detect import types
from stream_detect.models.card import Card

CARD = {
    "name": "tiny",
    "title": "Tiny",
    "version": "1",
    "architecture": "mean",
    "input": {"width_px": 224, "height_px": 160},
    "crop": {"centre": "box", "side": "box", "side_factor": 1.3, "upright": False},
    "output": {"means": "real", "index": 1},
    "calibration": {"slope": 0.5, "intercept": -0.25, "fitted_on": "half"},
    "thresholds": {"fake_enter": 0.9, "fake_leave": 0.7, "real_enter": 0.1, "real_leave": 0.3},
    "training": {"data": "d", "terms": "t", "recipe": "r"},
    "limits": ["one"],
    "sha256": {"model.bin": "0" * 64},
}


def test_card_turns_into_the_values_that_the_pipeline_takes():
    card = Card.model_validate_json(json.dumps(CARD))
    assert card.crop_policy() == types.CropPolicy((224, 160), "box", "box", 1.3, upright=False)
    assert card.platt() == types.Calibration(0.5, -0.25)
    assert card.hysteresis() == types.Thresholds(0.9, 0.7, 0.1, 0.3)


def test_the_contract_covers_what_decides_answers_and_nothing_else():
    def contract(**changes: object) -> str:
        return Card.model_validate_json(json.dumps(CARD | changes)).contract_sha256

    described = {
        "title": "Other",
        "version": "2",
        "limits": ["two"],
        "training": {"data": "e", "terms": "u", "recipe": "s"},
    }
    described["calibration"] = CARD["calibration"] | {"fitted_on": "the other half"}
    described["thresholds"] = CARD["thresholds"] | {"rule": "by hand"}
    assert contract(**described) == contract()
    deciding = [
        {"calibration": CARD["calibration"] | {"slope": 0.6}},
        {"thresholds": CARD["thresholds"] | {"fake_enter": 0.95}},
        {"crop": CARD["crop"] | {"side_factor": 1.4}},
        {"output": {"means": "fake", "index": 1}},
        {"precision": "bf16"},
        {"sha256": {"model.bin": "1" * 64}},
    ]
    assert len({contract(), *(contract(**changes) for changes in deciding)}) == 1 + len(deciding)


@pytest.mark.parametrize(
    ("part", "value", "named"),
    [
        ("colour", "RGB", "colour"),
        ("name", "../up", "name"),
        ("input", {"width_px": 0, "height_px": 16}, "width_px"),
        ("input", {"width_px": 16, "height_px": 16, "colour_order": "GBR"}, "colour_order"),
        ("input", {"width_px": "16", "height_px": 16}, "width_px"),
        ("output", {"means": "likely"}, "means"),
        ("output", {}, "means"),
        ("calibration", {"slope": -1.0}, "slope"),
        ("thresholds", {"fake_enter": 0.5}, "real_enter < real_leave <= fake_leave < fake_enter"),
        ("thresholds", {"fake_enter": 1.5}, "fake_enter"),
        ("sha256", {"model.bin": "abc"}, "sha256"),
        ("metrics", [{"name": "auc", "value": 0.5, "data": "d", "n": 0}], "n"),
    ],
)
def test_card_of_another_form_is_refused_by_the_name_of_the_part(part, value, named):
    with pytest.raises(ValidationError, match=named):
        Card.model_validate_json(json.dumps(CARD | {part: value}))
