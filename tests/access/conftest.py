"""A database, accounts with a fast password hash, and a clock that tests set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from stream_detect.access.accounts import Accounts
from stream_detect.access.directory import Directory
from stream_detect.access.passwords import Passwords
from stream_detect.settings import AccessSettings, ServerSettings, StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.users import StoredUsers
from stream_detect.types import Role

PASSWORD = "four random words here"


class House:
    """The users of a server: directory, accounts and tables."""

    def __init__(self, database: Database) -> None:
        self.now_s = 1_000_000.0
        self.database = database
        self.stored = StoredUsers(database, self.clock)
        self.make()

    def clock(self) -> float:
        return self.now_s

    def make(self, server: ServerSettings | None = None, **access: Any) -> "House":
        """Changes the settings."""
        settings = AccessSettings(**access)
        self.accounts = Accounts(self.stored, settings, Passwords(PasswordHasher(1, 8, 1)), self.clock)
        self.directory = Directory(self.stored, server or ServerSettings(), settings, self.clock)
        return self

    def add(self, name: str, role: Role = Role.ADMIN) -> None:
        self.accounts.add(name, role, PASSWORD)
        self.directory.refresh()

    def signed_in(self, name: str) -> bytes:
        """The cookie of a new session."""
        value = self.accounts.sign_in(name, PASSWORD).encode()
        self.directory.refresh()
        return value


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Database.open(StorageSettings(folder=tmp_path / "data")) as database:
        yield House(database)
