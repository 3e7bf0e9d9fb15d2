"""The serving backend: a bundle's OpenVINO IR, one thread, f32.

The contract's scaling and colour order are folded into the graph, so that a classifier takes uint8 crops. On CPUs with
AVX512-BF16 OpenVINO would pick bf16 unasked, off by up to 2e-3 (FACTS); f32 agrees with Keras to 6e-8.
"""

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import ColorFormat, PrePostProcessor

from stream_detect.errors import AnalysisError, BundleError
from stream_detect.models.backend import check_crops, fake_probability
from stream_detect.models.bundle import IR_FILE, Bundle
from stream_detect.types import Calibration, Classifier, CropPolicy, Thresholds


class OpenVinoModel:
    """A compiled bundle, shared by all streams.

    Args:
        bundle: verified.
        threads: inference threads a call.

    Raises:
        BundleError: the network cannot be read, compiled, or is of another form than its card says.
    """

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        self._bundle = bundle
        self._compiled = _compile(bundle, threads)

    def classifier(self) -> Classifier:
        """A classifier for one stream; the weights are shared."""
        return OpenVinoClassifier(self._bundle, self._compiled)


class OpenVinoClassifier:
    """Scores the crops of one stream."""

    def __init__(self, bundle: Bundle, compiled: ov.CompiledModel) -> None:
        self._bundle = bundle
        self._request = compiled.create_infer_request()
        self.crop: CropPolicy = bundle.card.crop_policy()
        self.calibration: Calibration = bundle.card.platt()
        self.thresholds: Thresholds = bundle.card.hysteresis()

    def predict(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raw fake_probability of each crop; see `types.Classifier`."""
        check_crops(crops, self._bundle)
        # One by one: the graph is compiled for one crop, and batching does not help on a CPU (FACTS).
        return np.concatenate([self._predict_one(crop) for crop in crops] or [np.empty(0, np.float32)])

    def _predict_one(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            self._request.infer([np.ascontiguousarray(crop[np.newaxis])], share_inputs=True)
        except RuntimeError as error:
            raise AnalysisError(f"the model {self._bundle.card.name} could not be run: {error}") from error
        return fake_probability(self._request.get_output_tensor(0).data.copy(), self._bundle)


def _compile(bundle: Bundle, threads: int) -> ov.CompiledModel:
    card, file = bundle.card, bundle.folder / IR_FILE
    core = ov.Core()
    try:
        network = core.read_model(file)
        network.reshape([1, card.input.height_px, card.input.width_px, 3])
        steps = PrePostProcessor(network)
        given = steps.input()
        given.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(ColorFormat.RGB)
        given.model().set_layout(ov.Layout("NHWC"))
        if card.input.colour_order == "BGR":
            given.preprocess().convert_color(ColorFormat.BGR)
        given.preprocess().convert_element_type(ov.Type.f32)
        given.preprocess().mean(-card.input.offset / card.input.scale).scale(1.0 / card.input.scale)
        return core.compile_model(
            steps.build(),
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
                "INFERENCE_PRECISION_HINT": "f32",
                # By default a call is tied to one core and waits for it: twice the time on a busy machine (measured).
                "ENABLE_CPU_PINNING": False,
                "CACHE_DIR": "",
            },
        )
    except RuntimeError as error:
        raise BundleError(
            f"{file} cannot be loaded for crops as {bundle.folder / 'card.json'} says: {error}"
        ) from error
