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
"""Endings that only pictures and videos have: such a file in a folder is an error when it is neither."""


@dataclass(frozen=True, slots=True)
class MediaInput:
    """One file to be examined.

    Args:
        name: as it was given, or found; a path may have bytes in it that are no UTF-8 (`os.fsdecode`).
        problem: why there is nothing to examine; empty for all others.
        folder: in which it was found; empty when it was named itself.
    """

    name: str
    problem: str = ""
    folder: str = ""

    @property
    def shown(self) -> str:
        r"""The name as text that can be written anywhere: what is no UTF-8 in it as \x and two digits."""
        return os.fsencode(self.name).decode("utf-8", "backslashreplace")

    @property
    def is_address(self) -> bool:
        """Whether it has to be fetched."""
        return self.name.lower().startswith(_ADDRESSES)

    @property
    def may_be_other(self) -> bool:
        """Whether it is passed over when it is no media: it was found in a folder, and its name claims nothing."""
        return bool(self.folder) and Path(self.name).suffix[1:].lower() not in _MEDIA

    @property
    def stem(self) -> str:
        """What a file made of this one may be called."""
        if self.name == STDIN:
            return "stdin"
        return Path(self.name.partition("?")[0]).stem or "file"


def inputs_of(arguments: Sequence[str]) -> Iterator[MediaInput]:
    """The files that arguments name, in the order of the arguments, within a folder or a pattern by name.

    A folder stands for all of its files, with any extension, except those whose names begin with a dot.
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
    """The input as a file; what is fetched or comes by standard input lies in a folder that is removed in the end.

    Raises:
        MediaError: there is nothing to examine.
        BodyTooLargeError: it is longer than the settings allow.
        SourceError: it cannot be fetched, or must not be.
    """
    if given.problem:
        raise MediaError(given.problem)
    if given.name != STDIN and not given.is_address:
        path = Path(given.name)
        if not path.is_file():
            path.stat()  # says why there is none
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
