"""The reference backend: runs the Keras file of a bundle by TensorFlow, on a GPU if there is one.

Importing this module imports TensorFlow (5-8 s); `backend.load_model` imports it only for this backend.
"""

import keras
import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import BundleError
from stream_detect.models.backend import check_crops, fake_probability
from stream_detect.models.bundle import KERAS_FILE, Bundle
from stream_detect.types import Calibration, Classifier, CropPolicy, Thresholds


class KerasModel:
    """A bundle loaded by Keras, shared by all streams.

    Args:
        bundle: verified.

    Raises:
        BundleError: Keras cannot load the file.
    """

    def __init__(self, bundle: Bundle) -> None:
        file = bundle.folder / KERAS_FILE
        try:
            self._network = keras.saving.load_model(file, compile=False, safe_mode=True)
        except (ValueError, TypeError, OSError, KeyError) as error:
            raise BundleError(f"{file} cannot be loaded by Keras: {error}") from error
        self._bundle = bundle

    def classifier(self) -> Classifier:
        """A classifier for one stream; the weights are shared."""
        return KerasClassifier(self._bundle, self._network)


class KerasClassifier:
    """Scores the crops of one stream."""

    def __init__(self, bundle: Bundle, network: keras.Model) -> None:
        self._bundle = bundle
        self._network = network
        self.crop: CropPolicy = bundle.card.crop_policy()
        self.calibration: Calibration = bundle.card.platt()
        self.thresholds: Thresholds = bundle.card.hysteresis()

    def predict(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raw fake_probability of each crop; see `types.Classifier`."""
        check_crops(crops, self._bundle)
        given = self._bundle.card.input
        ordered = crops[..., ::-1] if given.colour_order == "BGR" else crops
        scaled = ordered.astype(np.float32) * np.float32(given.scale) + np.float32(given.offset)
        # A direct call: `predict` has 80 ms of set-up per call (measured).
        output = keras.ops.convert_to_numpy(self._network(scaled, training=False))
        return fake_probability(np.asarray(output, np.float32), self._bundle)
