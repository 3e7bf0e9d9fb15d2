"""The worker, with real threads and without sleeps: the test holds and releases each step."""

import logging
import threading
from queue import Queue

import numpy as np
import pytest

from stream_detect.analysis.challenge_control import ChallengeControl
from stream_detect.analysis.worker import REMEMBER_S, AnalysisWorker, Health
from stream_detect.errors import AnalysisError
from stream_detect.types import Frame, Result, Verdict, VerdictState
from tests.patience import PATIENCE_S

OK = Verdict(VerdictState.REAL, "steady", 0.1, 12, 12)


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


class Steps:
    """A pipeline whose steps the test observes, and releases one by one if it is `gated`."""

    def __init__(self, *, gated=False):
        self.begun = Queue()
        self.go_on = threading.Semaphore(0 if gated else 1_000_000)
        self.error = None

    def step(self, frame):
        self.begun.put(frame.time_s)
        assert self.go_on.acquire(timeout=PATIENCE_S)
        if self.error is not None:
            raise self.error
        return Result(0, frame.time_s, frame.arrived_s, frame.pts, (8, 6), OK, (), 0.0, 0)


def frame(time_s, arrived_s=99.5):
    return Frame(np.zeros((6, 8, 3), np.uint8), time_s, arrived_s, pts=int(time_s * 90_000))


class Stream:
    """A worker whose results go into a queue."""

    def __init__(self, pipeline_factory, clock=None, health=None):
        self.clock = clock or Clock()
        self.health = health or Health(self.clock)
        self.results = Queue()
        self.worker = AnalysisWorker(pipeline_factory, self.results.put, self.health, self.clock)

    def analyse(self, time_s):
        self.worker.submit(lambda: frame(time_s))
        return self.results.get(timeout=PATIENCE_S)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "analysis"] == []


@pytest.fixture
def steps():
    return Steps()


def test_a_result_is_numbered_and_timed(steps):
    stream = Stream(lambda: steps)
    with stream.worker:
        first, second = stream.analyse(1.0), stream.analyse(1.1)
    assert (first.sequence, second.sequence) == (1, 2)
    assert (first.time_s, first.pts, first.wh, first.error) == (1.0, 90_000, (8, 6), None)
    assert first.latency_s == pytest.approx(0.5)
    assert first.verdict is OK


def test_the_newest_frame_wins_and_the_others_are_counted():
    steps = Steps(gated=True)
    stream = Stream(lambda: steps)
    with stream.worker as worker:
        worker.submit(lambda: frame(0.0))
        assert steps.begun.get(timeout=PATIENCE_S) == 0.0
        for time_s in (1.0, 2.0, 3.0):
            worker.submit(lambda time_s=time_s: frame(time_s))
        steps.go_on.release(2)
        results = [stream.results.get(timeout=PATIENCE_S) for _ in range(2)]
        assert worker.dropped_samples == 2
    assert [(result.time_s, result.dropped_samples) for result in results] == [(0.0, 2), (3.0, 2)]


def test_frames_are_made_on_the_workers_thread_and_only_when_analysed():
    steps = Steps(gated=True)
    stream = Stream(lambda: steps)
    made = []

    def supplier(time_s):
        def make():
            made.append((time_s, threading.current_thread().name))
            return frame(time_s)

        return make

    with stream.worker as worker:
        worker.submit(supplier(0.0))
        steps.begun.get(timeout=PATIENCE_S)
        worker.submit(supplier(1.0))
        worker.submit(supplier(2.0))
        steps.go_on.release(2)
        [stream.results.get(timeout=PATIENCE_S) for _ in range(2)]
    assert made == [(0.0, "analysis"), (2.0, "analysis")]


def test_a_result_without_a_verdict_has_the_challenge_that_goes_on(steps):
    control = ChallengeControl(lambda: None)
    results = Queue()
    steps.error = AnalysisError("the model is gone")
    with AnalysisWorker(lambda: steps, results.put, Health(), challenge=control) as worker:
        for state in (None, "baseline", "stopped"):
            if state == "baseline":
                control.start("anna")
            elif state == "stopped":
                control.stop()
            worker.submit(lambda: frame(1.0))
            result = results.get(timeout=PATIENCE_S)
            assert result.error is not None
            assert (result.challenge and result.challenge.state) == state


def test_close_under_load_ends_the_thread_and_the_results(steps):
    stream = Stream(lambda: steps)
    enough, stop = threading.Event(), threading.Event()

    def camera():
        while not stop.is_set():
            stream.worker.submit(lambda: frame(0.0))
            if stream.results.qsize() > 50:
                enough.set()

    source = threading.Thread(target=camera)
    with stream.worker:
        source.start()
        assert enough.wait(PATIENCE_S)
    delivered = stream.results.qsize()
    stream.worker.submit(lambda: frame(1.0))
    stop.set()
    source.join(PATIENCE_S)
    assert stream.results.qsize() == delivered


def test_close_is_bounded_when_a_model_hangs(caplog):
    steps = Steps(gated=True)
    stream = Stream(lambda: steps)
    stream.worker.start()
    stream.worker.submit(lambda: frame(0.0))
    steps.begun.get(timeout=PATIENCE_S)
    stream.worker.close(timeout_s=0.01)
    assert "did not end" in caplog.text
    steps.go_on.release()
    stream.worker._thread.join(PATIENCE_S)
    assert stream.results.empty()


def test_a_worker_that_never_started_can_be_closed(steps):
    Stream(lambda: steps).worker.close()


def test_a_worker_may_be_closed_from_its_own_callback(steps):
    done = threading.Event()

    def on_result(_):
        worker.close()
        done.set()

    worker = AnalysisWorker(lambda: steps, on_result, Health(Clock()), Clock())
    worker.start()
    worker.submit(lambda: frame(0.0))
    assert done.wait(PATIENCE_S)
    worker.close()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (AnalysisError("the model gave no number"), "analysis unavailable: the model gave no number"),
        (ZeroDivisionError("secret"), "analysis unavailable: unexpected ZeroDivisionError"),
    ],
)
def test_a_failing_analysis_is_reported_without_a_verdict_and_recovers(steps, caplog, error, says):
    caplog.set_level(logging.INFO)
    stream = Stream(lambda: steps)
    with stream.worker:
        assert stream.analyse(0.0).error is None
        steps.error = error
        failed = stream.analyse(0.1)
        assert (failed.error, failed.verdict.state, failed.tracks) == (says, VerdictState.NO_FACE, ())
        assert (failed.sequence, failed.time_s, failed.wh) == (2, 0.1, (8, 6))
        assert stream.health.failing == says
        steps.error = None
        assert stream.analyse(0.2).error == says  # too early to try again
        stream.clock.now_s += 0.5
        assert [stream.analyse(time_s).error for time_s in (0.3, 0.4)] == [None, None]
        assert stream.health.failing is None
        steps.error = error
        assert stream.analyse(0.5).error == says
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO", "ERROR"]


def test_the_failure_of_a_closed_stream_is_forgotten_in_time(steps):
    steps.error = AnalysisError("down")
    stream = Stream(lambda: steps)
    with stream.worker:
        stream.analyse(0.0)
    assert stream.health.failing == "analysis unavailable: down"
    stream.clock.now_s += REMEMBER_S + 1
    assert stream.health.failing is None


def test_retries_are_spread_out_and_bounded(steps, caplog):
    steps.error = AnalysisError("down")
    stream = Stream(lambda: steps)
    tried_s = []
    with stream.worker:
        for tenth in range(400):
            stream.clock.now_s = 100.0 + tenth / 10
            stream.analyse(tenth / 10)
            if not steps.begun.empty():
                tried_s.append(steps.begun.get())
    assert tried_s == pytest.approx([0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 23.5, 31.5, 39.5], abs=0.11)
    assert len(caplog.records) == 1


def test_models_that_cannot_be_loaded_are_tried_again(steps):
    attempts = Queue()

    def factory():
        attempts.put(threading.current_thread().name)
        if attempts.qsize() == 1:
            raise AnalysisError("no such model")
        return steps

    stream = Stream(factory)
    with stream.worker:
        assert stream.analyse(0.0).error == "analysis unavailable: no such model"
        stream.clock.now_s += 1.0
        assert stream.analyse(0.1).error is None
    assert [attempts.get() for _ in range(attempts.qsize())] == ["analysis", "analysis"]


def test_a_picture_that_cannot_be_converted_is_no_failing_of_the_analysis(steps, caplog):
    stream = Stream(lambda: steps)
    with stream.worker as worker:
        stream.analyse(1.0)
        for _ in range(3):
            worker.submit(lambda: 1 / 0)
            broken = stream.results.get(timeout=PATIENCE_S)
            assert "could not be converted" in broken.error
            assert (broken.time_s, broken.verdict.state) == (1.0, VerdictState.NO_FACE)
        assert stream.health.failing is None
        assert stream.analyse(1.3).error is None
    assert len(caplog.records) == 1


def test_a_receiver_that_fails_does_not_end_the_analysis(steps, caplog):
    received = Queue()

    def on_result(result):
        received.put(result.sequence)
        raise RuntimeError("event loop is closed")

    with AnalysisWorker(lambda: steps, on_result, Health(Clock()), Clock()) as worker:
        for expected in (1, 2, 3):
            worker.submit(lambda: frame(0.0))
            assert received.get(timeout=PATIENCE_S) == expected
    assert len(caplog.records) == 1
