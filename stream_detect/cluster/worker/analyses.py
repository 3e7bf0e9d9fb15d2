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
"""Size of the piece of a file in one message: Ray's store of a node has 80 MB for all messages."""

MAX_ANALYSES = 64
"""Maximum on one worker; the server assigns `review.jobs`, and a few more when another worker is lost."""

RETRY_AFTER_S = 5

_LOOK_S = 0.1
_CLOSE_S = 1.0
_OUTPUT = "output"
_UNFORESEEN = "this failed unexpectedly; the worker's log says more"

log = logging.getLogger(__name__)


class WorkerAnalyses:
    """Examines uploads for the server, each on its own thread. Thread-safe; calls block for disk access.

    Args:
        reviewer: examines them; closed with this.
        registry: bundles of this node.
        folder: folder for transferred files.
        alone_s: an analysis that the server has not listed for this time is ended.
        changed: called when one has ended, on any thread.
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
        """Accepts an order; the analysis starts once all its files have arrived.

        Raises:
            CapacityError: there are too many here.
            BundleError: a model is missing here.
            SettingsError: a model here differs from the server's.
            StorageError: nothing can be written here.
        """
        for name, contract_sha256 in order.models:
            if self._registry.contract_of(name) != contract_sha256:
                raise SettingsError(f"expected the server's model {name}, received another one of that name")
        unseen = order.unseen
        self._folder.check_room(sum(file.bytes for file in unseen.values()))
        with self._lock:
            if len(self._analyses) >= MAX_ANALYSES:
                raise CapacityError(f"{MAX_ANALYSES} analyses are already running on this worker", RETRY_AFTER_S)
            analysis = _Analysis(order, unseen, self._folder.made(), self._alone_s)
            self._analyses[order.key] = analysis
        threading.Thread(target=self._run, args=(analysis,), name=f"analysis {order.key[:6]}", daemon=True).start()
        return AnalysisBegun(tuple(analysis.missing), time.monotonic())

    def put(self, key: str, name: str, offset: int, piece: bytes) -> None:
        """Accepts a piece of a missing file; the last one completes it.

        Args:
            key: key of the analysis.
            name: name of the file.
            offset: offset of the piece.
            piece: at most PIECE_BYTES.

        Raises:
            NotFoundError: the analysis no longer exists.
            ConflictError: the piece does not belong to that file.
            StorageError: it cannot be written.
        """
        analysis = self._analysis(key)
        self._folder.check_room(len(piece))
        analysis.put(name, offset, piece)

    def piece(self, key: str, offset: int) -> bytes:
        """A piece of the output, from an offset.

        Raises:
            NotFoundError: the analysis no longer exists, or has no output.
        """
        try:
            with (self._analysis(key).folder / _OUTPUT).open("rb") as output:
                output.seek(offset)
                return output.read(PIECE_BYTES)
        except OSError as error:
            raise NotFoundError("it has no output here") from error

    def end(self, key: str) -> None:
        """Ends an analysis and soon deletes its files; does nothing if it has ended."""
        with self._lock:
            analysis = self._analyses.get(key)
        if analysis is not None:
            analysis.stop.set()

    def want(self, wanted: Mapping[str, bool]) -> None:
        """Keys of the analyses that the server wants, and whether each must pause now."""
        for key, rests in wanted.items():
            analysis = self._analyses.get(key)
            if analysis is not None:
                analysis.want(rests=rests)

    def states(self) -> dict[str, AnalysisState]:
        """State of all analyses here."""
        with self._lock:
            return {key: analysis.state for key, analysis in self._analyses.items()}

    def close(self) -> None:
        """Ends all of them within a second, and deletes their files."""
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
            raise NotFoundError("expected the key of an analysis, received an unknown id; it may have ended")
        return analysis

    def _run(self, analysis: "_Analysis") -> None:
        """The thread of an analysis: waits for its files, examines, and keeps the output until it was fetched."""
        try:
            if analysis.has_files():
                analysis.state = self._examined(analysis)
                self._changed()
                analysis.wait_for_end()
        except Exception:  # top of the thread
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
        except Exception:  # top of the job: for any error, people must see that it failed
            log.exception("analysis %s failed", order.key[:6])
            return AnalysisState(analysis.state.share, refusal=refusal_of(ReviewError(_UNFORESEEN)))


class _Analysis:
    """One analysis.

    Args:
        order: its order.
        unseen: files that have to be sent.
        folder: folder of its files.
        alone_s: after this time without a message of the server, it ends.
    """

    def __init__(self, order: AnalysisOrder, unseen: Iterable[str], folder: Path, alone_s: float) -> None:
        self.order = order
        self.folder = folder
        self.state = AnalysisState(0.0)
        self.missing = list(unseen)
        self.stop = threading.Event()
        self.over = threading.Event()
        """Set when its files are deleted."""
        self._here = frozenset(order.files) - frozenset(self.missing)
        self._alone_s = alone_s
        self._wanted_s = time.monotonic()
        self._rests = False
        self._lock = threading.Lock()

    def path(self, name: str) -> Path:
        """Path of a file: at the server's path, or as sent."""
        return Path(self.order.files[name].path) if name in self._here else self.folder / name

    def put(self, name: str, offset: int, piece: bytes) -> None:
        """See `WorkerAnalyses.put`."""
        with self._lock:
            whole = self.order.files[name].bytes if name in self.missing else 0
            if offset + len(piece) > whole or (whole and not piece):
                raise ConflictError(f"expected a piece within {whole} bytes of {name}, received one at {offset}")
            try:
                with (self.folder / name).open("ab") as file:
                    file.truncate(offset)  # the piece was sent again
                    file.write(piece)
            except OSError as error:
                raise translated(error, self.folder) from error
            if offset + len(piece) == whole:
                self.missing.remove(name)

    def want(self, *, rests: bool) -> None:
        """Called when the server lists it."""
        self._rests = rests
        self._wanted_s = time.monotonic()

    def has_files(self) -> bool:
        """Waits for its files; False if it must end before."""
        while self.missing and not self.is_stopped():
            self.stop.wait(_LOOK_S)
        return not self.is_stopped()

    def wait_for_end(self) -> None:
        """Waits until it must end."""
        while not self.is_stopped():
            self.stop.wait(_LOOK_S)

    def is_stopped(self) -> bool:
        """Whether it must end."""
        return self.stop.is_set() or time.monotonic() - self._wanted_s > self._alone_s

    def note_share(self, share: float) -> None:
        """Records the share done, in [0, 1]."""
        self.state = AnalysisState(min(share, 1.0))

    def give_way(self) -> None:
        """Pauses while the server says so, because it is another one's turn."""
        while self._rests and not self.is_stopped():
            self.stop.wait(_LOOK_S)
