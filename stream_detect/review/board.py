"""How far everything is that runs: shares enter, at most four a second are told; the database has the rest."""

import time
from collections.abc import Callable
from dataclasses import replace

from stream_detect.review.line import Task
from stream_detect.storage.records import Analysis, Annotation

TELL_EVERY_S = 0.25


class Board:
    """Safe to use from any thread.

    Args:
        tell: is told of every analysis that changed, on the thread that changed it; must not block.
        clock: monotonic seconds.
    """

    def __init__(self, tell: Callable[[Analysis], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._shares: dict[Task, float] = {}

    def changed(self, analysis: Analysis) -> None:
        """Its state is another one."""
        self._tell(self.latest(analysis))

    def follow(self, task: Task, analysis: Analysis) -> Callable[[float], None]:
        """Takes the shares done of a task that begins, in [0, 1], however often; `forget` ends it.

        Args:
            task: that runs.
            analysis: as it is in the database while it runs.
        """
        told_s = self._clock()
        self._shares[task] = 0.0

        def on_progress(share: float) -> None:
            nonlocal told_s
            self._shares[task] = min(max(share, 0.0), 1.0)
            now_s = self._clock()
            if not task.model and now_s - told_s >= TELL_EVERY_S:
                told_s = now_s
                self._tell(self.latest(analysis))

        return on_progress

    def forget(self, task: Task) -> None:
        """It runs no more."""
        self._shares.pop(task, None)

    def latest(self, analysis: Analysis) -> Analysis:
        """With the share that is done by now."""
        share = None if analysis.ended else self._shares.get(Task(analysis.id))
        return analysis if share is None else replace(analysis, done_share=share)

    def latest_annotation(self, annotation: Annotation) -> Annotation:
        """Likewise."""
        share = self._shares.get(Task(annotation.analysis_id, annotation.model))
        return annotation if share is None or annotation.state != "running" else replace(annotation, done_share=share)
