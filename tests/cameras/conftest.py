"""Fixtures for tests of cameras: scripted cameras, and a database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_detect.settings import StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.events import Events
from tests.scripted_camera import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


@pytest.fixture
def events(tmp_path: Path) -> Iterator[Events]:
    with Database.open(StorageSettings(folder=tmp_path)) as database:
        yield Events(database)
