"""The queue of jobs, and its threads: each task is run once, in turns if it takes long.

The queue is bounded: if it is full, a task is refused with a time to try again. New tasks run in their order, each for
one turn. A task that needs more is long: it pauses while others wait, and long tasks share half of the time. No more
long tasks are begun than may run at once; a task that turns out to be long beyond that is put back and begins anew.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stream_detect.backoff import Outage
from stream_detect.errors import CapacityError, ReviewCancelledError, StorageError

RETRY_AFTER_S = 60
AGAIN_S = 10.0
"""Pause between attempts while the database cannot be used."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """A task of an analysis.

    Args:
        analysis_id: id of the analysis.
        model: model whose annotated video is to be made; empty for the analysis itself.
    """

    analysis_id: str
    model: str = ""


class TaskRun:
    """A task that runs on a thread.

    Args:
        task: the task.
        queue: queue in which it takes turns.
        is_long: whether it needed more than one turn before.
    """

    def __init__(self, task: Task, queue: "JobQueue", *, is_long: bool = False) -> None:
        self.task = task
        self.stop = threading.Event()
        """Set when the task must end soon."""
        self.put_back = False
        """Whether it must end soon, to start again later."""
        self.is_long = is_long
        self.turn_began_s = 0.0
        self.may_go_on = threading.Event()
        self._queue = queue

    @property
    def closing(self) -> bool:
        """Whether it must end because the server stops."""
        return self._queue.is_closing

    @property
    def goes_on_later(self) -> bool:
        """Whether its state must be restored to that before its start."""
        return self.put_back or self.closing

    def is_stopped(self) -> bool:
        """Whether it must end."""
        return self.stop.is_set()

    def take_turns(self) -> None:
        """Called now and then: pauses while it is another task's turn.

        Raises:
            ReviewCancelledError: the task is put back.
        """
        self._queue.take_turns(self)


class JobQueue:
    """Waiting, running and paused tasks. Its threads are daemons, so a hanging task does not keep the process alive.

    Args:
        work: runs a task; handles all expected errors.
        at_once: returns how many tasks may run at once now, at least one; must not block.
        max_waiting: maximum number of waiting tasks.
        turn_s: how long a task runs while others wait.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        work: Callable[[TaskRun], None],
        at_once: Callable[[], int],
        max_waiting: int,
        turn_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work = work
        self._at_once = at_once
        self._max_waiting = max_waiting
        self._turn_s = turn_s
        self._clock = clock
        self._new: deque[Task] = deque()
        self._long: deque[Task] = deque()
        self._resting: deque[TaskRun] = deque()
        self._begun: deque[TaskRun] = deque()
        self._running: list[TaskRun] = []
        self._active = 0
        self._new_took_s = 0.0
        self._reserved = 0
        self._is_started = False
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []  # as many as tasks were running or paused at once so far

    def start(self) -> None:
        """Starts to run tasks."""
        with self._changed:
            self._is_started = True
            self._dispatch()

    @contextlib.contextmanager
    def places(self, count: int) -> Iterator[None]:
        """Reserves places for tasks; call `put` inside.

        Raises:
            CapacityError: there are not enough free places.
        """
        with self._changed:
            if self.waiting + self._reserved + count > self._max_waiting:
                raise CapacityError(
                    f"expected at most {self._max_waiting} waiting analyses (review.max_waiting), and {self.waiting} "
                    "are waiting; try again when some are done",
                    RETRY_AFTER_S,
                )
            self._reserved += count
        try:
            yield
        finally:
            with self._changed:
                self._reserved -= count

    def put(self, tasks: Sequence[Task]) -> None:
        """Adds tasks at the end, except those that wait already."""
        with self._changed:
            self._new.extend(task for task in tasks if task not in self._new and task not in self._long)
            self._dispatch()

    def has(self, task: Task) -> bool:
        """Whether a task is waiting, running or paused."""
        with self._changed:
            return task in self._new or task in self._long or any(run.task == task for run in self._running)

    def drop(self, analysis_id: str) -> None:
        """Removes the tasks of an analysis and stops running ones; does not wait."""
        with self._changed:
            self._new = deque(task for task in self._new if task.analysis_id != analysis_id)
            self._long = deque(task for task in self._long if task.analysis_id != analysis_id)
            for run in self._running:
                if run.task.analysis_id == analysis_id:
                    self._stop(run)

    @property
    def waiting(self) -> int:
        """Number of waiting tasks."""
        return len(self._new) + len(self._long)

    @property
    def is_closing(self) -> bool:
        """Whether the queue is closing."""
        return self._closing.is_set()

    def stop(self) -> None:
        """Makes all tasks end soon; does not wait."""
        with self._changed:
            self._closing.set()
            for run in self._running:
                self._stop(run)
            self._changed.notify_all()

    def close(self, within_s: float) -> None:
        """Stops, waiting at most `within_s`."""
        self.stop()
        until_s = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(until_s - time.monotonic(), 0.0))
            if thread.is_alive():
                log.warning("%s did not stop within %.1f s; the process ends anyway", thread.name, within_s)

    def take_turns(self, run: TaskRun) -> None:
        """See `TaskRun.take_turns`."""
        with self._changed:
            if self._active < self._at_once():  # more may run than when this one started
                self._dispatch()
            others = self._new or self._resting or (self._long and not run.is_long)
            if not others or run.stop.is_set() or self._clock() - run.turn_began_s < self._turn_s:
                return
            if not run.is_long and self._long_runs() >= self._at_once():
                self._count(run)
                run.put_back = True
                raise ReviewCancelledError("put back in the queue: others are waiting")
            run.is_long = True
            run.may_go_on.clear()
            self._resting.append(run)
            self._active -= 1
            self._dispatch()
        run.may_go_on.wait()

    def _long_runs(self) -> int:
        return sum(run.is_long for run in self._running)

    def _stop(self, run: TaskRun) -> None:
        """Stops a task; a paused one resumes to end, in addition to the running ones."""
        run.stop.set()
        if run in self._resting:
            self._resting.remove(run)
            self._active += 1
            run.may_go_on.set()

    def _count(self, run: TaskRun) -> None:
        """Adds the time that new tasks used; long tasks, if any, get as much."""
        if not run.is_long:
            self._new_took_s += min(self._clock() - run.turn_began_s, self._turn_s)

    def _dispatch(self) -> None:
        """Assigns free threads to the next tasks. Call with the lock held."""
        may_run = self._is_started and not self.is_closing
        while may_run and self._active < self._at_once() and (run := self._next()) is not None:
            self._active += 1
            run.turn_began_s = self._clock()
            if run in self._running:
                run.may_go_on.set()
            else:
                self._running.append(run)
                self._begun.append(run)
        while len(self._threads) < len(self._running):
            thread = threading.Thread(target=self._take, name=f"review-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._changed.notify_all()

    def _next(self) -> TaskRun | None:
        """A new task, or a long one if it is their turn."""
        if self._new and (self._new_took_s < self._turn_s or not (self._resting or self._long)):
            return TaskRun(self._new.popleft(), self)
        self._new_took_s = 0.0
        if self._resting:
            return self._resting.popleft()
        return TaskRun(self._long.popleft(), self, is_long=True) if self._long else None

    def _take(self) -> None:
        outage = Outage(log, "the queue of analyses")
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._begun or self.is_closing)
                if self.is_closing:
                    return
                run = self._begun.popleft()
            try:
                self._work(run)
            except StorageError as error:
                outage.failed(f"{run.task} is tried again in {AGAIN_S:.0f} s: {error}")
                self._closing.wait(AGAIN_S)
                if not run.put_back:  # otherwise it is appended below, and must not run twice
                    self.put([run.task])
            except Exception:  # top of the thread: one failing job must not end the others
                log.exception("%s failed", run.task)
            else:
                outage.ended()
            finally:
                with self._changed:
                    if not run.put_back:
                        self._count(run)
                    self._running.remove(run)
                    self._active -= 1
                    if run.put_back:
                        self._long.append(run.task)
                    self._dispatch()
