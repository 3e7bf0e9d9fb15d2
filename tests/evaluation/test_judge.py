"""Judging files: the worst usable face counts, unusable ones have a reason, and videos are judged like a live check."""

import math

import numpy as np
import pytest

from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector, upright_face
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.evaluation.judge import CROP_ITSELF, NO_FACE, FileJudge
from stream_detect.types import Calibration, CropPolicy, Face, Frame

LEFT, RIGHT, SMALL = (
    upright_face((20, 20, 220, 220)),
    upright_face((260, 20, 460, 220)),
    upright_face((300, 300, 330, 330)),
)


@pytest.fixture
def picture():
    """A sharp picture."""
    return np.random.default_rng(1).integers(40, 200, (480, 480, 3)).astype(np.uint8)


def judge(find, *classifiers):
    return FileJudge(
        ScriptedDetector(find), ScriptedDetector(find), classifiers or [ScriptedClassifier(0.5)], AnalysisSettings()
    )


def video(picture, seconds, rate=10):
    """The picture with camera noise: a still picture is not scored again."""
    rng = np.random.default_rng(2)
    noise = (rng.integers(-6, 7, picture.shape) for _ in range(int(seconds * rate)))
    return [Frame(np.clip(picture + each, 0, 255).astype(np.uint8), i / rate, 0.0) for i, each in enumerate(noise)]


def test_the_worst_usable_face_of_a_picture_counts(picture):
    (got,) = judge([LEFT, RIGHT, SMALL], ScriptedClassifier([0.2, 0.7, 0.99])).picture(picture)
    assert (got.fake_probability, got.faces, got.reason) == (pytest.approx(0.7), 3, "")


def test_each_model_is_calibrated_and_cuts_as_it_wants(picture):
    sizes = []
    wide = ScriptedClassifier(lambda crop: sizes.append(crop.shape) or 0.5, CropPolicy((96, 80)), Calibration(2.0, 1.0))
    first, second = judge([LEFT], ScriptedClassifier(0.3), wide).picture(picture)
    assert first.fake_probability == pytest.approx(0.3)
    assert second.fake_probability == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert sizes == [(80, 96, 3)]


def test_the_largest_refused_face_gives_the_reason(picture):
    dark = (picture * 0.05).astype(np.uint8)
    (got,) = judge([SMALL, LEFT]).picture(dark)
    assert (got.fake_probability, got.faces, got.reason) == (None, 2, "too dark")
    (got,) = judge([]).picture(picture)
    assert (got.fake_probability, got.faces, got.reason) == (None, 0, NO_FACE)


def test_a_face_without_a_square_is_unusable(picture):
    flat = Face(LEFT.xyxy, np.full((6, 2), 100, np.float32), 0.9)
    (got,) = judge([flat]).picture(picture)
    assert got.fake_probability is None
    assert got.reason


def test_a_crop_is_padded_found_again_and_aligned(crop):
    seen = []
    found = upright_face((224 + 40, 224 + 40, 448 - 40, 448 - 40))

    def find(image):
        seen.append(image)
        return [found]

    crops = []
    classifier = ScriptedClassifier(lambda cut: crops.append(cut) or 0.6)
    (got,) = judge(find, classifier).crop(crop)
    assert (got.fake_probability, got.faces, got.reason) == (pytest.approx(0.6), 1, "")
    assert seen[0].shape == (672, 672, 3)
    assert np.array_equal(seen[0][224:448, 224:448], crop)
    assert crops[0].shape == (64, 64, 3)


def test_a_crop_without_a_face_is_judged_itself_and_counted_apart(crop):
    crops = []
    classifier = ScriptedClassifier(lambda cut: crops.append(cut) or 0.6)
    (got,) = judge([], classifier).crop(crop)
    assert (got.fake_probability, got.faces, got.reason) == (pytest.approx(0.6), 0, CROP_ITSELF)
    assert got.crop_itself
    assert np.abs(crops[0].mean((0, 1)) - crop.mean((0, 1))).max() < 1


def test_the_real_detector_finds_a_real_crop_again(crop):
    from stream_detect.analysis.detector import BlazeFace  # noqa: PLC0415 - OpenVINO for this one

    detector = BlazeFace("full", 0.3, 8)
    (got,) = FileJudge(detector, detector, [ScriptedClassifier(0.4)], AnalysisSettings()).crop(crop)
    assert (got.faces, got.crop_itself) == (1, False)


def test_a_video_s_score_is_the_robust_mean_of_its_frames(picture):
    # Scored at 5 Hz: 20 scores of .3 except two outliers, which the window's mean trims.
    scores = [0.3] * 20
    scores[4], scores[9] = 0.99, 0.999
    (got,) = judge([LEFT], ScriptedClassifier(scores)).video(video(picture, 4))
    assert len(got.frames) == 20
    assert max(got.frames) == pytest.approx(0.99)
    assert got.fake_probability == pytest.approx(0.3, abs=1e-6)
    assert got.length_s == pytest.approx(3.9)


def test_the_worst_face_of_a_video_counts_but_not_who_passes_by(picture):
    passing = upright_face((30, 260, 200, 430))
    frames = video(picture, 4)

    def find(image):
        find.calls += 1
        return [LEFT, RIGHT, passing] if find.calls <= 3 else [LEFT, RIGHT]

    find.calls = 0
    order = []

    def score(crop):
        order.append(crop)
        number = len(order)
        if number <= 6:  # twice three faces
            return (0.1, 0.6, 0.95)[(number - 1) % 3]
        return (0.1, 0.6)[(number - 1) % 2]

    (got,) = judge(find, ScriptedClassifier(score)).video(frames)
    assert got.faces == 3
    assert got.fake_probability == pytest.approx(0.6)
    assert got.frames[0] == pytest.approx(0.95)


def test_a_short_video_is_judged_by_what_there_is(picture):
    (got,) = judge([LEFT], ScriptedClassifier(0.7)).video(video(picture, 0.5))
    assert got.fake_probability == pytest.approx(0.7)


def test_all_models_share_the_faces_of_a_video(picture):
    detector = ScriptedDetector([LEFT])
    both = [ScriptedClassifier(0.2), ScriptedClassifier(0.9)]
    first, second = FileJudge(detector, detector, both, AnalysisSettings()).video(video(picture, 3))
    assert detector.calls == 30
    assert (first.fake_probability, second.fake_probability) == (pytest.approx(0.2), pytest.approx(0.9))
    # Only the second one's badge turns to FAKE, once.
    assert (first.alarms, second.alarms) == (0, 1)


@pytest.mark.parametrize(("face", "reason"), [([], NO_FACE), ([SMALL], "face too small")])
def test_a_video_without_a_usable_face_has_its_reason(picture, face, reason):
    (got,) = judge(face).video(video(picture, 2))
    assert (got.fake_probability, got.frames, got.reason) == (None, (), reason)
