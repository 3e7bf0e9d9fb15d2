"""The inbox of the head: passes reports of workers to cameras, and to what keeps evidence and records of checks."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from stream_detect.cluster.camera import RemoteCamera
from stream_detect.cluster.members import Incarnation
from stream_detect.cluster.messages import Batch, EndedCheck, KeptEvidence
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.records import Evidence


class Inbox:
    """Takes the batches of all workers. Thread-safe."""

    def __init__(self) -> None:
        self._cameras: dict[str, RemoteCamera] = {}  # those that have a worker; another one with each change
        self._keep_evidence: Callable[[str, Evidence], None] = lambda _event_id, _evidence: None
        self._keep_check: Callable[[CheckRecord], None] = lambda _record: None

    def report_evidence_to(self, keep: Callable[[str, Evidence], None]) -> None:
        """What is given the evidence of an event, by the event's id."""
        self._keep_evidence = keep

    def report_checks_to(self, keep: Callable[[CheckRecord], None]) -> None:
        """What is given the records of live checks that ended on workers."""
        self._keep_check = keep

    def deliver_to(self, cameras: Iterable[RemoteCamera]) -> None:
        """From now on reports reach these cameras; reports of others are dropped."""
        self._cameras = {camera.name: camera for camera in cameras}

    def take(self, incarnation: Incarnation, batch: Batch) -> None:
        """Passes a batch on; reliable items that arrived before are left out. On the thread of the worker's member."""
        cameras = self._cameras
        first = batch.upto - len(batch.reliable)
        for item in batch.reliable[max(incarnation.received - first, 0) :]:
            if isinstance(item, KeptEvidence):
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
