"""Inputs of the command line: files, patterns, folders, addresses, and standard input."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from stream_detect.errors import MediaError
from stream_detect.jobs.fetch import fetch
from stream_detect.jobs.incoming import IncomingFile, ReceivedFile
from stream_detect.models.bundle import sha256_of
from stream_detect.review.examination import Hooks
from stream_detect.settings import ReviewSettings

STDIN = "-"
_ADDRESSES = ("http://", "https://")
_CHUNK_BYTES = 1 << 20

_MEDIA = frozenset(
    {
        *("avif", "bmp", "gif", "heic", "heif", "jpeg", "jpg", "png", "tif", "tiff", "webp"),
        *("avi", "flv", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "webm", "wmv"),
    }
)
"""Suffixes of pictures and videos: such a file in a folder is an error if it is neither."""


@dataclass(frozen=True, slots=True)
class MediaInput:
    """One input file.

    Args:
        name: as given or found; a path may contain bytes that are not UTF-8 (`os.fsdecode`).
        problem: why there is nothing to examine; otherwise empty.
        folder: folder in which it was found; empty if it was given by name.
    """

    name: str
    problem: str = ""
    folder: str = ""

    @property
    def shown(self) -> str:
        r"""The name as printable text; bytes that are not UTF-8 as \x and two digits."""
        return os.fsencode(self.name).decode("utf-8", "backslashreplace")

    @property
    def is_address(self) -> bool:
        """Whether it has to be fetched from an address."""
        return self.name.lower().startswith(_ADDRESSES)

    @property
    def may_be_other(self) -> bool:
        """Whether to skip it if it is not media: it was found in a folder, without a media suffix."""
        return bool(self.folder) and Path(self.name).suffix[1:].lower() not in _MEDIA

    @property
    def stem(self) -> str:
        """Name for files made from it, without a suffix."""
        if self.name == STDIN:
            return "stdin"
        return Path(self.name.partition("?")[0]).stem or "file"


def inputs_of(arguments: Sequence[str]) -> Iterator[MediaInput]:
    """Yields the input files in the order of the arguments; within a folder or a pattern, by name.

    A folder means all its files, with any suffix, except those whose names start with a dot.
    """
    for argument in arguments:
        path = Path(argument)
        if argument == STDIN or argument.lower().startswith(_ADDRESSES):
            yield MediaInput(argument)
        elif path.is_dir():
            yield from _within(path, argument)
        elif path.exists() or not glob.has_magic(argument):
            yield MediaInput(argument)
        else:
            matches = glob.glob(argument, recursive=True)  # noqa: PTH207 - takes absolute patterns too
            found = sorted(name for name in matches if Path(name).is_file())
            yield from map(MediaInput, found)
            if not found:
                yield MediaInput(argument, "no file matches this pattern")


@contextmanager
def on_disk(given: MediaInput, settings: ReviewSettings, hooks: Hooks) -> Iterator[ReceivedFile]:
    """Provides an input as a file; fetched files and standard input are stored in a folder that is deleted at the end.

    Raises:
        MediaError: there is nothing to examine.
        BodyTooLargeError: it is larger than the settings allow.
        SourceError: it cannot be fetched, or its address is forbidden.
    """
    if given.problem:
        raise MediaError(given.problem)
    if given.name != STDIN and not given.is_address:
        path = Path(given.name)
        if not path.is_file():
            path.stat()  # raises if it does not exist
            raise MediaError("expected a regular file")
        yield ReceivedFile(given.shown, path, path.stat().st_size, sha256_of(path))
        return
    with TemporaryDirectory(prefix="stream-detect-") as folder:
        incoming = IncomingFile(given.shown, Path(folder) / "file", settings.max_upload_bytes, lambda: None)
        if given.is_address:
            yield fetch(given.name, incoming, settings, hooks)
        else:
            received = _received(sys.stdin.buffer, incoming)
            if not received.bytes:
                raise MediaError("standard input is empty")
            yield received


def _within(folder: Path, argument: str) -> Iterator[MediaInput]:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _is_hidden(path.relative_to(folder))]
    yield from (MediaInput(str(path), folder=argument) for path in found)
    if not found:
        yield MediaInput(argument, NOTHING_IN_FOLDER)


NOTHING_IN_FOLDER = "no pictures or videos in this folder"


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _received(stream: BinaryIO, incoming: IncomingFile) -> ReceivedFile:
    try:
        while chunk := stream.read(_CHUNK_BYTES):
            incoming.write(chunk)
        return incoming.finish()
    except BaseException:
        incoming.discard()
        raise
