"""The serving backend: runs the OpenVINO IR of a bundle on one thread, in a precision that its card allows.

Scaling and colour order are part of the graph, so that a classifier takes uint8 crops. On CPUs with AVX512-BF16,
OpenVINO would use bf16 by default, in half the time but off by up to .02 (measured); f32 agrees with Keras to 6e-8. So
bf16 and INT8 are used only for bundles whose card states what they change; heat maps are drawn in f32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops
from openvino.preprocess import ColorFormat, PrePostProcessor

from stream_detect.errors import AnalysisError, BundleError
from stream_detect.models.backend import Precision, check_crops, fake_probability
from stream_detect.models.bundle import INT8_FILE, IR_FILE, Bundle
from stream_detect.types import Calibration, Classifier, CropPolicy, Thresholds

_CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})
_ACTIVATIONS = frozenset({"Relu", "Clamp"})
"""Clamp is ReLU6."""
_BEFORE_ACTIVATION = frozenset({"Add", "Multiply", "Subtract"})
_COARSEST = 16
"""Largest size of a position of a heat map, in pixels of the crop: a coarser map has only three positions across the
face. It is the stride of streamnet's last convolution; EfficientNet's last one has twice that."""
_VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})

Served = Literal["int8", "bf16", "f32"]


class OpenVinoModel:
    """A compiled bundle, shared by all streams.

    Args:
        bundle: verified.
        threads: inference threads per call.
        precision: "auto" chooses the fastest that the card allows and the processor has.

    Raises:
        BundleError: the network cannot be read or compiled, or differs from its card; or the requested precision is not
            available.
    """

    def __init__(self, bundle: Bundle, threads: int = 1, precision: Precision = "auto") -> None:
        self._bundle = bundle
        self.precision: Served = served_precision(bundle, precision)
        file = INT8_FILE if self.precision == "int8" else IR_FILE
        with _naming(bundle, file):
            hint = "bf16" if self.precision == "bf16" else "f32"
            self._compiled = _compiled(_prepared(bundle, file), threads, hint)

    def classifier(self) -> Classifier:
        """A classifier for one stream; the weights are shared."""
        return OpenVinoClassifier(self._bundle, self._compiled)


def served_precision(bundle: Bundle, precision: Precision) -> Served:
    """The precision in which a bundle runs on this processor.

    Args:
        bundle: its card says which precisions are allowed.
        precision: from the settings.

    Raises:
        BundleError: bf16 or INT8 was requested, and the processor or the bundle does not have it.
    """
    card = bundle.card
    if precision == "int8" and not card.int8:
        raise BundleError(
            f"expected {INT8_FILE} in the bundle {card.name} for model.precision int8, but its card lists none; set "
            "model.precision to auto"
        )
    if precision == "bf16" and not has_bf16():
        raise BundleError(
            "expected a processor with AVX512-BF16 or AMX for model.precision bf16, but this one has neither; set "
            "model.precision to auto"
        )
    if precision != "auto":
        return precision
    if card.int8 and has_vnni():
        return "int8"
    return "bf16" if card.precision == "bf16" and has_bf16() else "f32"


class OpenVinoClassifier:
    """Scores the crops of one stream."""

    def __init__(self, bundle: Bundle, compiled: ov.CompiledModel) -> None:
        self._bundle = bundle
        self._request = compiled.create_infer_request()
        # Set once: passing an input at each call takes .1 ms of Python.
        self._crop = np.zeros(compiled.input().shape, np.uint8)
        self._request.set_input_tensor(ov.Tensor(self._crop, shared_memory=True))
        self.crop: CropPolicy = bundle.card.crop_policy()
        self.calibration: Calibration = bundle.card.platt()
        self.thresholds: Thresholds = bundle.card.hysteresis()

    def predict(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raw fake_probability of each crop; see `types.Classifier`."""
        check_crops(crops, self._bundle)
        # One by one: the graph is compiled for one crop, and batching does not help on a CPU (measured).
        return np.concatenate([self._predict_one(crop) for crop in crops] or [np.empty(0, np.float32)])

    def _predict_one(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._crop[0] = crop
        try:
            self._request.infer()
        except RuntimeError as error:
            raise AnalysisError(f"the model {self._bundle.card.name} could not be run: {error}") from error
        return fake_probability(self._request.get_output_tensor(0).data.copy(), self._bundle)


class OpenVinoHalves:
    """A bundle's network cut in two, for heat maps (`heatmap.Halves`).

    The cut is after the last convolution whose map is fine enough (a position for every 16 pixels of the crop) and
    which no shortcut bypasses.

    Args:
        bundle: verified.
        threads: inference threads per call.

    Raises:
        BundleError: the network cannot be read or compiled, or has no convolution.
    """

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        self._bundle = bundle
        with _naming(bundle, IR_FILE):
            network = _prepared(bundle, IR_FILE)
            first, second, self._ends_in_sigmoid = _halves(network, bundle)
            self._first = _compiled(first, threads, "f32").create_infer_request()
            self._second = _compiled(second, threads, "f32").create_infer_request()

    def features(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The feature map of a crop at the cut; see `heatmap.Halves`."""
        check_crops(crop[np.newaxis], self._bundle)
        return np.asarray(self._run(self._first, np.ascontiguousarray(crop[np.newaxis]))[0], np.float32)

    def fake_logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The fake logit for each of (n, channels, y, x); see `heatmap.Halves`."""
        output = self._run(self._second, np.ascontiguousarray(features))[:, self._bundle.card.output.index]
        if not self._ends_in_sigmoid:
            held = np.clip(output.astype(np.float64), 1e-7, 1 - 1e-7)
            output = np.log(held / (1 - held))
        return np.asarray(-output if self._bundle.card.output.means == "real" else output, np.float32)

    def _run(self, request: ov.InferRequest, given: NDArray[np.generic]) -> NDArray[np.float32]:
        try:
            request.infer([given])
        except RuntimeError as error:
            raise AnalysisError(f"the model {self._bundle.card.name} could not be run: {error}") from error
        return np.array(request.get_output_tensor(0).data, np.float32)


def _halves(network: ov.Model, bundle: Bundle) -> tuple[ov.Model, ov.Model, bool]:
    """Crop to features (1, channels, y, x); features (n, channels, y, x) to output; whether the output is a logit."""
    cut = _place_of_cut(network, bundle)
    first = ov.Model([cut.output(0)], network.get_parameters(), "first half").clone()
    given = ops.parameter([-1, *list(cut.output(0).shape)[1:]], np.float32)
    for user in cut.output(0).get_target_inputs():
        user.replace_source_output(given.output(0))
    last = network.get_results()[0].input_value(0)
    ends_in_sigmoid = last.get_node().get_type_name() == "Sigmoid"
    output = last.get_node().input_value(0) if ends_in_sigmoid else last
    return first, ov.Model([output], [given], "second half"), ends_in_sigmoid


def _place_of_cut(network: ov.Model, bundle: Bundle) -> ov.Node:
    """The activation that a heat map is drawn from; that of the last convolution if no map is fine enough."""
    convolutions = [node for node in network.get_ordered_ops() if node.get_type_name() in _CONVOLUTIONS]
    if not convolutions:
        raise BundleError(f"expected a convolution in {bundle.card.name}, which a heat map needs, received none")
    given = bundle.card.input
    places = (given.height_px // _COARSEST, given.width_px // _COARSEST)
    for convolution in reversed(convolutions):
        cut = _activation_of(convolution)
        shape = list(cut.output(0).shape)
        if shape[2] >= places[0] and shape[3] >= places[1] and _separates(cut, network):
            return cut
    return _activation_of(convolutions[-1])


def _separates(cut: ov.Node, network: ov.Model) -> bool:
    """Whether the output depends on the crop only through this node, with no shortcut around it."""
    seen: set[str] = {cut.get_friendly_name()}
    waiting = [network.get_results()[0]]
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() in seen:
            continue
        seen.add(node.get_friendly_name())
        if node.get_type_name() == "Parameter":
            return False
        waiting += [source.get_node() for source in node.input_values()]
    return True


def _activation_of(convolution: ov.Node) -> ov.Node:
    """The ReLU after a convolution, past its bias, normalisation and shortcut; without one, the convolution."""
    node = convolution
    while node.get_type_name() not in _ACTIVATIONS:
        users = [user.get_node() for user in node.output(0).get_target_inputs()]
        if len(users) != 1 or users[0].get_type_name() not in _BEFORE_ACTIVATION | _ACTIVATIONS:
            return convolution
        node = users[0]
    return node


@contextmanager
def _naming(bundle: Bundle, file: str) -> Iterator[None]:
    """Adds the bundle's file to OpenVINO's errors."""
    try:
        yield
    except RuntimeError as error:
        raise BundleError(
            f"{bundle.folder / file} cannot be loaded for the crops described in {bundle.folder / 'card.json'}: {error}"
        ) from error


def read_network(file: Path, shape: tuple[int, ...]) -> ov.Model:
    """Reads a network for input of this shape, (n, h, w, 3), unmodified, to be quantized or timed."""
    network = ov.Core().read_model(file)
    network.reshape(list(shape))
    return network


def save_network(network: ov.Model, file: Path) -> None:
    """Writes a network as OpenVINO IR: `file`, and a .bin next to it."""
    ov.save_model(network, file, compress_to_fp16=False)


def _prepared(bundle: Bundle, file: str) -> ov.Model:
    """The network for one uint8 crop, including the contract's scaling and colour order."""
    card = bundle.card
    network = read_network(bundle.folder / file, (1, card.input.height_px, card.input.width_px, 3))
    steps = PrePostProcessor(network)
    given = steps.input()
    given.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(ColorFormat.RGB)
    given.model().set_layout(ov.Layout("NHWC"))
    if card.input.colour_order == "BGR":
        given.preprocess().convert_color(ColorFormat.BGR)
    given.preprocess().convert_element_type(ov.Type.f32)
    given.preprocess().mean(-card.input.offset / card.input.scale).scale(1.0 / card.input.scale)
    return steps.build()


def has_bf16() -> bool:
    """Whether this processor computes in bf16 (AVX512-BF16, AMX), in half the time of f32."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cache
def has_vnni() -> bool:
    """Whether this processor multiplies 8-bit numbers four at a time (AVX512-VNNI, AVX-VNNI, AMX).

    Without it INT8 is no faster than f32. Only Linux reports it; elsewhere the answer is False.
    """
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not _VNNI.isdisjoint(flags.split())


def _compiled(network: ov.Model, threads: int, precision: str) -> ov.CompiledModel:
    return ov.Core().compile_model(
        network,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            # By default a call is bound to one core and waits for it: twice the time on a busy machine (measured).
            "ENABLE_CPU_PINNING": False,
            "CACHE_DIR": "",
        },
    )
