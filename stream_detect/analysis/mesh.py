"""The face mesh: finds 468 points on one face by MediaPipe's network, run by OpenVINO.

It is fast enough (1.2 ms) for every face of a training; serving runs it during challenges only, where measuring and
comparing a head takes 2.7 ms per sample.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from stream_detect.analysis.detector import network_file
from stream_detect.errors import AnalysisError
from stream_detect.types import Image

POINTS = 468
_FILE = "face_landmark.tflite"
_INPUT_PX = 192
_MARGIN = 0.25
"""Margin added on every side, as a share of the crop's side: the network expects faces that fill two thirds of its
input."""
_PRESENT = 0.0
"""Logit of face presence above which the points are valid."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Output of the network for a square crop.

    Args:
        points: float32 (468, 3) in pixels of the crop: x to the right, y down, z away from the camera; x and y may lie
            beyond the crop's edge, z is relative to the middle of the head.
        presence: logit of face presence; 35 to 50 for a frontal face, less for a covered one.
    """

    points: NDArray[np.float32]
    presence: float


class FaceMesh:
    """Finds the points of faces. For another thread make a `sibling`, which shares the network.

    Args:
        compiled: a compiled network, for `sibling`.

    Raises:
        AnalysisError: the network's file is missing, unreadable or has an unexpected form.
    """

    def __init__(self, compiled: ov.CompiledModel | None = None) -> None:
        self._compiled = compiled or _compile()
        self._request = self._compiled.create_infer_request()

    def sibling(self) -> "FaceMesh":
        """A mesh for another thread."""
        return FaceMesh(self._compiled)

    def points(self, crop: Image) -> NDArray[np.float32] | None:
        """The mesh of an upright face that fills a square crop; None if the network finds no face.

        Args:
            crop: RGB uint8 (h, w, 3), h = w.

        Returns:
            float32 (468, 2), x and y in pixels of the crop; points may lie beyond its edge.

        Raises:
            AnalysisError: the network failed.
        """
        found = self.find(crop)
        return found.points[:, :2].copy() if found.presence > _PRESENT else None

    def find(self, crop: Image) -> Mesh:
        """The mesh of an upright face that fills a square crop, with depth and presence.

        Args:
            crop: RGB uint8 (h, w, 3), h = w.

        Raises:
            AnalysisError: the network failed.
        """
        side = crop.shape[0]
        margin = round(_MARGIN * side)
        wider = cv2.copyMakeBorder(crop, margin, margin, margin, margin, cv2.BORDER_REFLECT_101)
        shown = cv2.resize(wider, (_INPUT_PX, _INPUT_PX), interpolation=cv2.INTER_AREA)
        try:
            self._request.infer([np.asarray(shown, np.uint8)[np.newaxis]])
        except RuntimeError as error:
            raise AnalysisError(f"the face mesh could not be run: {error}") from error
        scale = (side + 2 * margin) / _INPUT_PX
        found = self._request.get_output_tensor(0).data.reshape(POINTS, 3) * scale
        found[:, :2] -= margin
        return Mesh(np.asarray(found, np.float32), float(self._request.get_output_tensor(1).data.item()))


def _compile() -> ov.CompiledModel:
    """Compiles the network with a uint8 input; the scaling to [0, 1] is part of it."""
    file = network_file(_FILE)
    core = ov.Core()
    try:
        network = core.read_model(file)
        received = [list(port.shape) for port in (*network.inputs, *network.outputs)]
        expected = [[1, _INPUT_PX, _INPUT_PX, 3], [1, 1, 1, 3 * POINTS], [1, 1, 1, 1]]
        if received != expected:
            raise AnalysisError(f"expected input and outputs of shapes {expected} in {file}; received {received}")
        steps = PrePostProcessor(network)
        steps.input().tensor().set_element_type(ov.Type.u8)
        steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        return core.compile_model(steps.build(), "CPU", {**settings, "ENABLE_CPU_PINNING": False, "CACHE_DIR": ""})
    except RuntimeError as error:
        raise AnalysisError(f"the face mesh {file} cannot be loaded; reinstall stream-detect") from error
