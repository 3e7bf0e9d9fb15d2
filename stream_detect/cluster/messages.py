"""The messages between the server and its workers: orders and renewals one way, states, results and evidence back.

The server calls a worker again and again (`Call`), and each answer (`Batch`) has what happened meanwhile. Times are
monotonic seconds of the worker that sent them: clocks of different machines are never compared.
"""

import math
from dataclasses import dataclass

from stream_detect import errors as our_errors
from stream_detect.cameras.status import CameraStatus
from stream_detect.errors import CapacityError, ConflictError, StreamDetectError
from stream_detect.settings import CameraSettings
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
class Call:
    """What the server says to a worker.

    Args:
        incarnation: of the worker that is meant; one that was started anew since ignores the orders.
        received: how many reliable items (states, evidence) have arrived so far.
        renewed_s: `sent_s` of the batch by which the server renews the worker's leases; -inf for none.
        orders: None where they have not changed.
        evidence: events that began; repeated until an answer came.
        listened: cameras whose results somebody follows on the page: theirs come whole.
    """

    incarnation: str
    received: int = 0
    renewed_s: float = -math.inf
    orders: Orders | None = None
    evidence: tuple[EvidenceRequest, ...] = ()
    listened: frozenset[str] = frozenset()


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
    """

    incarnation: str
    sent_s: float
    revision: int
    hosted: dict[str, int]
    upto: int
    reliable: tuple[WorkerState | KeptEvidence, ...]
    results: tuple[WorkerResult, ...]
    statuses: tuple[tuple[int, CameraStatus], ...]
    load: Load
    problem: str = ""


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
