"""Fixtures for tests of evidence: a database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_detect.settings import StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.events import Events


@pytest.fixture
def events(tmp_path: Path) -> Iterator[Events]:
    with Database.open(StorageSettings(folder=tmp_path / "storage")) as database:
        yield Events(database)
