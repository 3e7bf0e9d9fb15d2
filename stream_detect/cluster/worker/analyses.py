"""Analyses of uploads on a worker: examines a file, local or received in pieces, and keeps the result."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from stream_detect.cluster.messages import AnalysisBegun, AnalysisOrder, AnalysisState, refusal_of
from stream_detect.cluster.worker.folder import ProcessFolder
from stream_detect.errors import (
    CapacityError,
    ConflictError,
    NotFoundError,
    ReviewError,
    SettingsError,
    StreamDetectError,
)
from stream_detect.jobs.reviewer import ModelReviewer
from stream_detect.media.files import translated
from stream_detect.models.registry import Registry
from stream_detect.review.examination import Hooks

PIECE_BYTES = 2_000_000
"""Of a file on its way, in one message: Ray's store of a node holds 80 MB, for all that passes at a time."""

MAX_ANALYSES = 64
"""On one worker; the server gives it `review.jobs` of them, and a few more when another worker is lost."""

RETRY_AFTER_S = 5

_LOOK_S = 0.1
_CLOSE_S = 1.0
_OUTPUT = "output"
_UNFORESEEN = "this failed unexpectedly; the worker's log says more"

log = logging.getLogger(__name__)


class WorkerAnalyses:
    """Examines uploads for the server, each on a thread of its own. Thread-safe; calls block for as long as disks do.

    Args:
        reviewer: examines them; closed with this.
        registry: the bundles of this node.
        folder: for files on their way.
        alone_s: an analysis that the server has not asked for in so long is ended.
        changed: called when one has ended; from any thread.
    """

    def __init__(
        self,
        reviewer: ModelReviewer,
        registry: Registry,
        folder: ProcessFolder,
        alone_s: float,
        changed: Callable[[], None],
    ) -> None:
        self._reviewer = reviewer
        self._registry = registry
        self._folder = folder
        self._alone_s = alone_s
        self._changed = changed
        self._lock = threading.Lock()
        self._analyses: dict[str, _Analysis] = {}

    def begin(self, order: AnalysisOrder) -> AnalysisBegun:
        """Takes an order; the analysis begins once all its files are there.

        Raises:
            CapacityError: too many run here.
            BundleError: a model is not here.
            SettingsError: a model is another one here than the server's.
            StorageError: nothing can be written here.
        """
        for name, sha256 in order.models:
            found = self._registry.sha256_of(name)
            if found != sha256:
                raise SettingsError(f"expected the model {name} of sha256 {sha256[:12]}, received {found[:12]}")
        unseen = order.unseen
        self._folder.check_room(sum(file.bytes for file in unseen.values()))
        with self._lock:
            if len(self._analyses) >= MAX_ANALYSES:
                raise CapacityError(f"{MAX_ANALYSES} analyses run on this worker already", RETRY_AFTER_S)
            analysis = _Analysis(order, unseen, self._folder.made(), self._alone_s)
            self._analyses[order.key] = analysis
        threading.Thread(target=self._run, args=(analysis,), name=f"analysis {order.key[:6]}", daemon=True).start()
        return AnalysisBegun(tuple(analysis.missing), time.monotonic())

    def put(self, key: str, name: str, offset: int, piece: bytes) -> None:
        """Takes a piece of a file that is missing; the last one makes it whole.

        Args:
            key: of the analysis.
            name: of the file.
            offset: where the piece begins.
            piece: PIECE_BYTES at most.

        Raises:
            NotFoundError: there is no such analysis any more.
            ConflictError: the piece is none of that file.
            StorageError: it cannot be written.
        """
        analysis = self._analysis(key)
        self._folder.check_room(len(piece))
        analysis.put(name, offset, piece)

    def piece(self, key: str, offset: int) -> bytes:
        """A piece of what was made, from so many bytes on.

        Raises:
            NotFoundError: there is no such analysis any more, or nothing was made.
        """
        try:
            with (self._analysis(key).folder / _OUTPUT).open("rb") as output:
                output.seek(offset)
                return output.read(PIECE_BYTES)
        except OSError as error:
            raise NotFoundError("nothing was made of it here") from error

    def end(self, key: str) -> None:
        """Ends an analysis, and soon removes its files; one that has ended does not matter."""
        with self._lock:
            analysis = self._analyses.get(key)
        if analysis is not None:
            analysis.stop.set()

    def want(self, wanted: Mapping[str, bool]) -> None:
        """The server wants these, by their keys; True: it is to rest now."""
        for key, rests in wanted.items():
            analysis = self._analyses.get(key)
            if analysis is not None:
                analysis.want(rests=rests)

    def states(self) -> dict[str, AnalysisState]:
        """All that are here."""
        with self._lock:
            return {key: analysis.state for key, analysis in self._analyses.items()}

    def close(self) -> None:
        """Ends all of them, within a second, and removes their files."""
        with self._lock:
            analyses = list(self._analyses.values())
        for analysis in analyses:
            analysis.stop.set()
        self._reviewer.close()
        until_s = time.monotonic() + _CLOSE_S
        for analysis in analyses:
            analysis.over.wait(max(until_s - time.monotonic(), 0.0))
        self._folder.close()

    def _analysis(self, key: str) -> "_Analysis":
        with self._lock:
            analysis = self._analyses.get(key)
        if analysis is None:
            raise NotFoundError("expected the key of an analysis, received another one; it may have ended already")
        return analysis

    def _run(self, analysis: "_Analysis") -> None:
        """The thread of an analysis: waits for its files, examines, and keeps what came out until it was fetched."""
        try:
            if analysis.has_files():
                analysis.state = self._examined(analysis)
                self._changed()
                analysis.wait_for_end()
        except Exception:  # the thread's edge
            log.exception("analysis %s", analysis.order.key[:6])
        finally:
            with self._lock:
                self._analyses.pop(analysis.order.key, None)
            shutil.rmtree(analysis.folder, ignore_errors=True)
            analysis.over.set()
            self._changed()

    def _examined(self, analysis: "_Analysis") -> AnalysisState:
        order, output = analysis.order, analysis.folder / _OUTPUT
        hooks = Hooks(analysis.note_share, analysis.is_stopped, analysis.give_way, sleep=analysis.stop.wait)
        try:
            if order.results is None:
                names = [name for name, _ in order.models]
                packed = self._reviewer.packed_review(analysis.path("original"), names, order.rate_hz, hooks)
                output.write_bytes(packed)
            else:
                original, results = analysis.path("original"), analysis.path("results")
                self._reviewer.annotate(original, output, results, order.drawn, hooks)
            return AnalysisState(1.0, output.stat().st_size)
        except OSError as error:
            return AnalysisState(analysis.state.share, refusal=refusal_of(translated(error, analysis.folder)))
        except StreamDetectError as error:
            return AnalysisState(analysis.state.share, refusal=refusal_of(error))
        except Exception:  # the job's edge: whatever a file brings about, people are to know that it failed
            log.exception("analysis %s failed", order.key[:6])
            return AnalysisState(analysis.state.share, refusal=refusal_of(ReviewError(_UNFORESEEN)))


class _Analysis:
    """One analysis.

    Args:
        order: what it is.
        unseen: files that are to be sent.
        folder: of its files.
        alone_s: without a word of the server's for so long, it ends.
    """

    def __init__(self, order: AnalysisOrder, unseen: Iterable[str], folder: Path, alone_s: float) -> None:
        self.order = order
        self.folder = folder
        self.state = AnalysisState(0.0)
        self.missing = list(unseen)
        self.stop = threading.Event()
        self.over = threading.Event()
        """Set when its files are removed."""
        self._here = frozenset(order.files) - frozenset(self.missing)
        self._alone_s = alone_s
        self._wanted_s = time.monotonic()
        self._rests = False
        self._lock = threading.Lock()

    def path(self, name: str) -> Path:
        """Of a file that is there: where the server has it, or as it was sent."""
        return Path(self.order.files[name].path) if name in self._here else self.folder / name

    def put(self, name: str, offset: int, piece: bytes) -> None:
        """See `WorkerAnalyses.put`."""
        with self._lock:
            whole = self.order.files[name].bytes if name in self.missing else 0
            if offset + len(piece) > whole or (whole and not piece):
                raise ConflictError(f"expected a piece within {whole} bytes of {name}, received one at {offset}")
            try:
                with (self.folder / name).open("ab") as file:
                    file.truncate(offset)  # one that was sent again
                    file.write(piece)
            except OSError as error:
                raise translated(error, self.folder) from error
            if offset + len(piece) == whole:
                self.missing.remove(name)

    def want(self, *, rests: bool) -> None:
        """The server wants it."""
        self._rests = rests
        self._wanted_s = time.monotonic()

    def has_files(self) -> bool:
        """Waits for its files; False when it is to end before."""
        while self.missing and not self.is_stopped():
            self.stop.wait(_LOOK_S)
        return not self.is_stopped()

    def wait_for_end(self) -> None:
        """Waits until it is to end."""
        while not self.is_stopped():
            self.stop.wait(_LOOK_S)

    def is_stopped(self) -> bool:
        """Whether it is to end."""
        return self.stop.is_set() or time.monotonic() - self._wanted_s > self._alone_s

    def note_share(self, share: float) -> None:
        """So much is done, in [0, 1]."""
        self.state = AnalysisState(min(share, 1.0))

    def give_way(self) -> None:
        """Rests while the server says so: it is others' turn."""
        while self._rests and not self.is_stopped():
            self.stop.wait(_LOOK_S)
