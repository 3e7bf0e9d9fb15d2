"""Retention of evidence: deletes what is too old or too large, first the reference to a file, then the file."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.storage.events import Events
from stream_detect.storage.records import Event, EventFilter, Evidence

DAY_S = 86_400.0
KEPT_TO = 0.9
"""Above the size limit, evidence is deleted down to this share of it, so that not every event needs a deletion."""


@dataclass(frozen=True, slots=True)
class Purged:
    """Deleted evidence.

    Args:
        events: number of events that lost their evidence.
        bytes: size of the deleted files.
    """

    events: int
    bytes: int


def purge(delete: Callable[[Evidence], None], events: Events, before_s: float, max_bytes: int) -> Purged:
    """Deletes evidence of events that began before a time, and the oldest above a size; the events are kept.

    Args:
        delete: deletes the files of an `Evidence`.
        events: events that refer to them.
        before_s: wall clock, unix seconds.
        max_bytes: maximum size of all evidence.

    Raises:
        StorageError: the database or the folder cannot be used; earlier deletions remain.
    """
    total = events.evidence_bytes()
    enough = total if total <= max_bytes else int(max_bytes * KEPT_TO)
    gone = Purged(0, 0)
    while True:
        batch = events.with_evidence()
        for event in batch:
            old = event.began_s < before_s
            if event.evidence is None or not (old or total > enough):
                return gone
            why = "it was too old (evidence.days)" if old else "there was no room left (evidence.max_bytes)"
            events.update(event.id, evidence=Evidence(problem=f"evidence was deleted: {why}"))
            delete(event.evidence)
            total -= event.evidence.bytes
            gone = Purged(gone.events + 1, gone.bytes + event.evidence.bytes)
        if not batch:
            return gone


FRESH_S = 300.0
"""A running server may still be writing evidence of this age, so it is kept."""

PURGED = "evidence was deleted by an operator"


@dataclass(frozen=True, slots=True)
class Purge:
    """Selects evidence to delete.

    Args:
        days: minimum age of the events in days; 0 for all except evidence that may still be written.
        camera: only of this camera; None for all.
        here: only evidence with a file in this folder; None for all.
    """

    days: float
    camera: str | None = None
    here: EvidenceFolder | None = None

    def wanted(self, events: Events, now: Callable[[], float] = time.time) -> Iterator[Event]:
        """Yields events that would lose their evidence, newest first.

        Raises:
            StorageError: the database cannot be read.
        """
        before = EventFilter(camera=self.camera, kind="fake", to_s=now() - max(self.days * DAY_S, FRESH_S), open=False)
        cursor: str | None = None
        while True:
            page = events.page(before, cursor, 500)
            yield from (event for event in page.items if event.evidence is not None and self.is_meant(event.evidence))
            cursor = page.next
            if cursor is None:
                return

    def is_meant(self, evidence: Evidence) -> bool:
        """Whether it has files, and in the right folder."""
        return evidence.bytes > 0 and (self.here is None or self.here.holds(evidence))

    def do(self, events: Events, folder: EvidenceFolder) -> Purged:
        """Deletes the evidence: first the reference, then the file.

        Raises:
            StorageError: the database or the folder cannot be used; earlier deletions remain.
        """
        count = size = 0
        for event in self.wanted(events):
            events.update(event.id, evidence=Evidence(problem=PURGED))
            if event.evidence is not None:
                folder.delete(event.evidence)
                size += event.evidence.bytes
            count += 1
        return Purged(count, size)
