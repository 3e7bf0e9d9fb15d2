"""A folder for the files of one worker process, which is emptied when that process has ended."""

import contextlib
import secrets
import shutil
from pathlib import Path

from stream_detect.errors import StorageError
from stream_detect.media.files import check_room, translated
from stream_detect.storage.lock import FolderLock

_TRIES = 5


class ProcessFolder:
    """A folder for this process only; creating it removes those of killed processes.

    Args:
        path: parent folder for all workers of a node; created if missing.
        min_free_bytes: free space to keep on its disk.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, path: Path, min_free_bytes: int) -> None:
        self._min_free_bytes = min_free_bytes
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sweep(path)
            self._path, self._lock = _locked(path)
        except OSError as error:
            raise translated(error, path) from error

    def check_room(self, bytes_more: int) -> None:
        """Checks the free space.

        Raises:
            DiskFullError: less than the minimum would remain free.
            StorageError: the free space cannot be read.
        """
        check_room(self._path, self._min_free_bytes, "review.min_free_bytes", bytes_more)

    def made(self) -> Path:
        """Creates a folder in it, accessible only to its owner.

        Raises:
            StorageError: it cannot be created.
        """
        made = self._path / secrets.token_hex(16)
        try:
            made.mkdir(mode=0o700)
        except OSError as error:
            raise translated(error, self._path) from error
        return made

    def close(self) -> None:
        """Deletes it."""
        shutil.rmtree(self._path, ignore_errors=True)
        self._lock.close()


def _locked(path: Path) -> tuple[Path, FolderLock]:
    """Creates a locked folder. If another process removes it before it is locked, another one is created.

    Raises:
        StorageError: the parent folder cannot be used.
        OSError: it cannot be created.
    """
    for _ in range(_TRIES):
        made = path / secrets.token_hex(16)
        made.mkdir(mode=0o700)
        with contextlib.suppress(StorageError, FileNotFoundError):
            lock = FolderLock(made)
            if made.is_dir():
                return made, lock
            lock.close()  # of a file that was removed between its opening and its locking
    raise StorageError(f"expected to write in {path}, but its folder was removed again and again")


def _sweep(path: Path) -> None:
    for left in path.iterdir():
        with contextlib.suppress(StorageError, OSError), FolderLock(left):
            shutil.rmtree(left)
