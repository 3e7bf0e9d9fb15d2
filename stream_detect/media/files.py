"""Writes files atomically: a file is complete or absent, even if the process or the power fails; replaces folders."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from stream_detect.errors import DiskFullError, StorageError

PART = ".part"
"""Suffix of files that are being written; they are never referenced, and removed at the next start."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def put_whole(path: Path, put: Callable[[Path], None], *, private: bool = True) -> int:
    """Writes a file atomically: to a temporary name, synced to disk, then renamed.

    Args:
        path: path of the file; its folder exists.
        put: writes the content to the path that it is given.
        private: only the owner may read and write the file; otherwise the process's umask decides, as for any file.

    Returns:
        The size in bytes.

    Raises:
        DiskFullError: there is not enough space.
        StorageError: it cannot be written.
    """
    part = path.with_name(f".{path.name}{PART}")
    try:
        try:
            if private:
                part.touch(mode=0o600)
                part.chmod(0o600)
            put(part)
            size = flush(part)
            part.replace(path)
            flush(path.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise translated(error, path.parent) from error
    return size


def put_folder(new: Path, to: Path) -> None:
    """Puts a folder in the place of another one, which is absent between two renames only, and stays if they fail.

    Args:
        new: on the same file system as `to`; moved.
        to: its new place; a folder that is there is deleted.

    Raises:
        OSError: it cannot be moved.
    """
    before = to.with_name(f".{to.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    if to.exists():
        to.rename(before)
    try:
        new.rename(to)
    except OSError:
        if before.exists():
            before.rename(to)
        raise
    shutil.rmtree(before, ignore_errors=True)


def flush(path: Path) -> int:
    """Syncs a file or folder to the disk and returns its size in bytes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        return os.fstat(handle).st_size
    finally:
        os.close(handle)


def check_room(folder: Path, min_free_bytes: int, setting: str, bytes_more: int = 0) -> None:
    """Checks that there is enough free space.

    Args:
        folder: where to write; it or its parent exists.
        min_free_bytes: free space to keep on its disk.
        setting: name of the setting that requires it.
        bytes_more: bytes to be written.

    Raises:
        DiskFullError: less would remain free.
        StorageError: the free space cannot be read.
    """
    try:
        free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
    except OSError as error:
        raise translated(error, folder) from error
    if free - bytes_more < min_free_bytes:
        raise DiskFullError(
            f"the disk is full: {free / 1e6:.0f} MB are free, {min_free_bytes / 1e6:.0f} MB must stay free ({setting})"
        )


def translated(error: OSError, folder: Path) -> StorageError:
    """Converts a system error about a file in a folder to one of our errors."""
    if error.errno in _FULL:
        return DiskFullError(f"the disk with {folder} is full")
    return StorageError(f"expected {folder} to be readable and writable, received {error.strerror or error}")
