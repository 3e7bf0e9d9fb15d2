"""The folder of evidence files, which are written atomically: a file is complete or absent."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from stream_detect.errors import NotFoundError
from stream_detect.media.files import PART, check_room, put_whole, translated
from stream_detect.settings import EvidenceSettings, StorageSettings
from stream_detect.storage.records import Event, Evidence

FOLDER = "evidence"
"""Name of the folder in the storage folder."""


def names_of(evidence: Evidence) -> tuple[str, ...]:
    """Names of the files that it refers to."""
    return tuple(name for name in (evidence.picture, evidence.face, evidence.clip) if name is not None)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise translated(error, path.parent) from error


class EvidenceFolder:
    """Files named `<event id>-<what>.<suffix>`, in one folder.

    Args:
        path: path of the folder; created on the first write, accessible only to its owner.
        min_free_bytes: free space to keep on its disk.
    """

    def __init__(self, path: Path, min_free_bytes: int) -> None:
        self._path = path
        self._min_free_bytes = min_free_bytes

    @classmethod
    def of(cls, storage: StorageSettings, evidence: EvidenceSettings) -> Self:
        """The folder that the settings name."""
        return cls(storage.folder / FOLDER, evidence.min_free_bytes)

    def path(self, name: str) -> Path:
        """Path of a file that an `Evidence` refers to.

        Raises:
            NotFoundError: the name is invalid, or there is no such file.
        """
        path = self._path / name
        try:
            found = path.parent == self._path and not name.startswith(".") and path.is_file()
        except OSError:  # no file can have this name
            found = False
        if not found:
            raise NotFoundError(
                "expected the name of an evidence file, received an unknown name; it may have been deleted"
            )
        return path

    def check_room(self, bytes_more: int = 0) -> None:
        """Checks the free space.

        Raises:
            DiskFullError: less than the minimum would remain free.
            StorageError: the free space cannot be read.
        """
        check_room(self._path, self._min_free_bytes, "evidence.min_free_bytes", bytes_more)

    def write(self, name: str, bytes_about: int, put: Callable[[Path], None]) -> int:
        """Writes a file atomically (`media.files.put_whole`).

        Args:
            name: name of the file.
            bytes_about: approximate size.
            put: writes the content to the path that it is given.

        Returns:
            Its size in bytes.

        Raises:
            DiskFullError: there is not enough space, or less than the minimum would remain.
            StorageError: it cannot be written.
        """
        self.check_room(bytes_about)
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise translated(error, self._path) from error
        return put_whole(self._path / name, put)

    def holds(self, evidence: Evidence) -> bool:
        """Whether a file of an `Evidence` is here; in a cluster it is on the node that watched the camera."""
        return any((self._path / name).is_file() for name in names_of(evidence))

    def delete(self, evidence: Evidence) -> None:
        """Deletes the files of an `Evidence`; missing ones are ignored.

        Raises:
            StorageError: one cannot be deleted.
        """
        for name in names_of(evidence):
            try:
                self.path(name).unlink(missing_ok=True)
            except NotFoundError:
                continue
            except OSError as error:
                raise translated(error, self._path) from error

    def names(self) -> list[str]:
        """Names of all files in the folder, complete or not.

        Raises:
            StorageError: the folder cannot be read.
        """
        try:
            return sorted(path.name for path in self._path.iterdir() if path.is_file()) if self._path.is_dir() else []
        except OSError as error:
            raise translated(error, self._path) from error

    def sweep(self, names: Sequence[str], event_of: Callable[[str], Event]) -> None:
        """Deletes files that no event refers to: left by a killed process.

        Args:
            names: names of files that nobody is writing; not those of this process, whose events may not refer to them
                yet.
            event_of: returns the event with an id; raises NotFoundError.

        Raises:
            StorageError: the folder or the database cannot be used.
        """
        for name in names:
            if not self._referenced(name, event_of):
                try:
                    (self._path / name).unlink(missing_ok=True)
                except OSError as error:
                    raise translated(error, self._path) from error

    def _referenced(self, name: str, event_of: Callable[[str], Event]) -> bool:
        if name.endswith(PART):
            return False
        try:
            evidence = event_of(name.partition("-")[0]).evidence
        except NotFoundError:
            return False
        return evidence is not None and name in names_of(evidence)
