"""Evidence in a cluster, on the server's side: requested from workers, fetched from and deleted on their nodes."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from stream_detect.cluster.camera import NO_WORKER
from stream_detect.cluster.head import Head
from stream_detect.cluster.messages import Refusal
from stream_detect.cluster.nodes import WorkerLostError
from stream_detect.errors import NotFoundError, StorageError
from stream_detect.evidence.folder import names_of
from stream_detect.evidence.keeper import EvidenceKeeper
from stream_detect.media.files import put_whole, translated
from stream_detect.storage.records import Event, Evidence
from stream_detect.types import Result

FETCH_S = 20.0
"""Time limit of fetching a file from a node: a clip is 10 MB."""

CACHED_FILES = 16
"""Files of other nodes that are cached here, so that a player can request one part after another."""

log = logging.getLogger(__name__)


class ClusterEvidence:
    """Evidence of a cluster, for the recorder and the routes of events. Thread-safe.

    Args:
        keeper: keeper of this machine's folder, which deletes old files and serves local ones.
        head: knows the workers.
        cache: folder for files fetched from other nodes.
    """

    def __init__(self, keeper: EvidenceKeeper, head: Head, cache: Path) -> None:
        self._keeper = keeper
        self._head = head
        self._cache = cache
        self._fetching = threading.Lock()
        self._report: Callable[[str, Evidence], None] = lambda _event_id, _evidence: None
        keeper.delete_by(self.delete)

    @property
    def problem(self) -> str:
        """Why nothing can be kept here now; empty if all is well."""
        return self._keeper.problem

    def report_to(self, report: Callable[[str, Evidence], None]) -> None:
        """Sets the function that records the evidence of an event."""
        self._report = report
        self._keeper.report_to(report)
        self._head.inbox.report_evidence_to(report)

    def start(self) -> None:
        """Starts the keeper's thread; call once."""
        self._keeper.start()

    def close(self) -> None:
        """Ends the keeper's thread."""
        self._keeper.close()

    def begin(self, event: Event, result: Result) -> None:
        """Lets the camera's worker collect the evidence; returns at once."""
        if not self._head.keep(event, result):
            self._report(event.id, Evidence(problem=NO_WORKER))

    def forget(self, camera: str) -> None:
        """Does little: the worker knows that the camera was stopped or removed."""
        self._keeper.forget(camera)

    def delete(self, evidence: Evidence) -> None:
        """Deletes the files of a deleted event, or of old evidence, on all responding nodes.

        Raises:
            StorageError: one cannot be deleted.
        """
        self._keeper.delete(evidence)
        for link in self._head.a_link_of_each_node():
            try:
                answer = link.call("delete_evidence", evidence, timeout_s=FETCH_S)
            except WorkerLostError as error:
                log.warning("evidence may be left on a node: %s", error)
                continue
            if isinstance(answer, Refusal):
                raise StorageError(answer.message)
        with self._fetching:  # after the nodes, so that none is fetched again
            for name in names_of(evidence):
                try:
                    (self._cache / name).unlink(missing_ok=True)
                except OSError as error:
                    raise translated(error, self._cache) from error

    def path(self, name: str) -> Path:
        """Path of a file that an `Evidence` refers to, fetched from another node if necessary.

        Raises:
            NotFoundError: no responding node has it.
        """
        try:
            return self._keeper.path(name)
        except NotFoundError:
            with self._fetching:
                return self._fetched(name)

    def _fetched(self, name: str) -> Path:
        path = self._cache / name
        if path.is_file() and path.parent == self._cache:
            return path
        for link in self._head.a_link_of_each_node():
            try:
                content = link.call("evidence_file", name, timeout_s=FETCH_S)
            except WorkerLostError:
                continue
            if isinstance(content, bytes):
                return self._put(path, content)
        raise NotFoundError(
            "expected the name of an evidence file, received an unknown name; its node may be unreachable"
        )

    def _put(self, path: Path, content: bytes) -> Path:
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = sorted((one for one in self._cache.iterdir()), key=lambda one: one.stat().st_mtime)
        for old in files[: max(len(files) - CACHED_FILES + 1, 0)]:
            old.unlink(missing_ok=True)
        put_whole(path, lambda target: _write(target, content))
        return path


def _write(target: Path, content: bytes) -> None:
    target.write_bytes(content)
