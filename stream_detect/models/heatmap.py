"""Heat maps: which places of a face spoke for a fake, by Grad-CAM without a training library.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) multiplies what a late convolution says by the gradient of the
score. It averages that gradient over all places first, which is exact for a network that ends in a mean over all places
and wrong for Meso4, which weighs each place by itself: against occlusion its maps were noise there (rank correlation
.04 over twelve faces). Left place by place (Draelos and Carin 2020, arXiv:2011.08891) they agree (.37), and where both
are exact the two are one. So that is what is done here.

Gradient times features, summed over a place, is what the score gains when the features of that place are turned up: the
second half of the network is run with each place a little up, all in one batch, by serving's backend.
Features count from their average over the face: what is the same everywhere points to no place.
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.types import Image

_STEP = 3e-3
"""Share by which a place is turned up: small against kinks, large against f32."""
_MOST_PLACES = 16
"""Across and down: bounds time and memory; neighbours are taken together on a finer grid."""


class Halves(Protocol):
    """A network cut in two behind one of its last convolutions."""

    def features(self, crop: Image) -> NDArray[np.float32]:
        """The map of a crop at the cut: float32 (channels, y, x)."""
        ...

    def fake_logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The score's logit, positive for fake, of each of (n, channels, y, x)."""
        ...


@dataclass(frozen=True, slots=True)
class Heat:
    """What a model saw in a crop.

    Args:
        fake_probability: raw, in [0, 1].
        places: float32 (h, w) of the crop's size: what spoke for a fake, more than the face's average; 1 is the most.
    """

    fake_probability: float
    places: NDArray[np.float32]


def heat_of(halves: Halves, crop: Image) -> Heat:
    """The map of one crop.

    Args:
        halves: of the model.
        crop: RGB uint8 (h, w, 3), of the model's size.

    Raises:
        AnalysisError: the model could not be run.
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
    """What each place adds to the fake logit: gradient times features, summed over its channels.

    Args:
        halves: of the model.
        features: float32 (channels, y, x).

    Returns:
        float32 (rows, columns), at most 16 of each.
    """
    rows, columns = (_cells(side) for side in features.shape[1:])
    n_rows, n_columns = int(rows[-1]) + 1, int(columns[-1]) + 1
    place = rows[:, np.newaxis] * n_columns + columns
    own = np.float32(_STEP) * (place == np.arange(n_rows * n_columns)[:, np.newaxis, np.newaxis])
    against_average = features - features.mean(axis=(1, 2), keepdims=True)
    changes = against_average * own[:, np.newaxis].astype(np.float32)
    logits = halves.fake_logits(np.concatenate((features[np.newaxis], features + changes)))
    return np.asarray((logits[1:] - logits[0]).reshape(n_rows, n_columns) / _STEP, np.float32)


def _cells(side: int) -> NDArray[np.intp]:
    """For each row or column, the number of the place that it belongs to."""
    return np.asarray(np.arange(side) * min(side, _MOST_PLACES) // side, np.intp)


def shown_over(crop: Image, heat: Heat) -> Image:
    """The crop with its hot places in orange, RGB uint8 (h, w, 3)."""
    share = 0.7 * heat.places[..., np.newaxis]
    orange = np.array((255, 120, 0), np.float32)
    return np.asarray(crop * (1 - share) + orange * share + 0.5, np.uint8)
