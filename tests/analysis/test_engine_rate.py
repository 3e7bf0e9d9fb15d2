"""The sampling rate of a stream: how often it is sampled and scored, and which rates are too low."""

from queue import Queue

import numpy as np
import pytest

from stream_detect.analysis.engine import Engine
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector, upright_face
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.errors import SettingsError
from stream_detect.settings import FaceSettings, WindowSettings
from stream_detect.types import Frame, VerdictState

SCENE = np.random.default_rng(7).integers(0, 255, (120, 160, 3), np.uint8)


def frame(time_s):
    """Frames of a camera: all differ, because a still picture is not scored again."""
    rng = np.random.default_rng(round(1000 * time_s))
    noisy = np.clip(SCENE + rng.integers(-6, 7, SCENE.shape), 0, 255)
    return Frame(noisy.astype(np.uint8), time_s, 0.0)


@pytest.fixture
def engine():
    return Engine(
        AnalysisSettings(),
        lambda: ScriptedDetector([upright_face((20, 10, 130, 115))]),
        lambda: ScriptedClassifier(0.95),
    )


def results(engine, rate_hz, length_s=10.0):
    """Results of a 25 fps stream, sampled at the given rate."""
    sampler, pipeline = engine.sampler(rate_hz), engine.pipeline(rate_hz)
    times = [i / 25 for i in range(round(25 * length_s))]
    return [pipeline.step(frame(time_s)) for time_s in times if sampler.wants(time_s)]


@pytest.mark.parametrize(("rate_hz", "scores"), [(1.2, 12), (2, 20), (5, 50), (10, 50), (25, 50), (None, 50)])
def test_scores_come_as_often_as_samples_and_never_faster_than_the_window_wants(engine, rate_hz, scores):
    found = results(engine, rate_hz)
    assert len(found) == round(10 * (rate_hz or 10))
    assert sum(result.tracks[0].score is not None for result in found) == scores
    assert {track.track_id for result in found for track in result.tracks} == {1}  # however long the pauses are
    assert found[-1].verdict.state is VerdictState.FAKE


def test_the_slowest_rate_that_is_taken_reaches_a_verdict(engine):
    assert results(engine, 1.2, length_s=12)[-1].verdict.state is VerdictState.FAKE
    with pytest.raises(SettingsError, match=r"expected a rate_hz of at least 1\.2, received 1\.1"):
        engine.sampler(1.1)


@pytest.mark.parametrize(
    "window",
    [
        WindowSettings(length_s=60, min_scores=48, gap_s=10),
        WindowSettings(length_s=60, gap_s=2.5),
        WindowSettings(length_s=60, expire_s=1.25, gap_s=10),
    ],
)
def test_a_rate_at_which_no_verdict_could_be_reached_is_refused_wherever_it_is_given(window):
    engine = Engine(AnalysisSettings(window=window), lambda: ScriptedDetector([]), lambda: ScriptedClassifier(0.5))
    for give in (engine.sampler, engine.pipeline, lambda rate_hz: engine.worker(print, rate_hz)):
        with pytest.raises(SettingsError, match=r"at least 0\.8, received 0\.7"):
            give(0.7)
    assert engine.sampler(0.8).wants(0.0)


def test_a_worker_analyses_at_its_streams_own_rate():
    settings = AnalysisSettings(faces=FaceSettings(lost_s=0.1))
    engine = Engine(
        settings, lambda: ScriptedDetector([upright_face((20, 10, 130, 115))]), lambda: ScriptedClassifier(0.95)
    )
    found = Queue()
    with engine.worker(found.put, 2.0) as worker:
        for i in range(4):
            worker.submit(lambda i=i: frame(i / 2))
            result = found.get(timeout=60)
    assert result.tracks[0].track_id == 1
    assert len(result.tracks[0].trace) == 4
