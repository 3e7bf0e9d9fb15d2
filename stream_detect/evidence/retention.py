"""Retention of evidence: deletes what is too old or too large, first the reference to a file, then the file."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.storage.events import Events
from stream_detect.storage.records import Event, EventFilter, Evidence

DAY_S = 86_400.0
KEPT_TO = 0.9
"""Over the limit of bytes, evidence is deleted down to this share of it: not anew with each event."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What was deleted.

    Args:
        events: that lost their evidence.
        bytes: of it.
    """

    events: int
    bytes: int


def purge(folder: EvidenceFolder, events: Events, before_s: float, max_bytes: int) -> Purged:
    """Delete evidence of events that began before a time, and the oldest beyond a size; the events stay.

    Args:
        folder: of the files.
        events: that reference them.
        before_s: wall clock, unix seconds.
        max_bytes: of all that stays.

    Raises:
        StorageError: database or folder cannot be used; what was deleted until then stays so.
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
            folder.delete(event.evidence)
            total -= event.evidence.bytes
            gone = Purged(gone.events + 1, gone.bytes + event.evidence.bytes)
        if not batch:
            return gone


FRESH_S = 300.0
"""Evidence this young may still be written by a server that runs: it stays."""

PURGED = "evidence was deleted by an operator"


@dataclass(frozen=True, slots=True)
class Purge:
    """What shall go.

    Args:
        days: evidence of events that began longer ago; 0 takes all but what is written just now.
        camera: of this one only; None takes all.
    """

    days: float
    camera: str | None = None

    def wanted(self, events: Events, now: Callable[[], float] = time.time) -> Iterator[Event]:
        """Events that would lose their evidence, the newest first.

        Raises:
            StorageError: the database cannot be read.
        """
        before = EventFilter(camera=self.camera, kind="fake", to_s=now() - max(self.days * DAY_S, FRESH_S), open=False)
        cursor: str | None = None
        while True:
            page = events.page(before, cursor, 500)
            yield from (event for event in page.items if event.evidence is not None and event.evidence.bytes)
            cursor = page.next
            if cursor is None:
                return

    def do(self, events: Events, folder: EvidenceFolder) -> Purged:
        """Deletes it: first the reference, then the file.

        Raises:
            StorageError: database or folder cannot be used; what was deleted until then stays so.
        """
        count = size = 0
        for event in self.wanted(events):
            events.update(event.id, evidence=Evidence(problem=PURGED))
            if event.evidence is not None:
                folder.delete(event.evidence)
                size += event.evidence.bytes
            count += 1
        return Purged(count, size)
