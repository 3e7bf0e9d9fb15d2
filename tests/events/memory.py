"""A real database for recorders and journals that can be made unavailable, and a record of announcements."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from stream_detect.errors import StorageError
from stream_detect.events.journal import Ledger
from stream_detect.settings import StorageSettings
from stream_detect.storage.checks import Checks
from stream_detect.storage.database import Database
from stream_detect.storage.deliveries import Deliveries
from stream_detect.storage.events import Events
from stream_detect.storage.history import History
from stream_detect.storage.records import Delivery, Event, EventFilter
from tests.scenes import JUDGE, WALL_S


@dataclass
class Memory:
    """A real database that can be made unavailable."""

    database: Database
    storage: StorageSettings
    announced: list[tuple[str, Event, bool]] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self.events = Events(self.database)
        self.history = History(self.database)
        self.checks = Checks(self.database)
        self.ledger = Ledger(self.events, self.history, self.checks, self.storage, self.deliveries_for, (self,))

    def deliveries_for(self, event: Event, what: str) -> list[Delivery]:
        self.sent += 1
        return [Delivery(f"{self.sent:032x}", "hook", event.id, what, 0, WALL_S)]

    def announce(self, event: Event, what: str) -> None:
        """Records whether it was in the database, with its deliveries, when it was announced."""
        kept = self.events.get(event.id)
        bodies = [one.body for one in Deliveries(self.database).due(WALL_S + 1e6) if one.event_id == event.id]
        self.announced.append((what, event, what in bodies and (kept.ended_s is None) == (what == "began")))

    def words(self) -> list[tuple[str, str]]:
        return [(what, event.kind) for what, event, _ in self.announced]

    @contextmanager
    def away(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> Iterator[None]:
        @contextmanager
        def fails() -> Iterator[None]:
            raise error or StorageError("the database is away")
            yield

        with monkeypatch.context() as broken:
            broken.setattr(self.database, "writing", fails)
            yield


def open_ones(memory: Memory) -> Sequence[Event]:
    return memory.events.page(EventFilter(open=True)).items


def fake(number: int = 0, **values: Any) -> Event:
    return replace(Event(f"{number:032x}", "door", "fake", WALL_S, None, "why", judge=JUDGE), **values)
