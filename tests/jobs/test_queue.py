"""The job queue: tasks take turns, so that a long one does not block others, and a stop reaches resting tasks."""

import threading
from collections.abc import Callable, Iterator

import pytest

from stream_detect.errors import ReviewCancelledError, StorageError
from stream_detect.jobs.queue import JobQueue, Task, TaskRun
from tests.patience import PATIENCE_S, until

TURN_S = 10.0


class Bench:
    """A queue whose tasks work for the given time, by a clock that tests set."""

    def __init__(self, threads: int = 1) -> None:
        self.now_s, self.at_once = 0.0, threads
        self.steps: list[str] = []
        self.ended: list[str] = []
        self.begun: list[str] = []
        self.put_back: list[str] = []
        self._left = {"long": 1000, "longer": 1000}
        self._step = threading.Condition()
        self._may = 0
        self.queue = JobQueue(self.work, lambda: self.at_once, 20, TURN_S, lambda: self.now_s)
        self.queue.start()

    def work(self, run: TaskRun) -> None:
        name = run.task.analysis_id
        self.begun.append(name)
        try:
            while self._left.get(name, 1) > 0 and not run.is_stopped():
                self._one_step(name)
                run.take_turns()
        except ReviewCancelledError:
            self.put_back.append(name)
        else:
            self.ended.append(name)

    def _one_step(self, name: str) -> None:
        with self._step:
            assert self._step.wait_for(lambda: self._may > 0, PATIENCE_S)
            self._may -= 1
            self._left[name] = self._left.get(name, 1) - 1
            self.now_s += 1.0
            self.steps.append(name)
            self._step.notify_all()

    def go(self, steps: int) -> list[str]:
        """Runs the given number of one-second steps; returns the tasks that made them."""
        before = len(self.steps)
        with self._step:
            self._may += steps
            self._step.notify_all()
        until(lambda: len(self.steps) >= before + steps)
        return self.steps[before:]

    def finish(self, *names: str) -> None:
        """Makes these tasks end with their next step."""
        for name in names:
            self._left[name] = 1


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**options: int) -> Bench:
        made.append(Bench(**options))
        return made[-1]

    yield make
    for each in made:
        each.queue.stop()
        with each._step:
            each._may = 1_000_000
            each._step.notify_all()
        each.queue.close(PATIENCE_S)


def put(bench: Bench, *names: str) -> None:
    bench.queue.put([Task(name) for name in names])


def test_a_long_task_rests_for_short_ones_and_continues_where_it_was(bench):
    desk = bench()
    put(desk, "long")
    assert set(desk.go(30)) == {"long"}  # no other task is waiting: it continues
    put(desk, "a", "b", "c")
    assert desk.go(4) == ["long", "a", "b", "c"]
    assert set(desk.go(5)) == {"long"}
    desk.finish("long")
    desk.go(1)
    until(lambda: "long" in desk.ended)
    assert desk.begun.count("long") == 1


def test_short_tasks_without_end_do_not_starve_a_long_one(bench):
    desk = bench()
    put(desk, "long")
    desk.go(11)
    for number in range(0, 200, 10):
        put(desk, *(f"short-{number + each}" for each in range(10)))
        desk.go(20)
    share = desk.steps.count("long") / len(desk.steps)
    assert 0.3 < share < 0.7


def test_a_second_long_task_is_put_back_and_restarted(bench):
    desk = bench()
    put(desk, "long", "longer")
    desk.go(10)
    desk.go(10)
    put(desk, "short")
    desk.go(12)
    until(lambda: "short" in desk.ended)
    assert desk.put_back == ["longer"]
    desk.finish("long")
    desk.go(1)
    until(lambda: desk.begun.count("longer") == 2)
    assert desk.begun.count("long") == 1


@pytest.mark.parametrize("how", ["drop", "stop"])
def test_a_stop_reaches_a_task_that_rests(bench, how):
    desk = bench()
    put(desk, "long")
    desk.go(11)
    put(desk, "other")
    desk.go(1)
    desk.queue.drop("long") if how == "drop" else desk.queue.stop()
    with desk._step:
        desk._may += 5
        desk._step.notify_all()
    until(lambda: "long" in desk.ended)


def test_two_run_beside_each_other_and_two_more_may_rest(bench):
    desk = bench(threads=2)
    put(desk, "long", "longer")
    until(lambda: len(desk.begun) == 2)
    desk.go(40)
    put(desk, "a", "b")
    desk.go(6)
    until(lambda: {"a", "b"} <= set(desk.ended))
    assert desk.put_back == []
    assert desk.begun.count("long") == desk.begun.count("longer") == 1


def test_more_are_begun_once_more_may_run_at_once(bench):
    desk = bench()
    put(desk, "long", "longer")
    assert desk.go(2) == ["long", "long"]
    desk.at_once = 2
    desk.go(4)
    until(lambda: desk.begun == ["long", "longer"])


def test_a_task_put_back_during_a_database_outage_is_queued_once(monkeypatch):
    monkeypatch.setattr("stream_detect.jobs.queue.AGAIN_S", 0.01)
    begun = []

    def work(run: TaskRun) -> None:
        begun.append(run.task.analysis_id)
        if begun == ["long"]:
            run.put_back = True
            raise StorageError("away")

    queue = JobQueue(work, lambda: 1, 20, TURN_S)
    queue.put([Task("long"), Task("other")])
    queue.start()
    until(lambda: begun.count("long") == 2)
    queue.put([Task("last")])
    until(lambda: "last" in begun and not queue.waiting)
    queue.close(PATIENCE_S)
    assert sorted(begun) == ["last", "long", "long", "other"]
