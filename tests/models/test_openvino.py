import shutil

import numpy as np
import pytest

from stream_detect.errors import AnalysisError, BundleError
from stream_detect.models import openvino
from stream_detect.models.backend import fake_probability, load_model
from stream_detect.models.bundle import Bundle, read_card, sha256_of, write_card

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
def test_the_contract_describes_input_and_output(make_bundle, changes, expected):
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
    ("card", "processor", "asked", "expected"),
    [
        ({"precision": "bf16"}, {"bf16"}, "auto", "bf16"),
        ({"precision": "bf16"}, {"bf16"}, "f32", "f32"),
        ({"precision": "bf16"}, set(), "auto", "f32"),
        ({}, {"bf16"}, "auto", "f32"),
        ({}, {"bf16"}, "bf16", "bf16"),
        ({"precision": "bf16", "int8": True}, {"bf16", "vnni"}, "auto", "int8"),
        ({"precision": "bf16", "int8": True}, {"bf16"}, "auto", "bf16"),
        ({"int8": True}, set(), "auto", "f32"),
        ({"int8": True}, set(), "int8", "int8"),
        ({"int8": True}, {"vnni"}, "f32", "f32"),
    ],
)
def test_a_bundle_is_served_in_what_its_card_allows_and_the_processor_has(  # noqa: PLR0913, PLR0917 - a table's columns
    make_bundle, monkeypatch, card, processor, asked, expected
):
    monkeypatch.setattr(openvino, "has_bf16", lambda: "bf16" in processor)
    monkeypatch.setattr(openvino, "has_vnni", lambda: "vnni" in processor)
    compiled = []
    monkeypatch.setattr(openvino, "_compiled", lambda *given: compiled.append(given[-1]))
    folder = make_bundle(**card)
    if card.get("int8"):
        add_int8(folder)
    assert load_model(Bundle.load(folder), "openvino", precision=asked).precision == expected
    assert compiled == ["bf16" if expected == "bf16" else "f32"]


def add_int8(folder):
    """Stands for an INT8 network: the same network under that name, listed in the card."""
    sums = dict(read_card(folder).sha256)
    for name in ("model.xml", "model.bin"):
        file = folder / name.replace("model", "model-int8")
        shutil.copyfile(folder / name, file)
        sums[file.name] = sha256_of(file)
    write_card(folder, read_card(folder).model_copy(update={"sha256": sums}))


def test_what_cannot_be_had_is_refused_with_the_cure(make_bundle, monkeypatch):
    bundle = Bundle.load(make_bundle())
    with pytest.raises(BundleError, match=r"model-int8.xml .*set model.precision to auto"):
        load_model(bundle, "openvino", precision="int8")
    monkeypatch.setattr(openvino, "has_bf16", lambda: False)
    with pytest.raises(BundleError, match=r"AVX512-BF16 .*set model.precision to auto"):
        load_model(bundle, "openvino", precision="bf16")


def test_a_card_that_promises_int8_has_its_files(make_bundle):
    with pytest.raises(BundleError, match=r"sha256 of model-int8.xml"):
        Bundle.load(make_bundle(int8=True))


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
