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
    """A folder of this process alone; those that processes left when they were killed are removed when it is made.

    Args:
        path: where such folders are, of all workers of a node; made if absent.
        min_free_bytes: left free on its disk.

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
        """Whether so much can be written.

        Raises:
            DiskFullError: too little would be left free.
            StorageError: the disk cannot be asked.
        """
        check_room(self._path, self._min_free_bytes, "review.min_free_bytes", bytes_more)

    def made(self) -> Path:
        """A new folder in it, for its owner alone.

        Raises:
            StorageError: it cannot be made.
        """
        made = self._path / secrets.token_hex(16)
        try:
            made.mkdir(mode=0o700)
        except OSError as error:
            raise translated(error, self._path) from error
        return made

    def close(self) -> None:
        """Removes it."""
        shutil.rmtree(self._path, ignore_errors=True)
        self._lock.close()


def _locked(path: Path) -> tuple[Path, FolderLock]:
    """A new folder that is locked. Another process may sweep it between its making and its lock: then another one is.

    Raises:
        StorageError: there is no such place.
        OSError: it cannot be made.
    """
    for _ in range(_TRIES):
        made = path / secrets.token_hex(16)
        made.mkdir(mode=0o700)
        with contextlib.suppress(StorageError, FileNotFoundError):
            return made, FolderLock(made)
    raise StorageError(f"expected {path} to be writable, received folders that others removed at once")


def _sweep(path: Path) -> None:
    for left in path.iterdir():
        with contextlib.suppress(StorageError, OSError), FolderLock(left):
            shutil.rmtree(left)
