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
import secrets
import shutil
from collections.abc import Callable, Container
from pathlib import Path

from stream_detect.errors import NotFoundError, StorageError
from stream_detect.jobs.incoming import IncomingFile, ReceivedFile
from stream_detect.media.files import PART, check_room, put_whole, translated
from stream_detect.settings import ReviewSettings

FOLDER = "analyses"
"""Its name in the storage folder."""

ORIGINAL = "original"
RESULTS = "results.json"
_INCOMING = "incoming"
_DELETED = "deleted"
_SHARED = (ORIGINAL, "flagged-", "map-")

log = logging.getLogger(__name__)


def flagged_name(model: int, n: int) -> str:
    """Of a flagged frame."""
    return f"flagged-{model}-{n}.jpg"


def map_name(model: int, n: int) -> str:
    """Of a flagged face with its heat map."""
    return f"map-{model}-{n}.jpg"


def annotated_name(model: int, kind: str) -> str:
    """Of the annotated video or picture."""
    return f"annotated-{model}.{'jpg' if kind == 'image' else 'mp4'}"


class Library:
    """The folder. Safe to use from any thread.

    Args:
        path: of it; made when it is first written to, for its owner alone.
        settings: limits.
    """

    def __init__(self, path: Path, settings: ReviewSettings) -> None:
        self._path = path
        self._settings = settings

    def check_room(self, bytes_more: int = 0) -> None:
        """Whether so much can be written.

        Raises:
            DiskFullError: too little would be left free.
            StorageError: the disk cannot be asked.
        """
        check_room(self._path, self._settings.min_free_bytes, "review.min_free_bytes", bytes_more)

    def incoming(self, name: str) -> IncomingFile:
        """Begins to receive a file.

        Args:
            name: as the sender calls it.

        Raises:
            DiskFullError: there is no room.
            StorageError: it cannot be written.
        """
        return IncomingFile(name, self.incoming_path(), self._settings.max_upload_bytes, self.check_room)

    def incoming_path(self) -> Path:
        """Where a file can be written until it is taken.

        Raises:
            StorageError: there is no such place.
        """
        return self._made(self._path / _INCOMING) / secrets.token_hex(16)

    def take(self, received: ReceivedFile, analysis_id: str) -> None:
        """Makes a file that came the analysis's own.

        Raises:
            StorageError: that cannot be done.
        """
        try:
            received.path.replace(self._made(self._path / analysis_id) / ORIGINAL)
        except OSError as error:
            raise translated(error, self._path) from error

    def path(self, analysis_id: str, name: str) -> Path:
        """Of a file that is there.

        Args:
            analysis_id: of the database, or checked to be an id.
            name: one of ours.

        Raises:
            NotFoundError: it is not there.
        """
        path = self._path / analysis_id / name
        if not path.is_file():
            raise NotFoundError("no such file is kept of this analysis: it may have failed, or not have ended")
        return path

    def write(self, analysis_id: str, name: str, put: Callable[[Path], None]) -> int:
        """Writes a file, whole or not at all; returns its size in bytes.

        Args:
            analysis_id: whose folder is there: what was deleted does not come back.
            name: one of ours.
            put: writes it to the path that it is given.

        Raises:
            DiskFullError: there is no room.
            StorageError: it cannot be written, or the analysis is deleted.
        """
        self.check_room()
        return put_whole(self._path / analysis_id / name, put)

    def share(self, from_id: str, to_id: str) -> None:
        """Gives an analysis the file and the pictures of another one; each can be deleted without the other.

        Raises:
            StorageError: that cannot be done; one of them may have been deleted meanwhile.
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
        """Of all files of an analysis.

        Raises:
            StorageError: they cannot be looked at, or are deleted meanwhile.
        """
        try:
            return sum(path.stat().st_size for path in (self._path / analysis_id).iterdir())
        except OSError as error:
            raise translated(error, self._path) from error

    def delete(self, analysis_id: str) -> None:
        """Removes all files of an analysis; those that are gone already do not matter.

        At once for whoever looks: what a job writes at this moment finds no folder any more. What cannot be removed
        is logged, and tried again at the next start: the analysis has ended, or is forgotten, all the same.
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
            log.warning("files of analysis %s are left until the next start: %s", analysis_id, error)

    def sweep(self, owners: Container[str]) -> None:
        """At a start: removes what a process that was killed left half-done, and what no analysis owns.

        Args:
            owners: ids of the analyses that keep files.

        Raises:
            StorageError: the folder cannot be read or written.
        """
        try:
            for name in (_INCOMING, _DELETED):
                shutil.rmtree(self._path / name, ignore_errors=True)
            for folder in self._path.iterdir() if self._path.is_dir() else ():
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
    except OSError:  # a file system without
        shutil.copyfile(source, target)
