"""Heat maps: which parts of a face indicate a fake, by Grad-CAM without a training library.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) multiplies what a late convolution says by the gradient of the score.
It averages that gradient over all positions first, which is exact for a network that ends in a mean over all positions
and wrong for Meso4, which weighs each position separately: compared with occlusion, its maps were noise (rank
correlation .04 over twelve faces). Without the average (Draelos and Carin 2020, arXiv:2011.08891) they agree (.37), and
for the other networks both are equal. So the average is omitted here.

Gradient times features, summed over a position, is the gain of the score when the features of that position increase:
the second half of the network is run with each position increased a little, all in one batch, by the serving backend.
Features are relative to their average over the face, because what is equal everywhere points to no position.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.types import Image

_STEP = 3e-3
"""Share by which a position is increased: small enough for kinks, large enough for f32."""
_MOST_PLACES = 16
"""Rows and columns at most; neighbours are combined on a finer grid."""
_MOST_VALUES = 8_000_000
"""Features of all positions together that are passed to the second half at once. It bounds time and memory, so a map of
many channels has fewer positions. EfficientNet-Lite0's 672 channels at 12 x 12 get 9 x 9, which takes 22 times as long
as a score; all 12 x 12 took 43 times as long."""
_AT_ONCE = 9
"""Positions per call: nine calls take as long as one with all 81, and 28 MB instead of 143 (measured)."""


class Halves(Protocol):
    """A network cut in two after one of its last convolutions."""

    def features(self, crop: Image) -> NDArray[np.float32]:
        """The feature map of a crop at the cut: float32 (channels, y, x)."""
        ...

    def fake_logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logit of the score, positive for fake, for each of (n, channels, y, x)."""
        ...


@dataclass(frozen=True, slots=True)
class Heat:
    """Heat map of a crop.

    Args:
        fake_probability: raw, in [0, 1].
        places: float32 (h, w) of the crop's size: how much more than the face's average each position indicates a fake;
            the maximum is 1.
    """

    fake_probability: float
    places: NDArray[np.float32]


def heat_of(halves: Halves, crop: Image) -> Heat:
    """Computes the heat map of one crop.

    Args:
        halves: the model, cut in two.
        crop: RGB uint8 (h, w, 3), of the model's size.

    Raises:
        AnalysisError: the model failed.
    """
    features = halves.features(crop)
    raised = np.maximum(gains(halves, features), 0)
    greatest = float(raised.max())
    coarse = (raised / greatest if greatest > 0 else raised).astype(np.float32)
    h, w = crop.shape[:2]
    places = np.clip(cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC), 0, 1)
    logit = float(halves.fake_logits(features[np.newaxis])[0])
    return Heat(float(1 / (1 + np.exp(-logit))), np.asarray(places, np.float32))


def gains(halves: Halves, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each position adds to the fake logit: gradient times features, summed over its channels.

    Args:
        halves: the model, cut in two.
        features: float32 (channels, y, x).

    Returns:
        float32 (rows, columns), at most 16 of each.
    """
    most = min(_MOST_PLACES, max(math.isqrt(_MOST_VALUES // features.size), 1))
    down, across = (_shares(side, most) for side in features.shape[1:])
    own = np.float32(_STEP) * (down[:, np.newaxis, :, np.newaxis] * across[np.newaxis, :, np.newaxis, :])
    own = own.reshape(-1, *features.shape[1:])
    against_average = features - features.mean(axis=(1, 2), keepdims=True)
    changed = (
        halves.fake_logits(features + against_average * own[at : at + _AT_ONCE, np.newaxis])
        for at in range(0, len(own), _AT_ONCE)
    )
    steps = np.concatenate(list(changed)) - halves.fake_logits(features[np.newaxis])
    return np.asarray(steps.reshape(len(down), len(across)) / _STEP, np.float32)


def _shares(side: int, most: int) -> NDArray[np.float32]:
    """Weight of each row or column in each of at most `most` positions, float32 (positions, side) in [0, 1].

    If the sides divide evenly, each row belongs to one position. Otherwise the weight falls linearly from 1 at the
    centre of a position to 0 at the centres of its neighbours: with hard edges, an uneven map pointed to the wrong
    quarter of a face (occlusion test: -.4, not 2.0).
    """
    places = min(side, most)
    if side % places == 0:
        return np.asarray(np.kron(np.eye(places), np.ones(side // places)), np.float32)
    middles = (np.arange(places) + 0.5) * side / places - 0.5
    distance = np.abs(np.arange(side) - middles[:, np.newaxis]) * places / side
    return np.asarray(np.clip(1 - distance, 0, 1), np.float32)


def shown_over(crop: Image, heat: Heat) -> Image:
    """The crop with its hot positions in orange, RGB uint8 (h, w, 3)."""
    share = 0.7 * heat.places[..., np.newaxis]
    orange = np.array((255, 120, 0), np.float32)
    return np.asarray(crop * (1 - share) + orange * share + 0.5, np.uint8)
