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
from stream_detect.webrtc.results_channel import ByeReason


@dataclass(frozen=True, slots=True)
class Assignment:
    """A camera that a worker has to watch.

    Args:
        settings: settings of the camera.
        number: number of its lease; messages of a worker with a lower one are ignored.
    """

    settings: CameraSettings
    number: int


@dataclass(frozen=True, slots=True)
class ModelOrder:
    """The model to use.

    Args:
        name: name of the bundle.
        contract_sha256: `Card.contract_sha256` of the bundle; a worker without exactly this one gets no new work.
        thresholds: thresholds to draw.
    """

    name: str
    contract_sha256: str
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class Orders:
    """All orders of a worker, complete, so that a lost message does not matter.

    Args:
        revision: increases with each change.
        assignments: the cameras to watch; it stops all others.
        model: the model to use.
    """

    revision: int
    assignments: tuple[Assignment, ...]
    model: ModelOrder


@dataclass(frozen=True, slots=True)
class EvidenceRequest:
    """Beginning of an event for which evidence is enabled.

    Args:
        event: the event.
        result: the result that started it, with the camera's sequence number.
    """

    event: Event
    result: Result


@dataclass(frozen=True, slots=True)
class ServerFile:
    """A file on the server's machine, and how a worker that shares the disk recognises it.

    Args:
        path: absolute path.
        bytes: its size.
        inode: number of its inode.
        modified_ns: modification time in unix nanoseconds.
    """

    path: str
    bytes: int
    inode: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "ServerFile":
        """Describes a file on this machine.

        Raises:
            OSError: it does not exist.
        """
        found = path.stat()
        return cls(str(path.absolute()), found.st_size, found.st_ino, found.st_mtime_ns)

    @property
    def is_here(self) -> bool:
        """Whether this process can read the same file at its path."""
        try:
            return os.access(self.path, os.R_OK) and ServerFile.of(Path(self.path)) == self
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class AnalysisOrder:
    """Order for an upload: examine it, or make the annotated video.

    Args:
        key: unguessable key of this attempt on this worker.
        file: the upload.
        models: names of the bundles, each with its `Card.contract_sha256`; empty for an annotated video.
        rate_hz: samples per second.
        results: stored results to draw; None for an examination.
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
        """All required files, by our names."""
        upload = {"original": self.file}
        return upload if self.results is None else {**upload, "results": self.results}

    @property
    def unseen(self) -> dict[str, ServerFile]:
        """Required files that this process cannot read at their paths."""
        return {name: file for name, file in self.files.items() if not file.is_here}


@dataclass(frozen=True, slots=True)
class AnalysisBegun:
    """A worker accepted an order.

    Args:
        missing: names of files that it cannot read and that must be sent.
        at_s: time on the worker's clock.
    """

    missing: tuple[str, ...]
    at_s: float


@dataclass(frozen=True, slots=True)
class AnalysisState:
    """State of an analysis on a worker.

    Args:
        share: share done, in [0, 1].
        output_bytes: size of the output to fetch; None before its end.
        refusal: why there is no output; None if all is well.
    """

    share: float
    output_bytes: int | None = None
    refusal: "Refusal | None" = None


@dataclass(frozen=True, slots=True)
class CheckBegun:
    """A worker answered the offer of a live check.

    Args:
        sdp: the answer.
        at_s: time on the worker's clock.
    """

    sdp: str
    at_s: float


@dataclass(frozen=True, slots=True)
class EndedCheck:
    """A live check has ended, on a worker.

    Args:
        record: its record.
    """

    record: CheckRecord


@dataclass(frozen=True, slots=True)
class Call:
    """Message of the server to a worker.

    Args:
        incarnation: incarnation of the worker; one that was restarted since ignores the orders.
        received: number of reliable items (states, evidence, records of checks) received so far.
        renewed_s: `sent_s` of the batch by which the server renews the worker's leases; -inf for none.
        orders: None if they have not changed.
        evidence: events that began; repeated until answered.
        listened: cameras whose results somebody follows on the page; these are sent in full.
        analyses: keys of the wanted analyses, and whether each must pause now; a worker ends all others.
        ended_checks: live checks that the worker has yet to end, by session id, with the reason for `bye`; repeated
            until it lists them no more.
    """

    incarnation: str
    received: int = 0
    renewed_s: float = -math.inf
    orders: Orders | None = None
    evidence: tuple[EvidenceRequest, ...] = ()
    listened: frozenset[str] = frozenset()
    analyses: Mapping[str, bool] = field(default_factory=dict)
    ended_checks: Mapping[str, ByeReason] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A camera on a worker entered a state.

    Args:
        number: number of the lease.
        change: the state.
    """

    number: int
    change: StateChange


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """A result of a camera on a worker.

    Args:
        camera: name of the camera.
        number: number of the lease.
        result: the result, without the traces of its tracks unless somebody follows it.
        at_s: time of the frame, unix seconds.
    """

    camera: str
    number: int
    result: Result
    at_s: float


@dataclass(frozen=True, slots=True)
class KeptEvidence:
    """Evidence of an event on the worker's node.

    Args:
        event_id: id of the event.
        evidence: all evidence so far.
    """

    event_id: str
    evidence: Evidence


Reliable = WorkerState | KeptEvidence | EndedCheck
"""Items that are repeated until they arrive."""


@dataclass(frozen=True, slots=True)
class Load:
    """Load of a worker and its node.

    Args:
        cores: processors used by the worker since its last message; Python's global lock limits it to about 1.
        node: load average of the node / its processors; 1 is busy.
        rss_bytes: resident memory of the worker.
        sessions: number of viewers and publishers.
    """

    cores: float = 0.0
    node: float = 0.0
    rss_bytes: int = 0
    sessions: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Answer of a worker.

    Args:
        incarnation: incarnation of the worker, new after each start of its process.
        sent_s: time on the worker's clock.
        revision: revision of the orders carried out.
        hosted: lease numbers of the cameras that it watches, or has yet to stop.
        upto: number of reliable items including those in this batch.
        reliable: states and evidence, in order; repeated until they arrive.
        results: at most a few per camera, the newest; lost ones are not repeated.
        statuses: status of cameras, with lease numbers; once a second.
        load: its load.
        problem: why it watches nothing; empty if all is well.
        analyses: states by key, until the analyses are ended.
        ice_problems: problems of STUN and TURN servers as seen from there, in sentences.
        checks: session ids of live checks, and whether their peers have connected.
        sessions: session ids of viewers and publishers.
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
    sessions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refusal:
    """One of our errors in a message, because exceptions cannot always be serialised.

    Args:
        kind: name of the class in `errors`.
        message: its message.
        retry_after_s: that of a `CapacityError`.
    """

    kind: str
    message: str
    retry_after_s: int = 0


def refusal_of(error: Exception) -> Refusal:
    """Converts an error to a message."""
    kind = type(error).__name__ if isinstance(error, StreamDetectError) else "SettingsError"
    retry_after_s = error.retry_after_s if isinstance(error, CapacityError) else 0
    return Refusal(kind, str(error), retry_after_s)


def raised(refusal: Refusal) -> StreamDetectError:
    """Converts a message to the error."""
    if refusal.kind == "CapacityError":
        return CapacityError(refusal.message, refusal.retry_after_s)
    kind: type[StreamDetectError] = getattr(our_errors, refusal.kind, ConflictError)
    return kind(refusal.message)
