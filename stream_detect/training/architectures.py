"""The networks that this project trains or takes over: a name enters, an untrained Keras 3 model leaves.

Every network takes float32 (n, h, w, 3), scaled as its bundle's card says, and gives (n, k) numbers in [0, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers

from stream_detect.errors import BundleError


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be built.

    Args:
        name: what a card calls it.
        build: makes it, untrained; takes the size (w, h) in pixels and the share of values that dropout hides.
        wh: width and height in pixels of the pictures it was designed for.
        dropout: share in [0, 1) hidden as published.
    """

    name: str
    build: Callable[[tuple[int, int], float], keras.Model]
    wh: tuple[int, int]
    dropout: float


def meso4(wh: tuple[int, int] = (256, 256), dropout: float = 0.5) -> keras.Model:
    """Meso4 of Afchar et al. 2018 (arXiv:1809.00888): four small convolutions that see texture, not persons.

    28,073 values at 256 x 256. The published weights say P(real); ours say P(fake).

    Args:
        wh: width and height of the input in pixels.
        dropout: share hidden before both dense layers; .5 as published.

    Returns:
        float32 (n, h, w, 3) in [0, 1] -> (n, 1) in [0, 1].
    """
    given = keras.Input((wh[1], wh[0], 3))
    x = given
    for filters, kernel, pool in ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4)):
        x = layers.Conv2D(filters, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.LeakyReLU(negative_slope=0.1)(layers.Dense(16)(x))
    x = layers.Dropout(dropout)(x)
    return keras.Model(given, layers.Dense(1, activation="sigmoid")(x), name="meso4")


ARCHITECTURES = {known.name: known for known in (Architecture("meso4", meso4, (256, 256), 0.5),)}
"""By name."""


def architecture_named(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        BundleError: there is none.
    """
    if name not in ARCHITECTURES:
        raise BundleError(f"expected an architecture of {', '.join(sorted(ARCHITECTURES))}; received {name!r}")
    return ARCHITECTURES[name]
