"""Jobs: submits, queues, follows, cancels and deletes analyses, and continues them after a restart.

A job is a row in the database; the next start begins anew those that had not ended.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stream_detect.errors import ConflictError, NotFoundError, ReviewCancelledError, StorageError
from stream_detect.jobs.incoming import ReceivedFile
from stream_detect.jobs.queue import JobQueue, Task, TaskRun
from stream_detect.jobs.reviewer import Reviewer
from stream_detect.jobs.work import AnalysisStores, Work
from stream_detect.settings import ReviewSettings
from stream_detect.storage.records import Analysis, AnalysisState, Annotation, Page, Upload, new_id

UPKEEP_S = 3600.0
DAY_S = 86_400.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """How submitted files are judged.

    Args:
        models: names and sha256 of the bundles, at least one.
        rate_hz: samples per second.
    """

    models: tuple[tuple[str, str], ...]
    rate_hz: float


class Jobs:
    """All jobs. Thread-safe; calls that use the disk block.

    Args:
        kept: stores of analyses.
        reviewer: examines the files.
        settings: limits.
    """

    def __init__(self, kept: AnalysisStores, reviewer: Reviewer, settings: ReviewSettings) -> None:
        self._analyses, self._library, self._progress = kept.analyses, kept.library, kept.progress
        self._settings = settings
        self._work = Work(kept, reviewer)
        self._reviewer = reviewer
        self.queue = JobQueue(self._run, lambda: reviewer.at_once, settings.max_waiting, settings.turn_s)
        self._unwanted: set[str] = set()  # to be deleted once the database can be used
        self._closing = threading.Event()
        self._upkeep = threading.Thread(target=self._keep_tidy, name="review-upkeep", daemon=True)

    def start(self) -> None:
        """Removes what a killed process left, resumes unfinished jobs, and starts to work.

        Raises:
            StorageError: the database or the folder cannot be used.
        """
        self._library.sweep(self._analyses.keeping_files())
        tasks = []
        for analysis in self._analyses.unfinished():
            self._analyses.change(replace(analysis, state="queued", started_s=None), (analysis.state,))
            tasks.append(Task(analysis.id))
        for asked in self._analyses.unfinished_annotations():
            self._analyses.put_annotation(replace(asked, state="queued"))
            tasks.append(Task(asked.analysis_id, asked.model))
        self.queue.put(tasks)
        self.queue.start()
        self._upkeep.start()

    def stop(self) -> None:
        """Makes all jobs end soon; does not wait."""
        self._closing.set()
        self.queue.stop()

    def close(self, within_s: float) -> None:
        """Stops, waiting at most `within_s`; running jobs start again with the next server."""
        self.stop()
        self.queue.close(within_s)
        self._reviewer.close()

    def submit(self, files: Sequence[ReceivedFile], options: ReviewOptions) -> tuple[Analysis, ...]:
        """Accepts all files or none; files judged before get their results at once.

        Raises:
            CapacityError: too many jobs wait.
            StorageError: they cannot be stored.
        """
        now_s = time.time()
        made = [
            Analysis(
                new_id(now_s), "queued", Upload(f.name, f.bytes, f.sha256), "", *_of(options), now_s, kept_bytes=f.bytes
            )
            for f in files
        ]
        with self.queue.places(len(made)):
            with contextlib.ExitStack() as undo:
                for analysis, file in zip(made, files, strict=True):
                    undo.callback(self._library.delete, analysis.id)
                    self._library.take(file, analysis.id)
                self._put(made)
                undo.pop_all()
            answered = tuple(map(self._answered, made))
            self.queue.put([Task(analysis.id) for analysis in answered if not analysis.ended])
        return answered

    def _answered(self, analysis: Analysis) -> Analysis:
        try:
            return self._work.from_earlier(analysis) or analysis
        except (StorageError, ReviewCancelledError):  # it is stored: the queue will do it
            return analysis

    def check_place(self) -> None:
        """Called before an upload is read.

        Raises:
            CapacityError: too many jobs wait.
        """
        with self.queue.places(1):
            pass

    def submit_address(self, address: str, shown: str, name: str, options: ReviewOptions) -> Analysis:
        """Accepts an address from which to fetch a file.

        Args:
            address: checked.
            shown: the address without secrets.
            name: file name for people.
            options: how to judge it.

        Raises:
            CapacityError: too many jobs wait.
            StorageError: it cannot be stored.
        """
        now_s = time.time()
        analysis = Analysis(new_id(now_s), "queued", Upload(name, 0, ""), shown, *_of(options), now_s, address=address)
        with self.queue.places(1):
            self._put([analysis])
            self.queue.put([Task(analysis.id)])
        return analysis

    def _put(self, made: Sequence[Analysis]) -> None:
        """Inserts analyses, all or none. After an error nothing stays, even if only the database's answer was lost."""
        try:
            self._analyses.put(made)
        except StorageError:
            self._delete_later([analysis.id for analysis in made])
            raise

    def get(self, analysis_id: str) -> Analysis:
        """Returns an analysis in its current state.

        Raises:
            NotFoundError: there is no such analysis.
        """
        return self._progress.latest(self._analyses.get(analysis_id))

    def done(self, analysis_id: str) -> Analysis:
        """Returns a finished analysis.

        Raises:
            NotFoundError: there is no such analysis.
            ConflictError: it is in another state.
        """
        analysis = self.get(analysis_id)
        if analysis.state != "done":
            why = f": {analysis.problem}" if analysis.problem else ""
            raise ConflictError(f"expected an analysis that is done, received one that is {analysis.state}{why}")
        return analysis

    def page(self, search: str, state: AnalysisState | None, cursor: str | None, limit: int) -> Page[Analysis]:
        """Returns a page of analyses, newest first; see `Analyses.page`."""
        found = self._analyses.page(search, state, cursor, limit)
        return replace(found, items=tuple(map(self._progress.latest, found.items)))

    def cancel(self, analysis_id: str) -> Analysis:
        """Cancels an analysis; its files are deleted.

        Raises:
            NotFoundError: there is no such analysis.
            ConflictError: it has ended.
        """
        analysis = self.get(analysis_id)
        cancelled = replace(analysis, state="cancelled", ended_s=analysis.moment(time.time()), address="", kept_bytes=0)
        if not self._analyses.change(cancelled, ("queued", "fetching", "running")):
            raise ConflictError(f"the analysis has ended ({self.get(analysis_id).state}): there is nothing to cancel")
        self._end(cancelled)
        return cancelled

    def delete(self, analysis_id: str) -> None:
        """Deletes an analysis, its file and its results.

        Raises:
            NotFoundError: there is no such analysis.
            StorageError: the database cannot be used; it is deleted once it can.
        """
        try:
            gone = self._analyses.delete(analysis_id)
        except StorageError:
            self._delete_later([analysis_id])
            raise
        self._end_deleted(gone)

    def _delete_later(self, ids: Sequence[str]) -> None:
        """Lets the queue delete analyses, which tries again while the database is away.

        Whether they are in the database is unknown: it may have committed a change whose answer was lost. No more than
        `review.max_waiting` wait for it.
        """
        if len(self._unwanted) + len(ids) > self._settings.max_waiting:
            _log.warning("the database is away: analyses %s may have to be deleted again", ", ".join(ids))
            return
        self._unwanted.update(ids)
        self.queue.put([Task(analysis_id) for analysis_id in ids])

    def _run(self, run: TaskRun) -> None:
        """Runs a task of the queue.

        Raises:
            StorageError: the database cannot be used now.
        """
        analysis_id = run.task.analysis_id
        if analysis_id not in self._unwanted:
            self._work.run(run)
            return
        try:
            self._end_deleted(self._analyses.delete(analysis_id))
        except NotFoundError:
            self.queue.drop(analysis_id)
            self._library.delete(analysis_id)
        self._unwanted.discard(analysis_id)

    def _end_deleted(self, gone: Analysis) -> None:
        self._end(replace(gone, state="cancelled", ended_s=gone.moment(time.time())), was_ended=gone.ended)

    def _end(self, analysis: Analysis, *, was_ended: bool = False) -> None:
        """Stops its tasks, notifies its followers and deletes its files; the database is updated already."""
        self.queue.drop(analysis.id)
        if not was_ended:
            self._progress.changed(analysis)
        self._library.delete(analysis.id)

    def annotate(self, analysis_id: str, model: str | None) -> Annotation:
        """Starts to make the annotated video, unless it exists or is being made.

        Args:
            analysis_id: id of the analysis.
            model: model whose verdicts are drawn; None for the first.

        Raises:
            NotFoundError: there is no such analysis, or that model did not judge it.
            ConflictError: it is not done.
            CapacityError: too many jobs wait.
        """
        analysis = self.done(analysis_id)
        known = self.annotation(analysis_id, model)
        asked = Annotation(analysis_id, analysis.models[analysis.number_of(model)][0], "queued", time.time())
        task = Task(analysis_id, asked.model)
        # It can be in the database and not in the queue: stored by a request whose answer from the database was lost.
        if known is not None and (known.state == "done" or (known.state != "failed" and self.queue.has(task))):
            return known
        with self.queue.places(1):
            if not self._analyses.put_annotation(asked):
                raise NotFoundError("the analysis has just been deleted")
            self.queue.put([task])
        return asked

    def annotation(self, analysis_id: str, model: str | None) -> Annotation | None:
        """State of the annotated video; None if it was not requested.

        Raises:
            NotFoundError: there is no such analysis, or that model did not judge it.
            ConflictError: it is not done.
        """
        analysis = self.done(analysis_id)
        known = self._analyses.annotation(analysis_id, analysis.models[analysis.number_of(model)][0])
        return known and self._progress.latest_annotation(known)

    def _keep_tidy(self) -> None:
        """Deletes old analyses from time to time."""
        while True:
            try:
                self._delete_old(time.time() - self._settings.keep_days * DAY_S)
            except StorageError as error:
                _log.warning("old analyses were not deleted; trying again in an hour: %s", error)
            except Exception:  # noqa: BLE001 - the thread's edge: a failure may not occur again in an hour
                _log.exception("old analyses were not deleted; trying again in an hour")
            if self._closing.wait(UPKEEP_S):
                return

    def _delete_old(self, before_s: float) -> None:
        """Deletes all analyses that ended before that time, some at a time."""
        while not self._closing.is_set() and self._analyses.may_expire() and (old := self._analyses.old(before_s)):
            for analysis_id in old:
                with contextlib.suppress(NotFoundError):
                    self.delete(analysis_id)


def _of(options: ReviewOptions) -> tuple[tuple[tuple[str, str], ...], float]:
    return options.models, options.rate_hz
