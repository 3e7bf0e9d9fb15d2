"""The two backends that run a bundle, OpenVINO and TensorFlow, behind one protocol."""

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import AnalysisError
from stream_detect.extras import require_keras
from stream_detect.models.bundle import Bundle
from stream_detect.types import Classifier

BackendName = Literal["openvino", "tensorflow"]
Precision = Literal["auto", "int8", "bf16", "f32"]
"""Precision of openvino: auto is the fastest that the card allows and the processor has; the others are used regardless
of the card."""


class Model(Protocol):
    """A loaded bundle, shared by all streams."""

    def classifier(self) -> Classifier:
        """A classifier for one stream; the weights are shared."""
        ...


def load_model(bundle: Bundle, backend: BackendName, threads: int = 1, precision: Precision = "auto") -> Model:
    """Loads a bundle; the backend's library is imported only here.

    Args:
        bundle: verified.
        backend: "openvino" serves; "tensorflow" is the reference, and uses a GPU if there is one.
        threads: inference threads per call.
        precision: of openvino; tensorflow computes in f32.

    Raises:
        BundleError: the backend cannot load the bundle's network.
        MissingExtraError: TensorFlow is not installed.
        SettingsError: KERAS_BACKEND names no backend.
    """
    if backend == "openvino":
        from stream_detect.models.openvino import OpenVinoModel  # noqa: PLC0415 - one backend is loaded, not both

        return OpenVinoModel(bundle, threads, precision)
    require_keras("model.backend: tensorflow")
    from stream_detect.models.tensorflow import KerasModel  # noqa: PLC0415 - TensorFlow takes seconds to import

    return KerasModel(bundle)


def check_crops(crops: NDArray[np.uint8], bundle: Bundle) -> None:
    """Checks the shape of crops.

    Raises:
        AnalysisError: they are not uint8 (n, h, w, 3) of the card's size.
    """
    wanted = (bundle.card.input.height_px, bundle.card.input.width_px, 3)
    if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != wanted:
        raise AnalysisError(f"expected crops of uint8 (n, {wanted}), received {crops.dtype} {crops.shape}")


def fake_probability(output: NDArray[np.float32], bundle: Bundle) -> NDArray[np.float32]:
    """Converts a network's output (n, k) to raw fake_probability (n,), inverted if the contract says so.

    Raises:
        AnalysisError: the output that the card names is missing, or is not a probability.
    """
    meaning = bundle.card.output
    if output.ndim != 2 or output.shape[1] <= meaning.index:
        raise AnalysisError(f"expected output {meaning.index} of {bundle.card.name}, received shape {output.shape}")
    value = output[:, meaning.index].astype(np.float32)
    if not bool(np.all((value >= 0.0) & (value <= 1.0))):  # also false for NaN
        raise AnalysisError(f"expected numbers in [0, 1] from {bundle.card.name}, received {value}")
    return np.asarray(1.0 - value if meaning.means == "real" else value, np.float32)
