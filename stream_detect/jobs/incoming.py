"""Incoming files, uploaded or fetched: written and hashed as they arrive, and refused if too long."""

import hashlib
import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stream_detect.errors import BodyTooLargeError
from stream_detect.media.files import flush, translated

ROOM_EVERY_BYTES = 16_000_000
"""The free space is checked once per this many bytes."""

MAX_NAME = 200


def shown_name(name: str) -> str:
    """A sender's file name as shown to people: no folders, no characters that hide or reorder text, limited length."""
    last = name.replace("\\", "/").rpartition("/")[2]
    visible = "".join(" " if character.isspace() else character for character in last)
    visible = "".join(character for character in visible if not unicodedata.category(character).startswith("C"))
    return " ".join(visible.split())[:MAX_NAME] or "unnamed"


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A completely received file.

    Args:
        name: the sender's name for it; shown, never used as a path.
        path: where it is stored until it is moved.
        bytes: length.
        sha256: sha256 of its content.
    """

    name: str
    path: Path
    bytes: int
    sha256: str


class IncomingFile:
    """A file that is being received. Not thread-safe; calls block.

    Args:
        name: the sender's name for it.
        path: where to store it; must not exist.
        max_bytes: maximum size.
        check_room: raises DiskFullError if there is too little free space.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, name: str, path: Path, max_bytes: int, check_room: Callable[[], None]) -> None:
        self._name = name
        self._path = path
        self._max_bytes = max_bytes
        self._check_room = check_room
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._room_until_bytes = 0
        try:
            self._file = open(path, "xb", buffering=0, opener=_private)  # noqa: SIM115 - Path takes no opener
        except OSError as error:
            raise translated(error, path.parent) from error

    def write(self, chunk: bytes) -> None:
        """Writes the next bytes.

        Raises:
            BodyTooLargeError: the file becomes too large.
            DiskFullError: there is not enough space.
            StorageError: they cannot be written.
        """
        self._bytes += len(chunk)
        if self._bytes > self._max_bytes:
            raise BodyTooLargeError(
                f"expected a file of at most {self._max_bytes / 1e6:.6g} MB (review.max_upload_bytes), "
                f"{self._name} is longer"
            )
        if self._bytes >= self._room_until_bytes:
            self._check_room()
            self._room_until_bytes = self._bytes + ROOM_EVERY_BYTES
        self._digest.update(chunk)
        left = memoryview(chunk)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise translated(error, self._path.parent) from error

    def finish(self) -> ReceivedFile:
        """Completes the file.

        Raises:
            StorageError: it cannot be synced to disk.
        """
        try:
            self._file.close()
            flush(self._path)
        except OSError as error:
            raise translated(error, self._path.parent) from error
        return ReceivedFile(self._name, self._path, self._bytes, self._digest.hexdigest())

    def discard(self) -> None:
        """Deletes the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    """Opens a file that only its owner may read."""
    return os.open(path, flags, 0o600)
