"""The aligned crop: positions of the key points, pixels outside the frame, and strong downscaling."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.data import astronaut

from stream_detect.analysis.crop import crop_matrix, cut
from stream_detect.errors import AnalysisError
from stream_detect.types import CropPolicy, Face

MESONET = CropPolicy((256, 256))
BOX = CropPolicy((224, 224), centre="box", side="box", side_factor=1.3, upright=False)

# An upright face, eyes 40 apart, around its nose tip.
POINTS = np.array(((-20, -18), (20, -18), (0, 0), (0, 22), (-45, -10), (45, -10)), np.float64)


def face_at(x, y, scale=1.0, degrees=0.0):
    turn = np.deg2rad(degrees)
    rotation = np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    half = 50 * scale
    return Face(
        (x - half, y - half, x + half, y + half), (POINTS * scale @ rotation.T + (x, y)).astype(np.float32), 0.9
    )


def shifted(face, dx, dy):
    left, top, right, bottom = face.xyxy
    return replace(
        face, xyxy=(left + dx, top + dy, right + dx, bottom + dy), keypoints=face.keypoints + np.float32((dx, dy))
    )


def landed(face, policy):
    """The face's key points in crop pixels."""
    return np.column_stack((face.keypoints, np.ones(6))) @ crop_matrix(face, policy).T


def texture(wh, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (wh[1], wh[0], 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.5)


@pytest.mark.parametrize("degrees", [0, 30, -75, 90, 180])
def test_eyes_are_level_and_the_nose_in_the_middle(degrees):
    right_eye, left_eye, nose, mouth = landed(face_at(300, 200, 1.7, degrees), MESONET)[:4]
    assert nose == pytest.approx((128, 128), abs=1e-3)
    assert right_eye[1] == pytest.approx(left_eye[1], abs=1e-3)
    assert right_eye[0] < left_eye[0]
    assert mouth[1] > nose[1]


def test_side_is_the_factor_times_the_longer_of_eye_and_eye_mouth_distance():
    right_eye, left_eye = landed(face_at(300, 200), MESONET)[:2]
    assert left_eye[0] - right_eye[0] == pytest.approx(256 / 2.86, abs=1e-3)  # eyes 40, eyes to mouth 40
    long_face = face_at(300, 200)
    long_face.keypoints[3, 1] += 40
    right_eye, left_eye = landed(long_face, MESONET)[:2]
    assert left_eye[0] - right_eye[0] == pytest.approx(256 / 2.86 / 2, abs=1e-3)


def test_box_policy_takes_the_box():
    tilted = face_at(300, 200, 1.0, 40)
    tall = replace(tilted, xyxy=(250, 140, 350, 260))
    crop_of_corner = crop_matrix(tall, BOX) @ (300 - 78, 200 - 78, 1)  # 1.3 x 120 / 2 from the middle
    assert crop_of_corner == pytest.approx((0, 0), abs=1e-6)


def test_no_turn_when_the_policy_wants_none():
    matrix = crop_matrix(face_at(300, 200, 1.0, 40), replace(MESONET, upright=False))
    assert matrix[0, 1] == matrix[1, 0] == 0


def test_crop_shows_what_the_matrix_says():
    image = np.zeros((400, 600, 3), np.uint8)
    face = face_at(310, 190, 0.9, 25)
    for x, y in face.keypoints[:2]:
        cv2.circle(image, (round(float(x) - 0.5), round(float(y) - 0.5)), 3, (255, 255, 255), -1)
    crop = cut(image, face, MESONET).mean(axis=2)
    for x, y in landed(face, MESONET)[:2]:
        rows, columns = np.mgrid[0:256, 0:256]
        near = crop * (np.hypot(columns - x, rows - y) < 30)
        assert (columns * near).sum() / near.sum() + 0.5 == pytest.approx(x, abs=1.5)
        assert (rows * near).sum() / near.sum() + 0.5 == pytest.approx(y, abs=1.5)


@settings(max_examples=60, deadline=None)
@given(x=st.floats(-40, 340), y=st.floats(-40, 240), scale=st.floats(0.3, 1.8), degrees=st.floats(-180, 180))
def test_reading_the_neighbourhood_only_is_as_good_as_reading_all(x, y, scale, degrees):
    image, face, policy = texture((301, 199)), face_at(x, y, scale, degrees), CropPolicy((160, 160))
    matrix = crop_matrix(face, policy)
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    # OpenCV's warp works in 1/32 pixel and rounds from another origin: a pixel moves by an eighth at most.
    whole = cv2.warpAffine(image, matrix, policy.wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    difference = np.abs(cut(image, face, policy).astype(int) - whole)
    assert difference.mean() < 1.5
    assert difference.max() < 40


@pytest.mark.parametrize("corner", [(0, 0), (400, 0), (0, 300), (400, 300)])
def test_beyond_the_edge_lies_the_mirror_image(corner):
    image, face = texture((400, 300)), face_at(*corner, 1.2, 20)
    padded = np.pad(image, ((200, 200), (200, 200), (0, 0)), mode="reflect")
    expected = cut(padded, shifted(face, 200, 200), MESONET)
    assert np.abs(cut(image, face, MESONET).astype(int) - expected).max() <= 2


def test_training_and_serving_cut_alike():
    """A face found in a frame and the same face found in a part of that frame give the same crop."""
    image, face = texture((640, 480)), face_at(320, 240, 0.8, 10)
    part = np.ascontiguousarray(image[140:340, 200:440])
    difference = cut(image, face, MESONET).astype(int) - cut(part, shifted(face, -200, -140), MESONET)
    assert np.abs(difference).max() <= 2


def test_strong_scaling_down_averages_instead_of_picking():
    image = np.zeros((1080, 1920, 3), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 255  # single pixels: anything but grey is aliasing
    crop = cut(image, face_at(960, 540, 8.0, 15), CropPolicy((224, 224)))
    assert crop.std() < 3
    assert crop.mean() == pytest.approx(127.5, abs=2)


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_larger_picture_of_the_same_face_gives_the_same_crop(factor):
    small = cv2.GaussianBlur(astronaut(), (0, 0), 1.0)
    large = cv2.resize(small, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    a = cut(small, face_at(226, 122, 1.0, 5), CropPolicy((112, 112)))
    b = cut(large, face_at(226 * factor, 122 * factor, factor, 5), CropPolicy((112, 112)))
    assert np.abs(a.astype(int) - b).mean() < 2.5


@pytest.mark.parametrize("wh", [(1, 1), (2, 1), (3, 500), (641, 359)])
def test_any_picture_gives_a_crop(wh):
    image = texture(wh)
    for face in (face_at(0, 0), face_at(900, -900, 6.0, 45), face_at(wh[0] / 2, wh[1] / 2, 40.0)):
        crop = cut(image, face, MESONET)
        assert crop.shape == (256, 256, 3)
        assert crop.dtype == np.uint8


def test_crop_is_a_copy():
    image = texture((256, 256))
    before = image.copy()
    cut(image, face_at(128, 128), MESONET)[:] = 0
    assert np.array_equal(image, before)


@pytest.mark.parametrize("policy", [MESONET, BOX, replace(BOX, upright=True)])
def test_face_without_extent_is_an_error(policy):
    with pytest.raises(AnalysisError, match="at least one pixel"):
        cut(texture((64, 64)), Face((5, 5, 5, 5), np.full((6, 2), 5, np.float32), 0.9), policy)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("policy", [MESONET, replace(BOX, upright=True)])
def test_points_that_are_not_finite_are_an_error(policy, value):
    broken = face_at(50, 50)
    broken.keypoints[0] = value
    with pytest.raises(AnalysisError, match="received"):
        cut(texture((100, 100)), broken, policy)
