"""The database: opens and migrates it, runs transactions, and closes it.

It is SQLite in the storage folder by default, or PostgreSQL by URL. Both accept calls from any thread. The folder,
which also has the evidence, can be used by one server at a time; two servers with different folders must not share a
PostgreSQL database.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Literal, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from stream_detect.errors import StorageError
from stream_detect.extras import require
from stream_detect.settings import StorageSettings
from stream_detect.storage.faults import Faults
from stream_detect.storage.lock import FolderLock
from stream_detect.storage.retention_clock import RetentionClock

MIGRATIONS = Path(__file__).parent / "migrations"
FILE_NAME = "stream-detect.sqlite3"
BUSY_S = 2.5
"""How long a writer waits for its turn in this process, and then for other programs that use the file. Our transactions
are short. A request that writes occupies one of forty threads; all must be answered within five seconds."""

WRITERS = 8
"""Number of threads that may wait to write; others get an error at once."""

WRITES = "stream_detect_writes"
VERSION_TABLE = "alembic_version"
POSTGRESQL_NAMES = ("postgresql", "postgres", "postgresql+psycopg")
POSTGRESQL_DEFAULTS: Mapping[str, str] = {
    "application_name": "stream-detect",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",  # ms; after this time a vanished server is noticed
    "options": "-c statement_timeout=30s -c lock_timeout=10s",
}
"""Parameters for an address that does not set them: nothing may wait for ever."""


class Database:
    """An open database.

    Args:
        engine: SQLAlchemy's engine.
        faults: converts errors.
        lock: lock of its folder; None if it is shared.
        retention: checks the wall clock; None if it is shared.
    """

    def __init__(
        self, engine: Engine, faults: Faults, lock: FolderLock | None, retention: RetentionClock | None = None
    ) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{WRITES: True})
        self._faults = faults
        self._lock = lock
        self._retention = retention
        self._writers = BoundedSemaphore(WRITERS)
        # SQLite has one writer at a time, and lets the others poll: on a busy machine one of them found it locked for
        # all of BUSY_S. Here the one that has waited longest is next.
        self._turns = BoundedSemaphore(1 if self.dialect == "sqlite" else WRITERS)

    @classmethod
    def open(cls, settings: StorageSettings, *, alone: bool = True, create: bool = True) -> Self:
        """Opens a database; creates it if missing, and migrates it if it is older than this program.

        Args:
            settings: location of the database.
            alone: whether no other server may use the folder; False for a command next to a running server.
            create: False for a command that examines what a server wrote: a database that is missing is an error.

        Raises:
            DiskFullError: there is not enough space.
            StorageError: it cannot be reached, read or written; another server uses the folder; a newer version made
                the tables; or a server of another version uses them.
            MissingExtraError: PostgreSQL's driver is not installed.
        """
        file = settings.folder / FILE_NAME
        if settings.database_url is None:
            engine, faults = _sqlite(file), Faults(str(file), folder=settings.folder)
        else:
            engine, faults = _postgresql(settings.database_url.get_secret_value())
        is_new = not (settings.folder.exists() if settings.database_url else file.exists())
        if is_new and not create and settings.database_url is None:
            raise _missing(faults)
        with Faults(str(settings.folder), folder=settings.folder).translated():
            settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if settings.database_url is None:
                file.touch(mode=0o600)
                file.chmod(0o600)  # it contains camera passwords; its log files get the same permissions
            lock = FolderLock(settings.folder) if alone else None
        database = cls(engine, faults, lock, RetentionClock(settings.folder, is_new=is_new) if alone else None)
        database._prepare(settings.folder, create=create)
        return database

    def may_delete(self) -> bool:
        """Whether old entries may be deleted; False after the clock jumped, see `RetentionClock`."""
        return self._retention is None or self._retention.may_delete()

    def _prepare(self, folder: Path, *, create: bool) -> None:
        """Creates or migrates the tables; not under a server that still runs with the older ones."""
        try:
            with self._faults.translated(), self._writing.begin() as connection:
                if not create:
                    _check_used(connection, self._faults)
                if not _is_current(connection):
                    from stream_detect.storage.migrations import migrate  # noqa: PLC0415 - Alembic takes .14 s to import

                    is_shared = self._lock is None and inspect(connection).has_table(VERSION_TABLE)
                    with _without_server(folder) if is_shared else contextlib.nullcontext():
                        migrate(connection)
        except BaseException:
            self.close()
            raise

    @property
    def dialect(self) -> str:
        """Its dialect: "sqlite" or "postgresql"."""
        return self._engine.dialect.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes connections and releases the folder; running calls end first or fail."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def check(self) -> None:
        """Runs a small query.

        Raises:
            StorageError: the database does not respond.
        """
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only transaction: it sees a consistent snapshot and never waits for a writer."""
        with self._faults.translated(), Session(self._engine) as session:
            yield session

    @contextlib.contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is on disk after the block, or rolled back if the block raises.

        Raises:
            StorageError: the database does not respond in time, or too many threads wait for it.
        """
        if not self._writers.acquire(blocking=False):
            raise StorageError("the database is busy: too many changes are waiting; try again in a moment")
        try:
            if not self._turns.acquire(timeout=BUSY_S):
                raise StorageError("the database is busy: another change takes too long; try again in a moment")
            try:
                with self._faults.translated(), Session(self._writing) as session, session.begin():
                    yield session
            finally:
                self._turns.release()
        finally:
            self._writers.release()


def tables_of(settings: StorageSettings) -> Literal["none", "older", "current"]:
    """Which tables a database has, for this program. Creates and changes nothing.

    Raises:
        StorageError: it cannot be reached or read, or a newer version made the tables.
        MissingExtraError: PostgreSQL's driver is not installed.
    """
    file = settings.folder / FILE_NAME
    if settings.database_url is not None:
        engine, faults = _postgresql(settings.database_url.get_secret_value())
    elif file.exists():
        engine, faults = _sqlite(file), Faults(str(file), folder=settings.folder)
    else:
        return "none"
    try:
        with faults.translated(), engine.connect() as connection:
            if _is_current(connection):
                return "current"
            from stream_detect.storage.migrations import known_revision  # noqa: PLC0415 - see `Database._prepare`

            return "none" if known_revision(connection) is None else "older"
    finally:
        engine.dispose()


def _without_server(folder: Path) -> FolderLock:
    try:
        return FolderLock(folder)
    except StorageError:
        raise StorageError(
            f"expected {folder} to be used by a server of this version, but the one that runs has other tables: "
            "restart it with this version, then repeat the command"
        ) from None


def _is_current(connection: Connection) -> bool:
    """Whether the tables are those of this program."""
    newest = max(step.name.split("_")[1] for step in MIGRATIONS.glob("versions/step_*.py"))
    if not inspect(connection).has_table(VERSION_TABLE):
        return False
    return connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")).all() == [newest]  # noqa: S608


def _check_used(connection: Connection, faults: Faults) -> None:
    """Raises the error of a missing database for one that has no tables."""
    if not inspect(connection).has_table(VERSION_TABLE):
        raise _missing(faults)


def _missing(faults: Faults) -> StorageError:
    return StorageError(
        f"expected the database of a server, found none: {faults.place}: set storage.folder, or storage.database_url, "
        "to those of the server"
    )


def _sqlite(file: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(file)), connect_args={"timeout": BUSY_S}, hide_parameters=True
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late, and not at all before reading
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):  # FULL: survives a power failure
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")  # IMMEDIATE: waits, never deadlocks


def _postgresql(address: str) -> tuple[Engine, Faults]:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise StorageError(
            "expected storage.database_url as postgresql://user:password@host/name, received something else"
        ) from None  # the driver's message contains it
    if url.drivername not in POSTGRESQL_NAMES:
        raise StorageError(f"expected storage.database_url to begin with postgresql://, received {url.drivername}://")
    require("postgres", "storage.database_url")
    arguments: dict[str, Any] = {key: value for key, value in POSTGRESQL_DEFAULTS.items() if key not in url.query}
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=arguments,
        pool_pre_ping=True,  # a broken connection is replaced
        pool_timeout=BUSY_S,
        hide_parameters=True,
    )
    place = f"PostgreSQL database {url.database or ''} at {url.host or url.query.get('host', 'this machine')}"
    return engine, Faults(place, secret=url.password)
