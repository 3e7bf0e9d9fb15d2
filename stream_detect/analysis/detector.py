"""The face detector BlazeFace, run by OpenVINO: finds the boxes and six key points of the faces in one image."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from openvino.preprocess import PrePostProcessor

from stream_detect.analysis.blazeface import (
    GRAPHS,
    KEYPOINTS,
    BlazeFaceGraph,
    Letterbox,
    Range,
    decode,
    suppress,
    to_faces,
)
from stream_detect.errors import AnalysisError
from stream_detect.types import Face, Image

_BORDER_GREY = 128

NETWORKS = Path(__file__).parent / "networks"
"""MediaPipe's networks, Apache-2.0 (see NOTICE)."""
_SHA256 = {
    "face_detection_full_range.tflite": "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    "face_detection_short_range.tflite": "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    "face_landmark.tflite": "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
}


class BlazeFace:
    """Finds faces in images. For another thread make a `sibling`, which shares the compiled model.

    Args:
        kind: "full" finds faces up to about 5 m away, "short" up to 2 m in a third of the time.
        min_score: detector confidence in [0, 1] below which a box is not a face.
        max_faces: number of faces returned at most, the largest ones.
        threads: inference threads; both networks are too small to gain from more than one.
        compiled: a compiled model, for `sibling`.

    Raises:
        AnalysisError: the model file is missing, unreadable or has an unexpected form.
    """

    def __init__(
        self, kind: Range, min_score: float, max_faces: int, threads: int = 1, compiled: ov.CompiledModel | None = None
    ) -> None:
        self._kind: Range = kind
        self._graph = GRAPHS[kind]
        self._anchors = self._graph.anchors()
        self._min_score = min_score
        self._max_faces = max_faces
        self._compiled = compiled or _compile(self._graph, model_file(kind), threads)
        side = self._graph.input_px
        self._canvas = np.zeros((1, side, side, 3), np.uint8)
        self._placed: tuple[tuple[int, int], float] = ((0, 0), 0.0)
        self._letterbox = Letterbox((side, side), 0, 0, (1.0, 1.0))
        self._request = self._compiled.create_infer_request()
        self._request.set_input_tensor(ov.Tensor(self._canvas, shared_memory=True))

    @property
    def input_px(self) -> int:
        """Side of the network's square input."""
        return self._graph.input_px

    def sibling(self, min_score: float | None = None) -> "BlazeFace":
        """A detector with its own buffers, for another thread or purpose; the compiled model is shared.

        Args:
            min_score: as in `BlazeFace`; default: that of this detector.
        """
        least = self._min_score if min_score is None else min_score
        return BlazeFace(self._kind, least, self._max_faces, compiled=self._compiled)

    def detect(self, image: Image, border: float = 0.0) -> list[Face]:
        """Faces in an image of any size, best score first.

        Args:
            image: RGB uint8 (h, w, 3).
            border: grey border added on every side, as a share of the image's longer side, so that a face that fills
                the image is found at a smaller size.

        Raises:
            AnalysisError: the image has another form, or the network failed.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise AnalysisError(f"expected an RGB picture, uint8 (h, w, 3); received {image.dtype} {image.shape}")
        self._fill_canvas(image, border)
        try:
            self._request.infer()
        except RuntimeError as error:
            raise AnalysisError(f"the face detector could not be run: {error}") from error
        found = decode(
            self._request.get_output_tensor(0).data[0],
            self._request.get_output_tensor(1).data[0, :, 0],
            self._anchors,
            self._min_score,
        )
        return to_faces(suppress(found), self._letterbox, self._max_faces)

    def _fill_canvas(self, image: Image, border: float) -> None:
        height, width = image.shape[:2]
        placed = (width, height), border
        if self._placed != placed:
            self._placed = placed
            self._letterbox = Letterbox.fit((width, height), self._graph.input_px, border)
            self._canvas[:] = _BORDER_GREY if border else 0
        (w, h), left, top = self._letterbox.wh, self._letterbox.left, self._letterbox.top
        # Area averaging of the whole frame takes .6-1.3 ms; sampling at twice the size and averaging 2 x 2 takes .15-.2
        # for any frame size, and moves key points by .1-.3% of a face where plain bilinear moves them by .1-.7%.
        twice = (2 * w, 2 * h) if max(height, width) > self._graph.input_px else (w, h)
        sampled = cv2.resize(image, twice, interpolation=cv2.INTER_LINEAR)
        target = self._canvas[0, top : top + h, left : left + w]
        cv2.resize(sampled, (w, h), dst=target, interpolation=cv2.INTER_AREA)


def model_file(kind: Range) -> Path:
    """The verified model file of a detector.

    Args:
        kind: "full" or "short".

    Raises:
        AnalysisError: the file is missing or is not the published one.
    """
    return network_file(GRAPHS[kind].file)


def network_file(name: str) -> Path:
    """Path of one of MediaPipe's networks, checked against its sha256.

    Args:
        name: a file in `NETWORKS`.

    Raises:
        AnalysisError: the file is missing or is not the published one.
    """
    file = NETWORKS / name
    try:
        received = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise AnalysisError(f"expected the network {file}: {error.strerror}; reinstall stream-detect") from error
    if received != _SHA256[name]:
        raise AnalysisError(
            f"expected {file} with sha256 {_SHA256[name][:12]}..., received {received[:12]}...; reinstall stream-detect"
        )
    return file


def _precision(core: ov.Core) -> str:
    return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def _compile(graph: BlazeFaceGraph, file: Path, threads: int) -> ov.CompiledModel:
    """Compiles the network with a uint8 input; the scaling to [-1, 1] is part of it."""
    core = ov.Core()
    try:
        model = core.read_model(file)
    except RuntimeError as error:
        raise AnalysisError(f"the face detector's model {file} cannot be read; reinstall stream-detect") from error
    anchors = len(graph.anchors())
    expected = [[1, graph.input_px, graph.input_px, 3], [1, anchors, 4 + 2 * KEYPOINTS], [1, anchors, 1]]
    received = [list(port.shape) for port in (*model.inputs, *model.outputs)]
    if received != expected:
        raise AnalysisError(f"expected input and outputs of shapes {expected} in {file}; received {received}")
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8)
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean(127.5).scale(127.5)
    try:
        return core.compile_model(
            steps.build(),
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
                # bf16 if the processor has it: a quarter less time. Boxes move by 1 % of a face (99th percentile of 301
                # frames of real clips), scores by .01; no face appeared or disappeared (measured).
                "INFERENCE_PRECISION_HINT": _precision(core),
                # By default a call is bound to one core and waits for it: twice the time on a busy machine (measured).
                "ENABLE_CPU_PINNING": False,
                "CACHE_DIR": "",
            },
        )
    except RuntimeError as error:
        raise AnalysisError(f"the face detector's model {file} cannot be compiled: {error}") from error
