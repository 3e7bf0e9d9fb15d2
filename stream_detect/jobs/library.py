"""The library: the files of analyses, one folder for each.

    storage.folder/analyses/
      incoming/HEX                  incoming files; removed at the next start
      deleted/HEX                   folders that are being deleted; removed at the next start
      ID/original                   the file as it was received
      ID/results.json               see docs/protocol.md
      ID/flagged-MODEL-N.jpg        a flagged frame, and map-MODEL-N.jpg; models are numbered as in the analysis
      ID/annotated-MODEL.mp4|.jpg   on request

No name of a file comes from its sender.
"""

import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable, Container
from pathlib import Path

from stream_detect.errors import NotFoundError, StorageError
from stream_detect.jobs.incoming import IncomingFile, ReceivedFile
from stream_detect.media.files import PART, check_room, put_whole, translated
from stream_detect.settings import ReviewSettings

FOLDER = "analyses"
"""Name of the folder in the storage folder."""

ORIGINAL = "original"
RESULTS = "results.json"
_INCOMING = "incoming"
_DELETED = "deleted"
_ID = re.compile(r"[0-9a-f]{32}")
_SHARED = (ORIGINAL, "flagged-", "map-")

log = logging.getLogger(__name__)


def flagged_name(model: int, n: int) -> str:
    """File name of a flagged frame."""
    return f"flagged-{model}-{n}.jpg"


def map_name(model: int, n: int) -> str:
    """File name of a heat map of a flagged face."""
    return f"map-{model}-{n}.jpg"


def annotated_name(model: int, kind: str) -> str:
    """File name of the annotated video or picture."""
    return f"annotated-{model}.{'jpg' if kind == 'image' else 'mp4'}"


class Library:
    """The folder with the files of all analyses. Thread-safe.

    Args:
        path: path of the folder; created on the first write, accessible only to its owner.
        settings: limits.
    """

    def __init__(self, path: Path, settings: ReviewSettings) -> None:
        self._path = path
        self._settings = settings

    def check_room(self, bytes_more: int = 0) -> None:
        """Checks the free space.

        Raises:
            DiskFullError: less than the minimum would remain free.
            StorageError: the free space cannot be read.
        """
        check_room(self._path, self._settings.min_free_bytes, "review.min_free_bytes", bytes_more)

    def incoming(self, name: str) -> IncomingFile:
        """Starts to receive a file.

        Args:
            name: the sender's name for it.

        Raises:
            DiskFullError: there is not enough space.
            StorageError: it cannot be written.
        """
        return IncomingFile(name, self.incoming_path(), self._settings.max_upload_bytes, self.check_room)

    def incoming_path(self) -> Path:
        """A path for a file until it is moved to its analysis.

        Raises:
            StorageError: the folder cannot be created.
        """
        return self._made(self._path / _INCOMING) / secrets.token_hex(16)

    def take(self, received: ReceivedFile, analysis_id: str) -> None:
        """Moves a received file to its analysis.

        Raises:
            StorageError: that cannot be done.
        """
        try:
            received.path.replace(self._made(self._path / analysis_id) / ORIGINAL)
        except OSError as error:
            raise translated(error, self._path) from error

    def path(self, analysis_id: str, name: str) -> Path:
        """Path of an existing file.

        Args:
            analysis_id: from the database, or checked to be an id.
            name: one of the names above.

        Raises:
            NotFoundError: it does not exist.
        """
        path = self._path / analysis_id / name
        if not path.is_file():
            raise NotFoundError("this analysis does not have the file: it may have failed, or be unfinished")
        return path

    def write(self, analysis_id: str, name: str, put: Callable[[Path], None]) -> int:
        """Writes a file atomically; returns its size in bytes.

        Args:
            analysis_id: analysis whose folder exists, so that a deleted one does not come back.
            name: one of the names above.
            put: writes the content to the path that it is given.

        Raises:
            DiskFullError: there is not enough space.
            StorageError: it cannot be written, or the analysis is deleted.
        """
        self.check_room()
        return put_whole(self._path / analysis_id / name, put)

    def share(self, from_id: str, to_id: str) -> None:
        """Shares the file and the pictures of one analysis with another; each can be deleted independently.

        Raises:
            StorageError: they cannot be linked; one of them may have been deleted meanwhile.
        """
        source, target = self._path / from_id, self._path / to_id
        try:
            names = [path.name for path in source.iterdir() if path.name.startswith(_SHARED)]
            for name in names:
                part = target / f".{name}{PART}"
                _link(source / name, part)
                part.replace(target / name)
        except OSError as error:
            raise translated(error, self._path) from error

    def bytes_of(self, analysis_id: str) -> int:
        """Total size of the files of an analysis.

        Raises:
            StorageError: it cannot be read, or they are deleted meanwhile.
        """
        try:
            return sum(path.stat().st_size for path in (self._path / analysis_id).iterdir())
        except OSError as error:
            raise translated(error, self._path) from error

    def delete(self, analysis_id: str) -> None:
        """Deletes all files of an analysis; missing ones are ignored.

        The folder disappears at once, so a job cannot write to it any more. Files that cannot be deleted are logged,
        and deleted at the next start: the analysis has ended, or is deleted, in any case.
        """
        folder, gone = self._path / analysis_id, self._path / _DELETED / secrets.token_hex(16)
        try:
            if not folder.exists():
                return
            self._made(gone.parent)
            folder.rename(gone)
            shutil.rmtree(gone)
        except FileNotFoundError:
            return
        except (OSError, StorageError) as error:
            log.warning("files of analysis %s remain until the next start: %s", analysis_id, error)

    def sweep(self, owners: Container[str]) -> None:
        """At a start: deletes partial files of a killed process, and folders of analyses that are gone.

        Args:
            owners: ids of the analyses that have files.

        Raises:
            StorageError: the folder cannot be read or written.
        """
        try:
            for name in (_INCOMING, _DELETED):
                shutil.rmtree(self._path / name, ignore_errors=True)
            for folder in self._path.iterdir() if self._path.is_dir() else ():
                if not _ID.fullmatch(folder.name):  # not ours, such as the lost+found of a disk
                    continue
                if folder.name not in owners:
                    shutil.rmtree(folder)
                    continue
                for part in folder.glob(f".*{PART}"):
                    part.unlink()
        except OSError as error:
            raise translated(error, self._path) from error

    def _made(self, folder: Path) -> Path:
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise translated(error, self._path) from error
        return folder


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # the file system does not support hard links
        shutil.copyfile(source, target)
