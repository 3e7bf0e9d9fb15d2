"""Evidence in a cluster, on the server's side: requested from workers, fetched from and deleted on their nodes."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from stream_detect.cluster.head import Head
from stream_detect.cluster.messages import Refusal
from stream_detect.cluster.nodes import WorkerLostError
from stream_detect.errors import NotFoundError, StorageError
from stream_detect.evidence.keeper import EvidenceKeeper
from stream_detect.media.files import put_whole
from stream_detect.storage.records import Event, Evidence
from stream_detect.types import Result

FETCH_S = 20.0
"""Time limit of fetching a file from a node: a clip is 10 MB."""

CACHED_FILES = 16
"""Files of other nodes that are held here, so that a player can ask for one part after another."""

NO_WORKER = "its worker was lost before anything was kept"

log = logging.getLogger(__name__)


class ClusterEvidence:
    """What a recorder and the routes of events need of evidence. Thread-safe.

    Args:
        keeper: of this machine's folder: deletes what is old, and serves what lies here.
        head: knows the workers.
        cache: folder of files fetched from other nodes.
    """

    def __init__(self, keeper: EvidenceKeeper, head: Head, cache: Path) -> None:
        self._keeper = keeper
        self._head = head
        self._cache = cache
        self._fetching = threading.Lock()
        self._report: Callable[[str, Evidence], None] = lambda _event_id, _evidence: None

    @property
    def problem(self) -> str:
        """Why nothing can be kept here now; empty when all is well."""
        return self._keeper.problem

    def report_to(self, report: Callable[[str, Evidence], None]) -> None:
        """Who writes down what there is of an event."""
        self._report = report
        self._keeper.report_to(report)
        self._head.inbox.report_evidence_to(report)

    def start(self) -> None:
        """Starts the keeper's thread; once."""
        self._keeper.start()

    def close(self) -> None:
        """Ends it."""
        self._keeper.close()

    def begin(self, event: Event, result: Result) -> None:
        """Has the camera's worker keep what is to be seen; returns at once."""
        if not self._head.keep(event, result):
            self._report(event.id, Evidence(problem=NO_WORKER))

    def forget(self, camera: str) -> None:
        """The camera is no more; its worker knows."""
        self._keeper.forget(camera)

    def delete(self, evidence: Evidence) -> None:
        """Removes files of an event that is no more, wherever they lie.

        Raises:
            StorageError: one cannot be removed.
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

    def path(self, name: str) -> Path:
        """Of a file that an `Evidence` references; fetched from the node that has it, where that is another.

        Raises:
            NotFoundError: no node that answers has it.
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
            "expected a file of evidence on a node that answers, received the name of none; its node may be away"
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
