"""The face mesh: points on the parts of the face, no mesh without a face, and equal results of all siblings."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.analysis import mesh as mesh_module
from stream_detect.analysis.crop import crop_matrix, cut
from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.mesh import POINTS, FaceMesh
from stream_detect.errors import AnalysisError
from stream_detect.types import CropPolicy

NOSE_TIP, CHIN, FOREHEAD = 1, 152, 10  # in MediaPipe's published numbering
POLICY = CropPolicy((256, 256))


@pytest.fixture(scope="module")
def face():
    return BlazeFace("full", 0.6, 1).detect(astronaut())[0]


@pytest.fixture(scope="module")
def mesh():
    return FaceMesh()


def test_points_lie_where_the_detector_sees_the_nose(mesh, face):
    points = mesh.points(cut(astronaut(), face, POLICY))
    assert points.shape == (POINTS, 2)
    matrix = crop_matrix(face, POLICY)
    nose = matrix @ (*face.keypoints[2], 1)
    assert np.hypot(*(points[NOSE_TIP] - nose)) < 12
    assert points[FOREHEAD, 1] < points[NOSE_TIP, 1] - 50
    assert points[CHIN, 1] > points[NOSE_TIP, 1] + 50


@pytest.mark.parametrize("side", [96, 256, 301])
def test_points_scale_with_the_crop(mesh, face, side):
    crop = cut(astronaut(), face, POLICY)
    expected = mesh.points(crop) * side / 256
    got = mesh.points(np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), np.uint8))
    assert np.abs(got - expected).mean() < 0.02 * side


@pytest.mark.parametrize("value", [0, 128])
def test_where_no_face_is_there_are_no_points(mesh, value):
    assert mesh.points(np.full((256, 256, 3), value, np.uint8)) is None


def test_a_sibling_finds_the_same(mesh, face):
    crop = cut(astronaut(), face, POLICY)
    assert np.array_equal(mesh.points(crop), mesh.sibling().points(crop))


def test_a_file_that_is_no_network_is_named(monkeypatch, tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"nothing")
    monkeypatch.setattr(mesh_module, "network_file", lambda _: tmp_path / "broken.tflite")
    with pytest.raises(AnalysisError, match=r"broken\.tflite"):
        FaceMesh()
