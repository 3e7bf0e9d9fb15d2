"""Cameras on workers, on the server's side: settings, state and results; the inbox passes on what workers report."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

from av import VideoFrame

from stream_detect.cameras.observer import Observer
from stream_detect.cameras.status import CameraCounts, CameraStatus
from stream_detect.cluster.challenge import RemoteChallenge
from stream_detect.cluster.messages import Batch, EndedCheck, EvidenceRequest, KeptEvidence
from stream_detect.cluster.remote_worker import Incarnation, RemoteWorker
from stream_detect.errors import ConflictError
from stream_detect.settings import CameraSettings
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.records import Evidence
from stream_detect.types import CameraState, Result, StateChange

STOP_S = 4.8
"""Time limit of a stop, as for a camera in this process."""

WAITING = "waiting for a worker"

MAX_UNFINISHED = 256
"""Events of a worker whose evidence is followed until it is complete, which takes some seconds each; the oldest are
forgotten."""

NO_WORKER = "its worker was lost before anything was kept"
NO_CLIP = "no clip: its worker was lost before it was cut"


@dataclass(eq=False, slots=True)
class Placement:
    """The worker that has a camera, or has yet to release it.

    Args:
        worker: the worker.
        incarnation: its process.
        number: number of the lease.
        revision: revision of the worker's orders with the newest change.
        withdrawn: the worker must stop it.
        lost: the worker does not answer, and this was reported.
    """

    worker: RemoteWorker
    incarnation: Incarnation
    number: int
    revision: int = 0
    withdrawn: bool = False
    lost: bool = False


class RemoteCamera:
    """A camera on a worker; a `HostedCamera`. Thread-safe.

    Args:
        settings: valid settings of the camera.
        observer: is notified of states and results, in order.
        wake: called when there is work for it.
    """

    def __init__(self, settings: CameraSettings, observer: Observer, wake: Callable[["RemoteCamera"], None]) -> None:
        self.settings = settings
        self._observer = observer
        self._wake = wake
        self._lock = threading.RLock()
        self._free = threading.Event()
        self._free.set()
        self._past = CameraCounts()
        self._status: CameraStatus | None = None  # of the current placement
        self._change = StateChange(settings.name, CameraState.STOPPED, "switched off", time.time())
        self._latest: tuple[Result, float] | None = None  # and about when its frame arrived, monotonic seconds
        self.wanted = False
        """Whether it is to be watched."""
        self.placement: Placement | None = None
        self.free_at_s = -1e9
        """Time from which nobody can be watching it, monotonic seconds."""
        self.moved: tuple[str, str] | None = None
        """The node that had it last, and why it was taken away; None before the first time."""

    @property
    def name(self) -> str:
        """Name of the camera."""
        return self.settings.name

    @property
    def challenge(self) -> RemoteChallenge:
        """The challenge of the person in front of it.

        Raises:
            ConflictError: no worker has it.
        """
        placement = self.placement
        if placement is None or placement.lost:
            raise ConflictError(f"camera {self.name} is not live: a challenge needs live video")
        return RemoteChallenge(placement.worker.link, "challenge", self.name)

    def start(self) -> None:
        """Requests a worker; returns at once."""
        with self._lock:
            if self.wanted:
                return
            self.wanted = True
            self._notify(CameraState.CONNECTING, WAITING)
        self._wake(self)

    def stop(self, reason: str = "stopped by an operator") -> None:
        """Stops watching; the state is "stopped" at once. Returns when the worker has released it, or after 4.8 s.

        Args:
            reason: one short sentence, for people.
        """
        with self._lock:
            if not self.wanted:
                return
            self.wanted = False
            self._notify(CameraState.STOPPED, reason)
        self._wake(self)
        self._free.wait(STOP_S)

    def status(self) -> CameraStatus:
        """Current status; takes no lock."""
        now_s = time.monotonic()
        known, latest, change, placement, past = self._status, self._latest, self._change, self.placement, self._past
        live = change.state is CameraState.LIVE
        node = placement.worker.node.name if placement is not None and not placement.lost else ""
        if known is None:
            return CameraStatus(self.name, change, past, 0.0, None, "", 0, None, None, None, node)
        status = known
        same = status.change.state is change.state
        return replace(
            status,
            # The worker's reason for a live camera contains its frame rate.
            change=replace(change, reason=status.change.reason) if live and same else change,
            counts=_sum(past, status.counts),
            fps=status.fps if live else 0.0,
            viewers=status.viewers if placement is not None else 0,
            retry_at_s=status.retry_at_s if same else None,
            result=latest[0] if live and latest else None,
            result_age_s=max(now_s - latest[1], 0.0) if live and latest else None,
            node=node,
        )

    def look(self) -> None:
        """Does nothing, because the worker does it."""

    def snapshot(self) -> tuple[VideoFrame, Result | None, float] | None:
        """None, because its frames are on the worker."""
        return None

    def judged(self) -> tuple[VideoFrame, Result | None] | None:
        """None, because its frames are on the worker."""
        return None

    def push(self, *_frame: object, **_of_it: object) -> None:
        """Raises, because publishers send to the worker.

        Raises:
            ConflictError: always.
        """
        raise ConflictError(f"the frames of {self.name} go to its worker, not through the server")

    def publisher_left(self, reason: str) -> None:
        """Raises, because publishers send to the worker.

        Raises:
            ConflictError: always.
        """
        raise ConflictError(f"the publisher of {self.name} is connected to a worker: {reason}")

    # The following methods are for the head.

    def place(self, placement: Placement) -> bool:
        """Assigns it to a worker; False if it is no longer wanted."""
        with self._lock:
            if not self.wanted:
                return False
            self.placement, self._status = placement, None
            self._free.clear()
            return True

    def withdraw(self, why: str) -> None:
        """The worker must stop it."""
        with self._lock:
            if self.placement is not None and not self.placement.withdrawn:
                self.placement.withdrawn = True
                self.moved = self.placement.worker.node.name, why
                if self.wanted:
                    self._notify(CameraState.CONNECTING, f"moves to another worker: {why}")

    def lose(self, why: str) -> None:
        """The worker does not answer."""
        with self._lock:
            placement = self.placement
            if placement is not None and not placement.lost:
                placement.lost = True
                if not placement.withdrawn:
                    self.moved = placement.worker.node.name, why
                if self.wanted:
                    self._notify(CameraState.LOST_NODE, why)

    def release(self) -> None:
        """The worker has released it, or its lease has expired."""
        with self._lock:
            if self.placement is not None and self._status is not None:
                self._past = _sum(self._past, self._status.counts)
            self.placement, self._status, self._latest = None, None, None
            self._free.set()

    def take_state(self, incarnation: Incarnation, number: int, change: StateChange) -> None:
        """The worker reports that it entered a state."""
        with self._lock:
            if not self._is_of(incarnation, number):
                return
            self._latest = None
            if change.state is CameraState.STOPPED:  # a file that ended
                self.wanted = False
            self._change = change
            self._observer.state(change)
        if change.state is CameraState.STOPPED:
            self._wake(self)

    def take_result(self, incarnation: Incarnation, number: int, result: Result, at_s: float) -> None:
        """The worker reports a result."""
        with self._lock:
            if self._is_of(incarnation, number) and self._change.state is CameraState.LIVE:
                self._latest = result, time.monotonic() - result.latency_s
                self._observer.result(self.name, result, at_s)

    def take_status(self, incarnation: Incarnation, number: int, status: CameraStatus) -> None:
        """The worker reports its status. A worker that is back after a silence also reports what happened meanwhile."""
        with self._lock:
            if not self._is_of(incarnation, number):
                return
            self._status = status
            placement = self.placement
            if placement is not None and placement.lost:
                placement.lost = False
            if self._change.state is CameraState.LOST_NODE:
                self._change = replace(status.change, at_s=time.time())
                self._observer.state(self._change)

    def _is_of(self, incarnation: Incarnation, number: int) -> bool:
        placement = self.placement
        return (
            self.wanted
            and placement is not None
            and not placement.withdrawn
            and placement.incarnation is incarnation
            and placement.number == number
        )

    def _notify(self, state: CameraState, reason: str) -> None:
        """Notifies the observers; call with the lock held, so that they get states and results in order."""
        self._latest = None
        self._change = StateChange(self.name, state, reason, time.time())
        self._observer.state(self._change)


def _sum(first: CameraCounts, second: CameraCounts) -> CameraCounts:
    return CameraCounts(
        **{one.name: getattr(first, one.name) + getattr(second, one.name) for one in fields(CameraCounts)}
    )


class Inbox:
    """Processes the batches of all workers. Thread-safe."""

    def __init__(self) -> None:
        self._cameras: dict[str, RemoteCamera] = {}  # those that have a worker; replaced with each change
        self._keep_evidence: Callable[[str, Evidence], None] = lambda _event_id, _evidence: None
        self._keep_check: Callable[[CheckRecord], None] = lambda _record: None

    def report_evidence_to(self, keep: Callable[[str, Evidence], None]) -> None:
        """Sets the receiver of evidence, by event id."""
        self._keep_evidence = keep

    def report_checks_to(self, keep: Callable[[CheckRecord], None]) -> None:
        """Sets the receiver of records of live checks that ended on workers."""
        self._keep_check = keep

    def deliver_to(self, cameras: Iterable[RemoteCamera]) -> None:
        """Sets the cameras that get reports; reports of others are dropped."""
        self._cameras = {camera.name: camera for camera in cameras}

    def take(self, incarnation: Incarnation, batch: Batch) -> None:
        """Passes on a batch without reliable items that arrived before. Called on the worker's own thread."""
        cameras = self._cameras
        first = batch.upto - len(batch.reliable)
        for number, item in enumerate(batch.reliable, first + 1):
            if number <= incarnation.received:
                continue
            incarnation.received = number  # first: if this one fails, it is not sent again, and the others are
            if isinstance(item, KeptEvidence):
                _follow(incarnation, item.event_id, item.evidence)
                self._keep_evidence(item.event_id, item.evidence)
            elif isinstance(item, EndedCheck):
                self._keep_check(item.record)
            elif item.change.camera in cameras:
                cameras[item.change.camera].take_state(incarnation, item.number, item.change)
        for one in batch.results:
            if one.camera in cameras:
                cameras[one.camera].take_result(incarnation, one.number, one.result, one.at_s)
        for number, status in batch.statuses:
            if status.name in cameras:
                cameras[status.name].take_status(incarnation, number, replace(status, result=None))

    def request_evidence(self, incarnation: Incarnation, request: EvidenceRequest) -> None:
        """Lets a worker keep evidence of an event. Called on the worker's own thread, for one of its results."""
        incarnation.evidence.append(request)
        _follow(incarnation, request.event.id, Evidence())

    def end(self, incarnation: Incarnation) -> None:
        """Called when a worker's process has ended: evidence that it had yet to keep says that there will be none."""
        unfinished, incarnation.unfinished = incarnation.unfinished, {}
        for event_id, evidence in unfinished.items():
            problem = NO_CLIP if evidence.bytes else NO_WORKER
            self._keep_evidence(event_id, replace(evidence, problem=problem))


def _follow(incarnation: Incarnation, event_id: str, evidence: Evidence) -> None:
    """Notes the evidence so far of an event; without a clip and without a reason for that, more will follow."""
    unfinished = incarnation.unfinished
    unfinished.pop(event_id, None)
    if evidence.clip is None and not evidence.problem:
        unfinished[event_id] = evidence
    if len(unfinished) > MAX_UNFINISHED:
        del unfinished[next(iter(unfinished))]
