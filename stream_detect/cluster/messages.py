"""The messages between the server and its workers: orders and renewals one way, states, results and evidence back.

The server calls a worker again and again (`Call`), and each answer (`Batch`) reports what happened meanwhile. Times are
monotonic seconds of the worker that sent them: clocks of different machines are never compared.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stream_detect import errors as our_errors
from stream_detect.cameras.status import CameraStatus
from stream_detect.errors import CapacityError, ConflictError, StreamDetectError
from stream_detect.settings import CameraSettings
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.records import Event, Evidence
from stream_detect.types import Result, StateChange, Thresholds


@dataclass(frozen=True, slots=True)
class Assignment:
    """A camera that a worker is to watch.

    Args:
        settings: of the camera.
        number: of its lease; what a worker sends under a lower one is ignored.
    """

    settings: CameraSettings
    number: int


@dataclass(frozen=True, slots=True)
class ModelOrder:
    """The model that judges.

    Args:
        name: of the bundle.
        sha256: of its weights; a worker whose bundle differs watches nothing.
        thresholds: that are drawn.
    """

    name: str
    sha256: str
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class Orders:
    """All that a worker is to do, whole: an order that was lost is in the next one.

    Args:
        revision: rises with each change.
        assignments: the cameras that it is to watch; it stops all others.
        model: that judges.
    """

    revision: int
    assignments: tuple[Assignment, ...]
    model: ModelOrder


@dataclass(frozen=True, slots=True)
class EvidenceRequest:
    """An event began whose camera keeps evidence.

    Args:
        event: that began.
        result: by which it did, with the camera's sequence number.
    """

    event: Event
    result: Result


@dataclass(frozen=True, slots=True)
class ServerFile:
    """A file of the server's machine, and how a worker recognises it where it sees the same disk.

    Args:
        path: absolute.
        bytes: its length.
        inode: number of its inode.
        modified_ns: when it was written, Unix nanoseconds.
    """

    path: str
    bytes: int
    inode: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "ServerFile":
        """A file of this machine.

        Raises:
            OSError: it is not there.
        """
        found = path.stat()
        return cls(str(path.absolute()), found.st_size, found.st_ino, found.st_mtime_ns)

    @property
    def is_here(self) -> bool:
        """Whether this process can read the very file at its path."""
        try:
            return os.access(self.path, os.R_OK) and ServerFile.of(Path(self.path)) == self
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class AnalysisOrder:
    """What a worker is to make of an upload: results of its examination, or the annotated video.

    Args:
        key: unguessable; of this attempt on this worker.
        file: the upload.
        models: names of the bundles that judge, with the sha256 of their weights; none where a video is drawn.
        rate_hz: samples a second.
        results: stored results, which are drawn; None where the file is examined.
        drawn: name of the model whose verdicts are drawn.
    """

    key: str
    file: ServerFile
    models: tuple[tuple[str, str], ...] = ()
    rate_hz: float = 0.0
    results: ServerFile | None = None
    drawn: str = ""

    @property
    def files(self) -> dict[str, ServerFile]:
        """All files that are needed, by names of ours."""
        upload = {"original": self.file}
        return upload if self.results is None else {**upload, "results": self.results}

    @property
    def unseen(self) -> dict[str, ServerFile]:
        """Those of them that this process cannot read where they are."""
        return {name: file for name, file in self.files.items() if not file.is_here}


@dataclass(frozen=True, slots=True)
class AnalysisBegun:
    """A worker took an order.

    Args:
        missing: names of the files that it does not see, and that are to be sent.
        at_s: when, by its clock.
    """

    missing: tuple[str, ...]
    at_s: float


@dataclass(frozen=True, slots=True)
class AnalysisState:
    """How far an analysis is, on a worker.

    Args:
        share: done, in [0, 1].
        output_bytes: length of what was made, to be fetched; None before its end.
        refusal: why nothing was made; None when all is well.
    """

    share: float
    output_bytes: int | None = None
    refusal: "Refusal | None" = None


@dataclass(frozen=True, slots=True)
class CheckBegun:
    """A worker answered the offer of a live check.

    Args:
        sdp: the answer.
        at_s: when, by its clock.
    """

    sdp: str
    at_s: float


@dataclass(frozen=True, slots=True)
class EndedCheck:
    """A live check has ended, on a worker.

    Args:
        record: that it leaves.
    """

    record: CheckRecord


@dataclass(frozen=True, slots=True)
class Call:
    """What the server says to a worker.

    Args:
        incarnation: of the worker that is meant; one that was started anew since ignores the orders.
        received: how many reliable items (states, evidence, records of checks) have arrived so far.
        renewed_s: `sent_s` of the batch by which the server renews the worker's leases; -inf for none.
        orders: None where they have not changed.
        evidence: events that began; repeated until an answer came.
        listened: cameras whose results somebody follows on the page: theirs come whole.
        analyses: those that are wanted, by their keys, and whether each is to rest now; a worker ends all others.
    """

    incarnation: str
    received: int = 0
    renewed_s: float = -math.inf
    orders: Orders | None = None
    evidence: tuple[EvidenceRequest, ...] = ()
    listened: frozenset[str] = frozenset()
    analyses: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A camera entered a state, on a worker.

    Args:
        number: of the lease.
        change: the state.
    """

    number: int
    change: StateChange


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """A result of a camera's analysis, on a worker.

    Args:
        camera: its name.
        number: of the lease.
        result: without the traces of its tracks unless somebody follows it.
        at_s: wall clock of the frame, unix seconds.
    """

    camera: str
    number: int
    result: Result
    at_s: float


@dataclass(frozen=True, slots=True)
class KeptEvidence:
    """There is evidence of an event, on the worker's node.

    Args:
        event_id: of the event.
        evidence: all that there is so far.
    """

    event_id: str
    evidence: Evidence


Reliable = WorkerState | KeptEvidence | EndedCheck
"""What is sent again until it arrived."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a worker and its node are.

    Args:
        cores: processors that the worker kept busy since its last word, in processors; Python's lock ends near 1.
        node: load average of the node by its processors; 1 is busy.
        rss_bytes: memory of the worker.
        sessions: viewers and publishers.
    """

    cores: float = 0.0
    node: float = 0.0
    rss_bytes: int = 0
    sessions: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What a worker answers.

    Args:
        incarnation: of the worker: another one after each start of its process.
        sent_s: when, by its clock.
        revision: of the orders that it has carried out.
        hosted: numbers of the leases of the cameras that it watches, or has yet to stop.
        upto: how many reliable items there are with those of this batch.
        reliable: states and evidence, in order; repeated until they arrived.
        results: at most a few a camera; newest win, and what is lost is lost.
        statuses: of cameras, with the numbers of their leases; once a second.
        load: how busy it is.
        problem: why it watches nothing; empty when all is well.
        analyses: by their keys, until they are ended.
        ice_problems: what is wrong with STUN and TURN servers as seen from there, in sentences.
        checks: ids of the sessions of live checks, and whether their peers have come.
    """

    incarnation: str
    sent_s: float
    revision: int
    hosted: dict[str, int]
    upto: int
    reliable: tuple[Reliable, ...]
    results: tuple[WorkerResult, ...]
    statuses: tuple[tuple[int, CameraStatus], ...]
    load: Load
    problem: str = ""
    analyses: Mapping[str, AnalysisState] = field(default_factory=dict)
    ice_problems: tuple[str, ...] = ()
    checks: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of ours as it travels: exceptions do not survive every way of sending them.

    Args:
        kind: name of the class in `errors`.
        message: what it says.
        retry_after_s: of a `CapacityError`.
    """

    kind: str
    message: str
    retry_after_s: int = 0


def refusal_of(error: Exception) -> Refusal:
    """An error as it travels."""
    kind = type(error).__name__ if isinstance(error, StreamDetectError) else "SettingsError"
    retry_after_s = error.retry_after_s if isinstance(error, CapacityError) else 0
    return Refusal(kind, str(error), retry_after_s)


def raised(refusal: Refusal) -> StreamDetectError:
    """The error that a refusal tells of."""
    if refusal.kind == "CapacityError":
        return CapacityError(refusal.message, refusal.retry_after_s)
    kind: type[StreamDetectError] = getattr(our_errors, refusal.kind, ConflictError)
    return kind(refusal.message)
