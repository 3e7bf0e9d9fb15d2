"""Faces found again in crops: a tight picture gives the same face as the whole one, in the same order."""

import io

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.analysis.detector import BlazeFace
from stream_detect.errors import DatasetError
from stream_detect.evaluation.crops import Cutter, middle_face
from stream_detect.types import CropPolicy, Face

LEFT, TOP = 150, 40


@pytest.fixture(scope="module")
def detector():
    return BlazeFace("full", 0.3, 8)


def jpeg(image):
    return cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()


def test_tight_picture_has_the_face_where_the_whole_one_has_it(detector):
    photo = astronaut()
    whole = detector.detect(photo)[0]
    offset = np.array((LEFT, TOP))
    again = middle_face(np.ascontiguousarray(photo[TOP : TOP + 160, LEFT : LEFT + 150]), detector)
    np.testing.assert_allclose(again.keypoints[:4], whole.keypoints[:4] - offset, atol=6)
    np.testing.assert_allclose(again.xyxy, whole.xyxy - np.tile(offset, 2), atol=14)


def test_of_several_the_one_in_the_middle_is_taken():
    def face(x, y, score):
        return Face((x - 20, y - 20, x + 20, y + 20), np.full((6, 2), (x, y), np.float32), score)

    class Three:
        def detect(self, image):
            assert image.shape == (300, 600, 3)  # a picture of 200 x 100 in the middle of grey
            assert (image[:100] == 128).all()
            return [face(20, 20, 0.99), face(310, 140, 0.4), face(580, 280, 0.9)]

    got = middle_face(np.zeros((100, 200, 3), np.uint8), Three())
    assert got.score == 0.4
    assert got.keypoints[0].tolist() == [110, 40]
    assert got.xyxy == (90, 20, 130, 60)


def test_crops_come_in_the_order_of_the_pictures(face):
    shades = [round(0.5 + 0.004 * i, 3) for i in range(100)]
    pictures = ((shade, io.BytesIO(jpeg((face * shade).astype(np.uint8)))) for shade in shades)
    crops = dict(Cutter(CropPolicy((32, 32)), tight=True, threads=3).cut_each(pictures))
    assert list(crops) == shades
    assert np.corrcoef(shades, [crop.mean() for (crop,) in crops.values()])[0, 1] > 0.99


@pytest.mark.parametrize("tight", [True, False])
def test_picture_without_a_face_gives_none(tight):
    wall = io.BytesIO(jpeg(np.full((100, 100, 3), 90, np.uint8)))
    assert list(Cutter(CropPolicy((32, 32)), tight=tight).cut_each([("wall", wall)])) == [("wall", ())]


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_broken_picture_is_named(content):
    with pytest.raises(DatasetError, match=r"lost\.jpg"):
        list(Cutter(CropPolicy((32, 32)), tight=True).cut_each([("lost.jpg", io.BytesIO(content))]))


def test_a_whole_picture_gives_its_largest_face():
    photo = astronaut()[:300, 100:350]
    both = np.full((300, 520, 3), 128, np.uint8)
    both[:, 270:] = photo
    both[:200, :167] = cv2.resize(photo, (167, 200), interpolation=cv2.INTER_AREA) * 0.5
    cutter = Cutter(CropPolicy((32, 32)), tight=False)
    crops = dict(cutter.cut_each((name, io.BytesIO(jpeg(each))) for name, each in (("both", both), ("one", photo))))
    assert len(crops["both"]) == 1
    assert crops["both"][0].mean() > 0.8 * crops["one"][0].mean()  # the smaller one is dark


def test_a_tight_picture_among_whole_ones_is_tried_again_in_grey(face):
    again = io.BytesIO(jpeg(np.ascontiguousarray(face[40:200, 30:190])))
    ((_, crops),) = Cutter(CropPolicy((32, 32)), tight=False).cut_each([("tight", again)])
    assert len(crops) == 1


def test_a_large_tight_picture_is_shrunk_and_its_face_lies_where_it_was(detector, face):
    large = np.asarray(cv2.resize(face, (2240, 2240)), np.uint8)
    small, big = middle_face(face, detector), middle_face(large, detector)
    np.testing.assert_allclose(big.keypoints / 10, small.keypoints, atol=4)
