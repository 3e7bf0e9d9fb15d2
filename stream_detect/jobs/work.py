"""The work on one task of the queue: fetches its file, has it examined or annotated, and stores the results.

Files are written before the database refers to them: a process that is killed leaves an unfinished analysis, which the
next start begins anew.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from stream_detect.errors import NotFoundError, ReviewCancelledError, StorageError, StreamDetectError
from stream_detect.jobs.library import ORIGINAL, RESULTS, Library, annotated_name, flagged_name, map_name
from stream_detect.jobs.progress import JobProgress
from stream_detect.jobs.queue import TaskRun
from stream_detect.jobs.reviewer import Reviewer
from stream_detect.media.credentials import NO_CREDENTIALS, Credentials
from stream_detect.review.examination import Hooks
from stream_detect.review.results import Reviewed, with_head
from stream_detect.storage.analyses import Analyses
from stream_detect.storage.records import Analysis, AnalysisState

MAX_ATTEMPTS = 3
"""A file that crashes the process would otherwise do so at each start."""

_ENDED_WITH_IT = f"the server ended {MAX_ATTEMPTS} times during this analysis; it is not started again"
_UNFORESEEN = "this failed unexpectedly; the server's log says more"
_UNDER_WAY: tuple[AnalysisState, ...] = ("queued", "fetching", "running")

log = logging.getLogger(__name__)


class _DatabaseError(StorageError):
    """The database did not respond, or its answer was lost. This says nothing about the file: the task is repeated."""


@dataclass(frozen=True, slots=True)
class AnalysisStores:
    """Stores of analyses.

    Args:
        analyses: table in the database.
        library: their files.
        progress: progress of running ones.
    """

    analyses: Analyses
    library: Library
    progress: JobProgress


class Work:
    """Runs the tasks of the queue, on its threads.

    Args:
        kept: stores of analyses.
        reviewer: examines the files.
    """

    def __init__(self, kept: AnalysisStores, reviewer: Reviewer) -> None:
        self._analyses, self._library, self._progress = kept.analyses, kept.library, kept.progress
        self._reviewer = reviewer

    def run(self, run: TaskRun) -> None:
        """Runs a task, unless it was cancelled or deleted meanwhile.

        Raises:
            StorageError: the database cannot be used now.
        """
        try:
            analysis = self._analyses.get(run.task.analysis_id)
            if run.task.model:
                self._annotate(analysis, run)
            elif analysis.ended:  # by an attempt whose answer from the database was lost
                self._progress.changed(analysis)
                if analysis.state != "done":
                    self._library.delete(analysis.id)
            else:
                self._analyse(analysis, run)
        except NotFoundError:
            return
        finally:
            self._progress.forget(run.task)

    def from_earlier(self, analysis: Analysis) -> Analysis | None:
        """Uses an earlier result for the same bytes; None if there is none.

        Raises:
            StorageError: the database cannot be used.
        """
        with _database():
            same = self._analyses.find_same(analysis.upload.sha256, analysis.models, analysis.rate_hz)
        if same is None or not _still_holds(same.credentials):
            return None
        upload = replace(same.upload, name=analysis.upload.name)
        try:
            self._library.share(same.id, analysis.id)
            results = self._library.path(same.id, RESULTS).read_text(encoding="utf-8")
            self._library.write(analysis.id, RESULTS, _put(with_head(results, analysis.id, upload)))
        except (StorageError, NotFoundError, OSError):  # just deleted, or not enough space: it is examined again
            return None
        return self._done(
            replace(analysis, upload=upload, verdict=same.verdict, same_as=same.id, credentials=NO_CREDENTIALS)
        )

    def _analyse(self, analysis: Analysis, run: TaskRun) -> None:
        try:
            _check_attempts(analysis.attempts)
            if analysis.address:
                analysis = self._entered(analysis, "fetching")
                analysis = self._fetched(analysis, run)
            if self.from_earlier(analysis):
                return
            analysis = self._entered(analysis, "running")
            hooks = _hooks(run, self._progress.follow(run.task, analysis))
            file, names = self._library.path(analysis.id, ORIGINAL), [name for name, _ in analysis.models]
            self._keep(analysis, self._reviewer.review(file, names, analysis.rate_hz, hooks))
        except _DatabaseError:
            raise
        except ReviewCancelledError:
            self._left(analysis, run)
        except StreamDetectError as error:
            self._failed(analysis, str(error))
        except Exception:  # top of the job: for any error, people must see that it failed
            log.exception("analysis %s failed", analysis.id)
            self._failed(analysis, _UNFORESEEN)

    def _entered(self, analysis: Analysis, state: AnalysisState) -> Analysis:
        attempts = analysis.attempts + (analysis.state == "queued")
        entered = replace(
            analysis, state=state, started_s=analysis.moment(time.time()), attempts=attempts, done_share=0.0
        )
        if not self._changed(entered):
            raise ReviewCancelledError("cancelled before it began")
        self._progress.changed(entered)
        return entered

    def _fetched(self, analysis: Analysis, run: TaskRun) -> Analysis:
        incoming = self._library.incoming(analysis.upload.name)
        try:
            hooks = _hooks(run, self._progress.follow(run.task, analysis))
            received = self._reviewer.fetch(analysis.address, incoming, hooks)
            self._library.take(received, analysis.id)
        finally:
            incoming.discard()
        upload = replace(analysis.upload, bytes=received.bytes, sha256=received.sha256)
        return replace(analysis, upload=upload, address="")

    def _keep(self, analysis: Analysis, reviewed: Reviewed) -> None:
        for number, model in enumerate(reviewed.models):
            for flagged in model.flagged:
                self._library.write(analysis.id, flagged_name(number, flagged.n), _put([flagged.picture]))
                if flagged.heat_map is not None:
                    self._library.write(analysis.id, map_name(number, flagged.n), _put([flagged.heat_map]))
        upload = reviewed.completed(analysis.upload)
        parts = reviewed.json_parts(analysis.id, analysis.upload)
        self._library.write(analysis.id, RESULTS, _put(part.encode() for part in parts))
        models = tuple((model.judge.name, model.judge.sha256) for model in reviewed.models)
        self._done(
            replace(
                analysis, upload=upload, models=models, verdict=str(reviewed.verdict), credentials=reviewed.credentials
            )
        )

    def _done(self, analysis: Analysis) -> Analysis:
        ended_s = analysis.moment(time.time())
        done = replace(
            analysis,
            state="done",
            started_s=analysis.started_s or ended_s,
            ended_s=ended_s,
            done_share=1.0,
            kept_bytes=self._library.bytes_of(analysis.id),
        )
        if not self._changed(done):
            raise ReviewCancelledError("cancelled shortly before its end")
        self._progress.changed(done)
        return done

    def _failed(self, analysis: Analysis, problem: str) -> None:
        ended_s = analysis.moment(time.time())
        failed = replace(analysis, state="failed", ended_s=ended_s, problem=problem, address="", kept_bytes=0)
        if self._changed(failed):
            self._progress.changed(failed)
        self._library.delete(analysis.id)

    def _left(self, analysis: Analysis, run: TaskRun) -> None:
        """A task that was stopped: it waits for the next start or its turn, or was cancelled or deleted."""
        waiting = replace(analysis, state="queued", started_s=None, attempts=max(analysis.attempts - 1, 0))
        if not (run.goes_on_later and self._changed(waiting)):
            self._library.delete(analysis.id)
        elif run.put_back:
            self._progress.changed(waiting)

    def _changed(self, analysis: Analysis) -> bool:
        """Writes the new state of an analysis; False if it was cancelled or deleted meanwhile."""
        with _database():
            return self._analyses.change(analysis, _UNDER_WAY)

    def _annotate(self, analysis: Analysis, run: TaskRun) -> None:
        asked = self._analyses.annotation(analysis.id, run.task.model)
        if asked is None or asked.state == "done":
            return
        attempts, size = asked.attempts + (asked.state == "queued"), 0
        running = replace(asked, state="running", attempts=attempts, done_share=0.0)
        try:
            _check_attempts(asked.attempts)
            with _database():
                self._analyses.put_annotation(running)
            size = self._draw(analysis, run)
            ended = replace(running, state="done", done_share=1.0)
        except _DatabaseError:
            raise
        except ReviewCancelledError:
            ended = replace(running, state="queued", attempts=attempts - 1)
        except StreamDetectError as error:
            ended = replace(running, state="failed", problem=str(error))
        except Exception:  # top of the job
            log.exception("annotated video of %s failed", analysis.id)
            ended = replace(running, state="failed", problem=_UNFORESEEN)
        if not self._analyses.put_annotation(ended, size):
            self._library.delete(analysis.id)

    def _draw(self, analysis: Analysis, run: TaskRun) -> int:
        """Makes the annotated video; returns its size in bytes."""
        model = run.task.model
        hooks = _hooks(run, self._progress.follow(run.task, analysis))
        file, results = (self._library.path(analysis.id, name) for name in (ORIGINAL, RESULTS))
        name = annotated_name(analysis.number_of(model), analysis.upload.kind)
        return self._library.write(
            analysis.id, name, lambda path: self._reviewer.annotate(file, path, results, model, hooks)
        )


def _hooks(run: TaskRun, on_progress: Callable[[float], None]) -> Hooks:
    return Hooks(on_progress, run.is_stopped, run.take_turns, sleep=run.stop.wait)


@contextmanager
def _database() -> Iterator[None]:
    """Distinguishes errors of the database from those of the files of an analysis, which end it."""
    try:
        yield
    except StorageError as error:
        raise _DatabaseError(str(error)) from error


def _still_holds(credentials: Credentials | None) -> bool:
    """Whether an earlier reading is still valid: trust changes with the settings and with time."""
    return credentials == NO_CREDENTIALS


def _check_attempts(attempts: int) -> None:
    if attempts >= MAX_ATTEMPTS:
        raise StreamDetectError(_ENDED_WITH_IT)


def _put(parts: Iterable[bytes]) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(parts)

    return put
