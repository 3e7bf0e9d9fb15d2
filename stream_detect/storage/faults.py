"""Converts errors of drivers and the system to `StorageError`, without statements, parameters and addresses."""

import contextlib
import errno
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from stream_detect.errors import ConflictError, DiskFullError, StorageError

NO_ROOM_BYTES = 1_000_000
"""SQLite also needs space for the index of its write-ahead log; with less left, an I/O error means a full disk."""

SAID_LENGTH = 400

POSTGRESQL_DISK_FULL = "53100"
"""SQLSTATE for a full disk of the server."""

FULL = "free some space, or lower evidence.max_bytes and the days in storage; writing then continues by itself"
CURES = {
    sqlite3.SQLITE_BUSY: "another process kept it locked for too long; stop it",
    sqlite3.SQLITE_READONLY: "it must be writable for the user that runs this program",
    sqlite3.SQLITE_CANTOPEN: "the folder and the file must be writable for the user that runs this program",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database; move it away, or restore a backup",
}


class Faults:
    """Converts errors of the database, with its location.

    Args:
        place: location of the database as shown to people, without secrets.
        folder: folder of the SQLite file; None for PostgreSQL.
        secret: replaced in all messages of the driver.
    """

    def __init__(self, place: str, folder: Path | None = None, secret: str | None = None) -> None:
        self.place = place
        self._folder = folder
        self._secret = secret

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Wraps everything that uses the database.

        Raises:
            DiskFullError: there is not enough space.
            ConflictError: a row with that key exists.
            StorageError: any other error of the database or the system.
        """
        try:
            yield
        except IntegrityError as error:
            raise ConflictError(f"expected a new entry in {self.place}, received an existing one") from error
        except DBAPIError as error:
            raise self._of_driver(error.orig) from error
        except PoolTimeoutError as error:
            raise StorageError(f"{self.place} is too slow: all connections to it stayed busy") from error
        except SQLAlchemyError as error:
            raise StorageError(f"{self.place}: {type(error).__name__}") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._full() from error
            raise StorageError(
                f"expected {self.place} to be readable and writable, received {error.strerror}"
            ) from error

    def _of_driver(self, error: BaseException | None) -> StorageError:
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code, which extended ones refine
            if code == sqlite3.SQLITE_FULL or (
                code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and self._no_room()
            ):
                return self._full()
            return StorageError(f"{self.place}: {error}: {CURES.get(code, 'see the message')}")
        # psycopg's errors have these two attributes; the driver, an optional package, need not be imported.
        if getattr(error, "sqlstate", None) == POSTGRESQL_DISK_FULL:
            return self._full()
        if primary := getattr(getattr(error, "diag", None), "message_primary", None):
            return StorageError(f"{self.place}: {primary}")  # the detail may contain a row
        said = " ".join(str(error).split())
        if self._secret:
            said = said.replace(self._secret, "***")
        return StorageError(
            f"{self.place} cannot be used ({said[:SAID_LENGTH]}): "
            "check that it is running and that storage.database_url is correct"
        )

    def _no_room(self) -> bool:
        return self._folder is not None and shutil.disk_usage(self._folder).free < NO_ROOM_BYTES

    def _full(self) -> DiskFullError:
        return DiskFullError(f"the disk of {self.place} is full: {FULL}")
