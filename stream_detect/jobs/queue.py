"""The waiting line of jobs, and the threads that take from it: tasks enter, each is run once, and can be told to stop.

Bounded: what finds no place is refused, with the time to try again. The order is that of arrival.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from stream_detect.errors import CapacityError, StorageError

RETRY_AFTER_S = 60
AGAIN_S = 10.0
"""While the database is away."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done.

    Args:
        analysis_id: for which analysis.
        model: make the annotated video of this one; empty: the analysis itself.
    """

    analysis_id: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class TaskRun:
    """A task on a thread.

    Args:
        task: which one.
        stop: set when it shall end soon.
        closing: set when it shall end because the server does.
    """

    task: Task
    closing: threading.Event
    stop: threading.Event = field(default_factory=threading.Event)

    def is_stopped(self) -> bool:
        """Whether it shall end."""
        return self.stop.is_set()


class JobQueue:
    """Threads are daemons: one that hangs in a decoder does not keep the process from its end.

    Args:
        work: does a task; raises nothing that it foresaw.
        threads: tasks at once.
        max_waiting: tasks that wait.
    """

    def __init__(self, work: Callable[[TaskRun], None], threads: int, max_waiting: int) -> None:
        self._work = work
        self._max_waiting = max_waiting
        self._waiting: deque[Task] = deque()
        self._running: list[TaskRun] = []
        self._reserved = 0
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._take, name=f"review-{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        """Begins to work."""
        for thread in self._threads:
            thread.start()

    @contextlib.contextmanager
    def places(self, count: int) -> Iterator[None]:
        """Holds places while what takes them is made; `put` inside.

        Raises:
            CapacityError: so many are not free.
        """
        with self._changed:
            if len(self._waiting) + self._reserved + count > self._max_waiting:
                raise CapacityError(
                    f"{len(self._waiting)} analyses wait, and {self._max_waiting} may (review.max_waiting); "
                    "try again when some are done",
                    RETRY_AFTER_S,
                )
            self._reserved += count
        try:
            yield
        finally:
            with self._changed:
                self._reserved -= count

    def put(self, tasks: Sequence[Task]) -> None:
        """Adds tasks at the end; one that waits already is not added again."""
        with self._changed:
            self._waiting.extend(task for task in tasks if task not in self._waiting)
            self._changed.notify_all()

    def drop(self, analysis_id: str) -> None:
        """Takes an analysis's tasks out, and has those that run stop; does not wait for it."""
        with self._changed:
            self._waiting = deque(task for task in self._waiting if task.analysis_id != analysis_id)
            for run in self._running:
                if run.task.analysis_id == analysis_id:
                    run.stop.set()

    @property
    def waiting(self) -> int:
        """Tasks that wait."""
        return len(self._waiting)

    def stop(self) -> None:
        """Has all of it end soon; does not wait for it."""
        with self._changed:
            self._closing.set()
            for run in self._running:
                run.stop.set()
            self._changed.notify_all()

    def close(self, within_s: float) -> None:
        """Stops, and waits so long at most."""
        self.stop()
        until_s = time.monotonic() + within_s
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(until_s - time.monotonic(), 0.0))
                if thread.is_alive():
                    log.warning("%s did not stop within %.1f s; the process ends all the same", thread.name, within_s)

    def _take(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
                if self._closing.is_set():
                    return
                run = TaskRun(self._waiting.popleft(), self._closing)
                self._running.append(run)
            try:
                self._work(run)
            except StorageError as error:
                log.warning("%s is tried again in %.0f s: %s", run.task, AGAIN_S, error)
                self._closing.wait(AGAIN_S)
                self.put([run.task])
            except Exception:  # the thread's edge: one job must not end all others
                log.exception("%s failed", run.task)
            finally:
                with self._changed:
                    self._running.remove(run)
