"""Fixtures for tests of events: a database, and a clock that tests set."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_detect.settings import StorageSettings
from stream_detect.storage.database import Database
from tests.events.memory import Memory
from tests.scenes import Clock


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    storage = StorageSettings(folder=tmp_path)
    with Database.open(storage) as database:
        yield Memory(database, storage)


@pytest.fixture
def clock() -> Clock:
    return Clock()
