import numpy as np
import pytest

from stream_detect.errors import AnalysisError, BundleError
from stream_detect.models import openvino
from stream_detect.models.backend import fake_probability, load_model
from stream_detect.models.bundle import Bundle, sha256_of

RED, BLUE = (255, 0, 0), (0, 0, 255)


def crops(*colours):
    return np.stack([np.full((16, 16, 3), colour, np.uint8) for colour in colours])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (1.0, 0.0)),
        ({"output": {"means": "real"}}, (0.0, 1.0)),
        ({"output": {"means": "fake", "index": 1}}, (0.0, 1.0)),
        ({"input": {"width_px": 16, "height_px": 16, "colour_order": "BGR"}}, (0.0, 1.0)),
        ({"input": {"width_px": 16, "height_px": 16, "scale": 0.5 / 255}}, (0.5, 0.0)),
        ({"input": {"width_px": 16, "height_px": 16, "scale": 0.5 / 255, "offset": 0.25}}, (0.75, 0.25)),
    ],
)
def test_contract_says_what_goes_in_and_what_comes_out(make_bundle, changes, expected):
    classifier = load_model(Bundle.load(make_bundle(**changes)), "openvino").classifier()
    scores = classifier.predict(crops(RED, BLUE))
    assert scores.dtype == np.float32
    assert scores == pytest.approx(expected, abs=1e-6)


def test_no_crops_give_no_scores(make_bundle):
    classifier = load_model(Bundle.load(make_bundle()), "openvino").classifier()
    assert classifier.predict(np.empty((0, 16, 16, 3), np.uint8)).shape == (0,)


def test_two_streams_share_a_model_and_not_their_scores(make_bundle):
    model = load_model(Bundle.load(make_bundle()), "openvino")
    one, other = model.classifier(), model.classifier()
    first = one.predict(crops(RED))
    other.predict(crops(BLUE))
    assert first == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("allowed", "there", "asked", "expected"),
    [
        ("bf16", True, "card", "bf16"),
        ("bf16", True, "f32", "f32"),
        ("bf16", False, "card", "f32"),
        ("f32", True, "card", "f32"),
    ],
)
def test_bf16_is_for_cards_that_allow_it_and_processors_that_have_it(  # noqa: PLR0913, PLR0917 - a table's columns
    make_bundle, monkeypatch, allowed, there, asked, expected
):
    compiled = []
    monkeypatch.setattr(openvino, "has_bf16", lambda: there)
    monkeypatch.setattr(openvino, "_compiled", lambda *given: compiled.append(given[-1]))
    load_model(Bundle.load(make_bundle(precision=allowed)), "openvino", precision=asked)
    assert compiled == [expected]


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((1, 8, 16, 3), np.uint8), np.zeros((16, 16, 3), np.uint8), np.zeros((1, 16, 16, 3), np.float32)],
)
def test_crop_of_another_form_is_refused(make_bundle, wrong):
    classifier = load_model(Bundle.load(make_bundle()), "openvino").classifier()
    with pytest.raises(AnalysisError, match="expected crops of uint8"):
        classifier.predict(wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5, -0.5])
def test_number_that_is_no_probability_is_refused(make_bundle, value):
    with pytest.raises(AnalysisError, match=r"expected numbers in \[0, 1\]"):
        fake_probability(np.array([[value]], np.float32), Bundle.load(make_bundle()))


def test_output_that_the_network_lacks_is_refused(make_bundle):
    classifier = load_model(Bundle.load(make_bundle(output={"means": "fake", "index": 2})), "openvino").classifier()
    with pytest.raises(AnalysisError, match="expected output 2"):
        classifier.predict(crops(RED))


def test_network_that_is_no_network_is_named(make_bundle):
    folder = make_bundle()
    (folder / "model.xml").write_text("<net/>")
    sums = {file: sha256_of(folder / file) for file in ("model.keras", "model.xml", "model.bin")}
    card = Bundle.load(make_bundle("whole")).card.model_copy(update={"sha256": sums})
    with pytest.raises(BundleError, match=r"model\.xml"):
        load_model(Bundle(folder, card), "openvino")
