"""Every test of the database runs on SQLite and on this session's PostgreSQL."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from stream_detect.settings import StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.records import Event, Evidence, Judge

PASSWORD = "hunter2-of-tests"
JUDGE = Judge("meso4", "ab" * 32, 0.9, 0.7, 0.1, 0.3)


class Cluster:
    """A PostgreSQL server in a folder; run as the user postgres if we are root, because it refuses to run as root."""

    def __init__(self, folder: Path) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            pytest.skip("PostgreSQL is absent: apt-get install postgresql")
        self.bin = found[-1].parent
        self.folder = folder
        self.count = 0
        self._as = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups") if os.geteuid() == 0 else ()
        if self._as:
            shutil.chown(folder, "postgres", "postgres")
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "-D", str(folder / "data"), "-U", "tester", "-A", "scram-sha-256",
                  f"--pwfile={password}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, str(self.bin / program), *arguments],
            check=False,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        options = (
            f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off -c max_connections=40"
        )
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options, "-w", "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def url(self, name: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://tester:{password}@/{name}?host={self.folder}"

    def new(self) -> str:
        """Address of a new, empty database."""
        self.count += 1
        name = f"test_{self.count}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def waits_for_a_row(database: Database) -> bool:
    """Whether a connection to a PostgreSQL waits for another one's lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with database.reading() as session:
        return bool(session.scalar(text(query)))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(
        prefix="sd-pg-"
    ) as name:  # pytest's own folders are only accessible to root, and their paths too long
        Path(name).chmod(0o755)
        cluster = Cluster(Path(name))
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def settings(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> StorageSettings:
    """Storage settings of an empty database."""
    url = SecretStr(request.getfixturevalue("cluster").new()) if dialect == "postgresql" else None
    return StorageSettings(folder=tmp_path / "data", database_url=url)


@pytest.fixture
def database(settings: StorageSettings) -> Iterator[Database]:
    with Database.open(settings) as database:
        yield database


@pytest.fixture(scope="session")
def make_event() -> Callable[..., Event]:
    """Makes events with distinct ids; by default, ongoing fake events."""
    count = 0

    def make(began_s: float = 1000.0, **given: Any) -> Event:
        nonlocal count
        count += 1
        values: dict[str, Any]
        values = {"id": f"{count:032x}", "camera": "door", "kind": "fake", "began_s": began_s, "ended_s": None,
                  "reason": "a face looks fake", "peak": 0.97, "mean": 0.9, "track": 3, "judge": JUDGE}  # fmt: skip
        return Event(**(values | given))

    return make


@pytest.fixture(scope="session")
def evidence() -> Evidence:
    return Evidence("e/picture.jpg", "e/face.jpg", None, 120_000)
