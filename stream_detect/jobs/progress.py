"""Progress of running jobs, and the pauses that they make while live streams need the machine."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from stream_detect.jobs.queue import Task
from stream_detect.storage.records import Analysis, Annotation

NOTIFY_EVERY_S = 0.25


class JobProgress:
    """Progress of each job, in memory (the database has only states); four notifications per second. Thread-safe.

    Args:
        notify: called with every analysis that changed, on the thread that changed it; must not block.
        clock: monotonic seconds.
    """

    def __init__(self, notify: Callable[[Analysis], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._notify = notify
        self._clock = clock
        self._lock = threading.Lock()  # so that nothing is notified after the end
        self._shares: dict[Task, float] = {}

    def changed(self, analysis: Analysis) -> None:
        """Records a change of state; after the end of an analysis there are no more notifications."""
        with self._lock:
            if analysis.ended:
                self._shares.pop(Task(analysis.id), None)
            self._notify(self.latest(analysis))

    def follow(self, task: Task, analysis: Analysis) -> Callable[[float], None]:
        """Starts to follow a task; returns a function to call with the share done, in [0, 1]. `forget` ends it.

        Args:
            task: the running task.
            analysis: its analysis in the database.
        """
        notified_s = self._clock()
        self._shares[task] = 0.0

        def on_progress(share: float) -> None:
            nonlocal notified_s
            with self._lock:
                if task not in self._shares:
                    return
                self._shares[task] = min(max(share, 0.0), 1.0)
                now_s = self._clock()
                if not task.model and now_s - notified_s >= NOTIFY_EVERY_S:
                    notified_s = now_s
                    self._notify(self.latest(analysis))

        return on_progress

    def forget(self, task: Task) -> None:
        """Stops following a task."""
        with self._lock:
            self._shares.pop(task, None)

    def latest(self, analysis: Analysis) -> Analysis:
        """The analysis with the current share done."""
        share = None if analysis.ended else self._shares.get(Task(analysis.id))
        return analysis if share is None else replace(analysis, done_share=share)

    def latest_annotation(self, annotation: Annotation) -> Annotation:
        """The annotated video with the current share done."""
        share = self._shares.get(Task(annotation.analysis_id, annotation.model))
        return annotation if share is None or annotation.state != "running" else replace(annotation, done_share=share)


MAX_REST_S = 5.0
"""Longest pause after one sample, however long it took."""

ASK_EVERY_S = 0.5


class RestBesideLive:
    """Pauses one job, on its thread, while live streams run.

    Args:
        busy: returns whether live streams run.
        share: share of its time that the job works then, in (0, 1].
        sleep: waits for the given seconds; may return early.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        busy: Callable[[], bool],
        share: float,
        sleep: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._busy = busy
        self._rest_factor = 1.0 / share - 1.0
        self._sleep = sleep
        self._clock = clock
        self._since_s = clock()
        self._asked_s = float("-inf")
        self._is_busy = False

    def give_way(self) -> None:
        """Called between samples: pauses if a live stream runs."""
        now_s = self._clock()
        worked_s = now_s - self._since_s
        if now_s - self._asked_s >= ASK_EVERY_S:
            self._is_busy, self._asked_s = self._busy(), now_s
        if self._is_busy:
            self._sleep(min(worked_s * self._rest_factor, MAX_REST_S))
        self._since_s = self._clock()
