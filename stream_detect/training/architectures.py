"""The networks that this project trains or imports, by name, in Keras 3 with any of its backends.

Every network takes float32 (n, h, w, 3), scaled as the card of its bundle says, and returns (n, k) numbers in [0, 1];
in networks trained here, the last one means fake, and any before it real.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from stream_detect.errors import BundleError, TrainingError
from stream_detect.models.card import NetworkInput
from stream_detect.training.efficientnet import DataFormat, begin_from_imagenet, efficientnet_lite0

Build = Callable[[tuple[int, int], float], keras.Model]
"""Makes an untrained network for an input size (w, h) in pixels and a dropout rate."""


Initial = Literal["random", "imagenet"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be built.

    Args:
        name: its name in cards and recipes.
        build: makes the network with channels_last layers.
        wh: default width and height of its input in pixels.
        dropout: published dropout rate in [0, 1).
        outputs: number k of outputs.
        scale: factor applied to the pixels, 0 to 255.
        offset: added to the pixels afterwards.
        build_channels_first: makes the network with channels_first layers, with the same input and the same weights in
            the same order; None if not supported.
        imagenet: loads the published ImageNet weights into a network; None if there are none.
    """

    name: str
    build: Build
    wh: tuple[int, int]
    dropout: float
    outputs: int = 1
    scale: float = 1 / 255
    offset: float = 0.0
    build_channels_first: Build | None = None
    imagenet: Callable[[keras.Model], None] | None = None

    @property
    def fake_output(self) -> int:
        """Index of the output that means fake when trained by this project."""
        return self.outputs - 1

    def untrained(self, wh: tuple[int, int], dropout: float, data_format: DataFormat = "channels_last") -> keras.Model:
        """Makes the network with random weights.

        Raises:
            TrainingError: it does not support that data format.
        """
        if data_format == "channels_last":
            return self.build(wh, dropout)
        if self.build_channels_first is None:
            raise TrainingError(
                f'expected data_format = "channels_last" for {self.name}, received "channels_first": only '
                f"{' and '.join(each.name for each in ARCHITECTURES.values() if each.build_channels_first)} has both"
            )
        return self.build_channels_first(wh, dropout)

    def begin(self, model: keras.Model, initial: Initial) -> None:
        """Initialises the weights of a network: "random" or "imagenet".

        Raises:
            TrainingError: this architecture has no such weights, their package is not installed, or their file is
                damaged or belongs to another network.
        """
        if initial == "random":
            return
        if self.imagenet is None:
            names = " and ".join(each.name for each in ARCHITECTURES.values() if each.imagenet)
            raise TrainingError(
                f'expected initial = "random" for {self.name}, received "{initial}": only {names} has ImageNet weights'
            )
        self.imagenet(model)

    def scaled(self, crops: NDArray[np.uint8]) -> Any:
        """Scales crops, uint8 (n, h, w, 3), to the network's input: a float32 tensor of the backend, on its device."""
        return keras.ops.cast(keras.ops.convert_to_tensor(crops), "float32") * self.scale + self.offset

    def input(self, wh: tuple[int, int]) -> NetworkInput:
        """The input section of a card for this width and height in pixels."""
        return NetworkInput(width_px=wh[0], height_px=wh[1], scale=self.scale, offset=self.offset)


def meso4(wh: tuple[int, int] = (256, 256), dropout: float = 0.5) -> keras.Model:
    """Meso4 of Afchar et al. 2018 (arXiv:1809.00888): four small convolutions that detect texture, not persons.

    28,073 values at 256 x 256. The published weights give P(real), ours P(fake).

    Args:
        wh: width and height of the input in pixels.
        dropout: rate before both dense layers; .5 as published.

    Returns:
        float32 (n, h, w, 3) in [0, 1] -> (n, 1) in [0, 1].
    """
    given = keras.Input((wh[1], wh[0], 3))
    x = given
    for filters, kernel, pool in ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4)):
        x = layers.Conv2D(filters, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    return keras.Model(given, _meso_head(x, dropout), name="meso4")


def mesoinception4(wh: tuple[int, int] = (256, 256), dropout: float = 0.5) -> keras.Model:
    """MesoInception-4 of Afchar et al. 2018: Meso4 with inception blocks in place of its first two convolutions.

    28,725 values at 256 x 256. The published weights give P(real), ours P(fake).

    Args:
        wh: width and height of the input in pixels.
        dropout: rate before both dense layers; .5 as published.

    Returns:
        float32 (n, h, w, 3) in [0, 1] -> (n, 1) in [0, 1].
    """
    given = keras.Input((wh[1], wh[0], 3))
    x = given
    for filters in ((1, 4, 4, 2), (2, 4, 4, 2)):
        x = layers.BatchNormalization()(_inception(x, filters))
        x = layers.MaxPooling2D(2, padding="same")(x)
    for pool in (2, 4):
        x = layers.Conv2D(16, 5, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    return keras.Model(given, _meso_head(x, dropout), name="mesoinception4")


def dilated10(wh: tuple[int, int] = (224, 224), dropout: float = 0.5) -> keras.Model:
    """Ten layers, six of them convolutions, the last three dilated; designed for sharp stills of GAN faces.

    653,314 values for any input of at least 64 pixels. Its two outputs are independent; trained here, the first means
    real and the second fake, each with its own loss.

    Args:
        wh: width and height of the input in pixels.
        dropout: rate after each inner dense layer, before its ReLU; .5 as published.

    Returns:
        float32 (n, h, w, 3) in [0, 1] -> (n, 2) in [0, 1].
    """
    given = keras.Input((wh[1], wh[0], 3))
    x = given
    for filters, kernel, dilation in ((64, 5, 1), (64, 5, 1), (64, 5, 1), (32, 3, 2), (16, 3, 2), (16, 3, 2)):
        x = layers.Conv2D(filters, kernel, dilation_rate=dilation, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    for units in (400, 512, 400):
        x = layers.ReLU()(layers.Dropout(dropout)(layers.Dense(units)(x)))
    return keras.Model(given, layers.Dense(2, activation="sigmoid")(x), name="dilated10")


STREAMNET_WIDTHS = (16, 24, 48, 96, 128)
"""Filters of each stage; each stage has a quarter of the pixels of the previous one."""


def streamnet(wh: tuple[int, int] = (192, 192), dropout: float = 0.3) -> keras.Model:
    """This project's own network: plain 3 x 3 convolutions with shortcuts, the first stage at full resolution.

    Fine texture distinguishes a blended or generated face from a filmed one, and a strided first layer discards it:
    with the same training, such a network at 128 pixels learnt next to nothing (DFDC AUC .56 after 44,000 faces). So no
    convolution has a stride; stages end in max-pooling, and the first ones are narrow because they have many pixels.
    The network ends in a mean over all positions: where a face was forged does not matter, and any input of at least 16
    pixels fits.

    685,073 values. One face takes 5.2 ms on one core in OpenVINO (f32), a third of dilated10's time.

    Args:
        wh: width and height of the input in pixels.
        dropout: rate before the last layer.

    Returns:
        float32 (n, h, w, 3) in [0, 1] -> (n, 1) in [0, 1].
    """
    given = keras.Input((wh[1], wh[0], 3))
    x = _convolution(given, STREAMNET_WIDTHS[0])
    x = layers.MaxPooling2D(2)(_convolution(x, STREAMNET_WIDTHS[0]))
    for filters in STREAMNET_WIDTHS[1:]:
        x = _convolution(x, filters)
        inner = layers.Conv2D(filters, 3, padding="same", use_bias=False)(_convolution(x, filters))
        x = layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(inner)]))
        x = layers.MaxPooling2D(2)(x) if filters != STREAMNET_WIDTHS[-1] else x
    x = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(given, layers.Dense(1, activation="sigmoid")(x), name="streamnet")


def _meso_head(x: keras.KerasTensor, dropout: float) -> keras.KerasTensor:
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.LeakyReLU(negative_slope=0.1)(layers.Dense(16)(x))
    return layers.Dense(1, activation="sigmoid")(layers.Dropout(dropout)(x))


def _inception(x: keras.KerasTensor, filters: tuple[int, int, int, int]) -> keras.KerasTensor:
    """A 1 x 1 convolution next to three of 3 x 3 with dilations 1, 2 and 3, each after its own 1 x 1 convolution."""
    # The order is that of the published files, whose layers are identified by position.
    branches = [layers.Conv2D(filters[0], 1, padding="same", activation="relu")(x)]
    for dilation, count in enumerate(filters[1:], 1):
        y = layers.Conv2D(count, 1, padding="same", activation="relu")(x)
        y = layers.Conv2D(count, 3, dilation_rate=dilation, padding="same", activation="relu")(y)
        branches.append(y)
    return layers.Concatenate()(branches)


def _convolution(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


ARCHITECTURES = {
    known.name: known
    for known in (
        Architecture("meso4", meso4, (256, 256), 0.5),
        Architecture("mesoinception4", mesoinception4, (256, 256), 0.5),
        Architecture("dilated10", dilated10, (224, 224), 0.5, outputs=2),
        Architecture("streamnet", streamnet, (192, 192), 0.3),
        Architecture(
            "efficientnet_lite0",
            efficientnet_lite0,
            (192, 192),
            0.2,
            scale=1 / 128,
            offset=-127 / 128,
            build_channels_first=partial(efficientnet_lite0, data_format="channels_first"),
            imagenet=begin_from_imagenet,
        ),
    )
}
"""By name."""


def architecture_named(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        BundleError: there is no such architecture.
    """
    if name not in ARCHITECTURES:
        raise BundleError(f"expected an architecture of {', '.join(sorted(ARCHITECTURES))}; received {name!r}")
    return ARCHITECTURES[name]
