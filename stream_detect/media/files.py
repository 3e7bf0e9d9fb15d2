"""Writes files atomically: a file is complete or absent, even if the process or the power fails."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from stream_detect.errors import DiskFullError, StorageError

PART = ".part"
"""Ending of files that are being written: never referenced, swept at the next start."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def put_whole(path: Path, put: Callable[[Path], None]) -> int:
    """Write a file, readable by its owner alone: under another name, down to the disk, and only then under its own.

    Args:
        path: of the file; its folder exists.
        put: writes it to the path that it is given.

    Returns:
        its size in bytes.

    Raises:
        DiskFullError: there is no room.
        StorageError: it cannot be written.
    """
    part = path.with_name(f".{path.name}{PART}")
    try:
        try:
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


def flush(path: Path) -> int:
    """Syncs a file or folder to the disk; returns its size in bytes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        return os.fstat(handle).st_size
    finally:
        os.close(handle)


def check_room(folder: Path, min_free_bytes: int, setting: str, bytes_more: int = 0) -> None:
    """Raises an error unless there is room to write.

    Args:
        folder: where; it or its parent exists.
        min_free_bytes: left free on its disk.
        setting: that says so.
        bytes_more: to be written.

    Raises:
        DiskFullError: too little would be left free.
        StorageError: the free space cannot be read.
    """
    try:
        free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
    except OSError as error:
        raise translated(error, folder) from error
    if free - bytes_more < min_free_bytes:
        raise DiskFullError(
            f"the disk is full: {free / 1e6:.0f} MB are free, {min_free_bytes / 1e6:.0f} MB are to stay free "
            f"({setting})"
        )


def translated(error: OSError, folder: Path) -> StorageError:
    """The system's error about a file in a folder, as an error of ours."""
    if error.errno in _FULL:
        return DiskFullError(f"the disk is full: no room is left in {folder}")
    return StorageError(f"expected {folder} to be readable and writable, received {error.strerror or error}")
