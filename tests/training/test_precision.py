"""bf16 is allowed only where it was measured to change scores little."""

import shutil

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.models.bundle import Bundle
from stream_detect.models.openvino import has_bf16
from stream_detect.models.registry import Registry
from stream_detect.training import precision
from stream_detect.training.precision import with_bf16


@pytest.fixture
def bundle(tmp_path):
    name = "meso4-dfdc"
    shutil.copytree(Registry.of(None).folder_of(name), tmp_path / name)
    return Bundle.load(tmp_path / name)


@pytest.fixture
def crops(bundle):
    side = bundle.card.input.width_px
    face = cv2.resize(astronaut()[20:220, 120:320], (side, side), interpolation=cv2.INTER_AREA)
    return np.stack([(face * share).astype(np.uint8) for share in np.linspace(0.5, 1, 8)])


@pytest.mark.skipif(not has_bf16(), reason="this processor has no bf16")
@pytest.mark.parametrize(("noise", "expected"), [(4, "bf16"), (0, "f32")])
def test_the_card_says_what_bf16_changes_and_allows_it_when_noise_changes_more(
    bundle, crops, monkeypatch, noise, expected
):
    monkeypatch.setattr(precision, "NOISE", noise)
    judged = with_bf16(with_bf16(bundle, crops, "faces"), crops, "faces")
    (figure,) = [metric for metric in judged.card.metrics if metric.name == "bf16_difference"]
    assert 0 < figure.value < 0.02
    assert figure.n == 8
    assert judged.card.precision == expected


def test_where_nothing_can_be_measured_nothing_is_allowed(bundle, crops, monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda: False)
    assert with_bf16(bundle, crops, "faces") == bundle
