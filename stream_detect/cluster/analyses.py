"""Analyses of uploads in a cluster, on the server's side: chooses a worker for each, and another one if it is lost."""

import io
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from stream_detect.cluster.messages import AnalysisBegun, AnalysisOrder, Refusal, ServerFile, raised
from stream_detect.cluster.nodes import WorkerLostError
from stream_detect.cluster.remote_worker import RemoteWorker
from stream_detect.cluster.tasks import WorkerTask, WorkerTasks
from stream_detect.cluster.worker.analyses import PIECE_BYTES
from stream_detect.errors import (
    BundleError,
    CapacityError,
    NotFoundError,
    ReviewCancelledError,
    ReviewError,
    SettingsError,
    StorageError,
)
from stream_detect.jobs.incoming import IncomingFile, ReceivedFile
from stream_detect.jobs.processes import MAX_RESULTS_BYTES
from stream_detect.jobs.reviewer import Reviewer
from stream_detect.media.files import check_room, translated
from stream_detect.review.examination import Hooks
from stream_detect.review.packing import unpack
from stream_detect.review.results import Reviewed
from stream_detect.settings import ReviewSettings

MAX_LOST = 5
"""Workers that may be lost during one file: one that crashes its worker's machine would otherwise crash all."""

WAIT_S = 10.0
"""How long an analysis waits for a worker if none is ready: a killed one is back after some three seconds."""

CALL_S = 20.0
"""Time limit of a message, whose piece of a file is written to, or read from, a disk."""

END_S = 2.0
"""Time limit of the message that ends an analysis; if it is lost, the analysis ends once the server no longer lists it.
"""

_LOOK_S = 0.1

log = logging.getLogger(__name__)


class ClusterReviewer:
    """Lets workers examine files; if there are none, the server does it itself. A `jobs.reviewer.Reviewer`.

    Args:
        tasks: chooses workers.
        here: reviewer in the server's process.
        contract_of: returns `Card.contract_sha256` of a bundle, by its name; raises BundleError.
        settings: limits.
    """

    def __init__(
        self, tasks: WorkerTasks, here: Reviewer, contract_of: Callable[[str], str], settings: ReviewSettings
    ) -> None:
        self._tasks = tasks
        self._here = here
        self._contract_of = contract_of
        self._settings = settings

    @property
    def at_once(self) -> int:
        """See `Reviewer`: `review.jobs` on each worker."""
        return self._settings.jobs * max(self._tasks.workers, 1)

    def review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> Reviewed:
        """See `Reviewer`."""
        known = tuple((name, self._contract_of(name)) for name in models)
        made: list[bytes] = []

        def take(attempt: "_Attempt") -> None:
            output = io.BytesIO()
            attempt.fetch(output, hooks, MAX_RESULTS_BYTES)
            made.append(output.getvalue())

        if self._made(AnalysisOrder("", _server_file(file), known, rate_hz), hooks, take):
            return unpack(made[0])
        return self._here.review(file, models, rate_hz, hooks)

    def annotate(self, file: Path, to: Path, results: Path, model: str, hooks: Hooks) -> None:
        """See `Reviewer`."""
        order = AnalysisOrder("", _server_file(file), results=_server_file(results), drawn=model)

        def take(attempt: "_Attempt") -> None:
            check_room(to.parent, self._settings.min_free_bytes, "review.min_free_bytes", attempt.output_bytes)
            try:
                with to.open("wb") as output:
                    attempt.fetch(output, hooks, attempt.output_bytes)
            except OSError as error:
                raise translated(error, to.parent) from error

        if not self._made(order, hooks, take):
            self._here.annotate(file, to, results, model, hooks)

    def fetch(self, address: str, to: IncomingFile, hooks: Hooks) -> ReceivedFile:
        """See `Reviewer`; the server fetches itself, according to its network rules."""
        return self._here.fetch(address, to, hooks)

    def close(self) -> None:
        """See `Reviewer`; the work of workers ends with the hooks."""
        self._here.close()

    def _made(self, order: AnalysisOrder, hooks: Hooks, take: Callable[["_Attempt"], None]) -> bool:
        """Lets a worker do it, and another one if it is lost; False if there is none that can.

        Args:
            order: the order, without a key.
            hooks: hooks of the job.
            take: fetches the output from the worker; starts again when called again.
        """
        unfit: set[RemoteWorker] = set()
        silent_s: dict[RemoteWorker, float] = {}
        lost = 0
        while lost < MAX_LOST:
            task = self._begun(unfit, silent_s, hooks)
            if task is None:
                return False
            attempt = _Attempt(task, replace(order, key=secrets.token_hex(16)))
            try:
                attempt.run(hooks)
                take(attempt)
            except WorkerLostError as error:
                lost += 1
                silent_s[task.worker] = time.monotonic()
                log.warning("analysis lost on worker %s: %s; it restarts on another worker", task.worker.name, error)
            except _UnfitError as error:
                unfit.add(task.worker)
                log.warning("analysis refused by worker %s: %s", task.worker.name, error)
            else:
                return True
            finally:
                attempt.end()
                self._tasks.end(task)
        raise ReviewError(f"{MAX_LOST} workers were lost during this analysis; submit the file again")

    def _begun(self, unfit: set[RemoteWorker], silent_s: dict[RemoteWorker, float], hooks: Hooks) -> WorkerTask | None:
        """Chooses a worker, once there is one; None if there is none in time.

        Args:
            unfit: workers that cannot do it.
            silent_s: when the work was lost on a worker: it gets it again once it has answered since then. A worker
                counts as ready for a moment after its end, and would lose it MAX_LOST times meanwhile.
            hooks: hooks of the job.
        """
        until_s = time.monotonic() + WAIT_S
        while True:
            if hooks.cancelled():
                raise ReviewCancelledError("cancelled")
            silent = {worker for worker, at_s in silent_s.items() if not worker.answered_since(at_s)}
            task = self._tasks.begin_analysis(self._settings.jobs, unfit | silent)
            if task is not None or unfit or time.monotonic() > until_s or not self._tasks.expects_workers:
                return task
            hooks.give_way()
            hooks.sleep(_LOOK_S)


class _UnfitError(Exception):
    """This worker cannot do it; another one, or the server, may be able to."""


class _Attempt:
    """One analysis on one worker, from the order to its end.

    Args:
        task: the worker's task.
        order: the order.
    """

    def __init__(self, task: WorkerTask, order: AnalysisOrder) -> None:
        self._task = task
        self._order = order
        self._link = task.worker.link
        self.output_bytes = 0
        """Size of the output."""

    def run(self, hooks: Hooks) -> None:
        """Lets the worker do it.

        Raises:
            WorkerLostError: it is lost, or no longer does it.
            _UnfitError: it cannot do this.
            ReviewCancelledError: it was cancelled.
            StreamDetectError: the file cannot be examined.
        """
        order, incarnation = self._order, self._task.incarnation
        incarnation.wanted[order.key] = False
        try:
            begun: AnalysisBegun = self._ask("begin_analysis", order, gone=())
        except (BundleError, SettingsError, StorageError, CapacityError) as error:
            raise _UnfitError(str(error)) from error
        log.info("analysis %s: runs on worker %s", order.key[:6], self._task.worker.name)
        for name in begun.missing:
            self._send(name, hooks)
        self._follow(begun, hooks)

    def fetch(self, to: BinaryIO, hooks: Hooks, max_bytes: int) -> None:
        """Fetches the output in pieces.

        Raises:
            WorkerLostError: the worker is lost.
            ReviewError: it is too large.
            OSError: it cannot be written.
        """
        if self.output_bytes > max_bytes:
            raise ReviewError(f"expected results of {max_bytes} bytes at most, received {self.output_bytes}")
        while to.tell() < self.output_bytes:
            _check(hooks)
            piece: bytes = self._ask("analysis_piece", self._order.key, to.tell())
            if not 0 < len(piece) <= self.output_bytes - to.tell():
                raise WorkerLostError("it sent fewer or more bytes than announced")
            to.write(piece)

    def end(self) -> None:
        """Ends it on the worker; its files are deleted soon, even if this message is lost."""
        self._task.incarnation.wanted.pop(self._order.key, None)
        if not self._task.lost:
            with suppress(WorkerLostError):
                self._link.call("end_analysis", self._order.key, timeout_s=END_S)

    def _send(self, name: str, hooks: Hooks) -> None:
        """Sends a file that the worker cannot read."""
        path = Path(self._order.files[name].path)
        try:
            with path.open("rb") as file:
                at = 0
                while True:
                    _check(hooks)
                    piece = file.read(PIECE_BYTES)
                    if at and not piece:
                        return
                    self._ask("put_analysis", self._order.key, name, at, piece)
                    at += len(piece)
                    if not at:
                        return
        except OSError as error:  # it was deleted meanwhile
            raise translated(error, path.parent) from error
        except StorageError as error:
            raise _UnfitError(str(error)) from error

    def _follow(self, begun: AnalysisBegun, hooks: Hooks) -> None:
        """Passes on progress until it has ended."""
        key, incarnation = self._order.key, self._task.incarnation
        while True:
            if self._task.lost:
                raise WorkerLostError(self._task.lost)
            _check(hooks)
            sent_s, state = incarnation.sent_s, incarnation.analyses.get(key)
            if state is None and sent_s > begun.at_s:
                raise WorkerLostError("it no longer has the analysis")
            if state is not None and state.refusal is not None:
                self._refused(state.refusal)
            if state is not None:
                hooks.on_progress(state.share)
            if state is not None and state.output_bytes is not None:
                self.output_bytes = state.output_bytes
                return
            incarnation.wanted[key] = True  # it pauses while it is another one's turn
            hooks.give_way()
            incarnation.wanted[key] = False
            hooks.sleep(_LOOK_S)

    def _refused(self, refusal: Refusal) -> None:
        error = raised(refusal)
        if isinstance(error, ReviewCancelledError):  # nobody here requested it: the worker ends
            raise WorkerLostError("it ends")
        if isinstance(error, StorageError | BundleError):
            raise _UnfitError(str(error))
        raise error

    def _ask(
        self, method: str, *arguments: Any, gone: tuple[type[Exception], ...] = (NotFoundError, CapacityError)
    ) -> Any:
        """The worker's answer; refusals that mean that it no longer has the analysis count as its loss."""
        answer = self._link.call(method, *arguments, timeout_s=CALL_S)
        if not isinstance(answer, Refusal):
            return answer
        error = raised(answer)
        if isinstance(error, gone):
            raise WorkerLostError(str(error))
        raise error


def _check(hooks: Hooks) -> None:
    if hooks.cancelled():
        raise ReviewCancelledError("cancelled")


def _server_file(path: Path) -> ServerFile:
    try:
        return ServerFile.of(path)
    except OSError as error:
        raise translated(error, path.parent) from error
