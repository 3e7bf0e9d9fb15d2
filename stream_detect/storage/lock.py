"""The lock of a storage folder, for one server at a time; the system releases it when the process ends."""

import os
import sys
from pathlib import Path
from typing import Self

from stream_detect.errors import StorageError

LOCK_NAME = "stream-detect.lock"


class FolderLock:
    """Lock of a folder, held from construction to `close`.

    Args:
        folder: existing, writable folder.

    Raises:
        OSError: the folder cannot be written.
        StorageError: another process holds it; the message says which.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._file)
        except OSError:
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise StorageError(
                f"expected {folder} for this server alone, but process {holder} uses it: "
                "stop that process, or choose another storage.folder"
            ) from None
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Releases the lock. The file is kept: after its removal two processes could hold it."""
        os.close(self._file)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, 64, os.SEEK_SET)  # after the content, because Windows locks reading as well
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
