"""Purging by hand: which events' evidence shall go enters; the files and their references leave, the events stay."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stream_detect.monitoring.files import EvidenceFolder
from stream_detect.monitoring.retention import DAY_S, Purged
from stream_detect.storage.events import Events
from stream_detect.storage.records import Event, EventFilter, Evidence

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
