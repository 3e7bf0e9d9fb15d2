"""What the command line names: paths, patterns, folders, addresses and "-" enter; files, in that order, leave."""

import glob
import mimetypes
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from stream_detect.errors import BodyTooLargeError, MediaError
from stream_detect.jobs.fetch import fetch
from stream_detect.review.examination import Hooks
from stream_detect.settings import ReviewSettings

STDIN = "-"
_ADDRESSES = ("http://", "https://")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class MediaInput:
    """One file to be looked at.

    Args:
        name: as it was given, or found.
        problem: why there is nothing to look at; empty for all others.
    """

    name: str
    problem: str = ""

    @property
    def is_address(self) -> bool:
        """Whether it has to be fetched."""
        return self.name.lower().startswith(_ADDRESSES)

    @property
    def stem(self) -> str:
        """What a file made of this one may be called."""
        if self.name == STDIN:
            return "stdin"
        return Path(self.name.partition("?")[0]).stem or "file"


def inputs_of(arguments: Sequence[str]) -> Iterator[MediaInput]:
    """The files that arguments name, in the order of the arguments, within a folder or a pattern by name.

    In a folder files with names of sound, texts and documents are passed over, and those whose name begins with a dot.
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
def on_disk(given: MediaInput, settings: ReviewSettings, hooks: Hooks) -> Iterator[Path]:
    """The file's path; what is fetched or comes by standard input lies in a folder that goes in the end.

    Raises:
        MediaError: there is nothing to look at.
        BodyTooLargeError: it is longer than the settings allow.
        SourceError: it cannot be fetched, or must not be.
    """
    if given.problem:
        raise MediaError(given.problem)
    if given.name != STDIN and not given.is_address:
        yield Path(given.name)
        return
    with TemporaryDirectory(prefix="stream-detect-") as folder:
        path = Path(folder) / "file"
        if given.is_address:
            fetch(given.name, path, settings, hooks)
        else:
            _spool(sys.stdin.buffer, path, settings.max_upload_bytes)
        yield path


def _within(folder: Path, argument: str) -> Iterator[MediaInput]:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and _may_be_media(path.relative_to(folder))]
    yield from (MediaInput(str(path)) for path in found)
    if not found:
        yield MediaInput(argument, "no pictures or videos in this folder")


def _may_be_media(path: Path) -> bool:
    kind = mimetypes.guess_type(path.name)[0] or "video"
    return not any(part.startswith(".") for part in path.parts) and kind.startswith(("image/", "video/"))


def _spool(stream: BinaryIO, path: Path, max_bytes: int) -> None:
    with path.open("wb") as file:
        while chunk := stream.read(_CHUNK_BYTES):
            if file.tell() + len(chunk) > max_bytes:
                raise BodyTooLargeError(f"expected at most {max_bytes} bytes (review.max_upload_bytes), more came")
            file.write(chunk)
        if not file.tell():
            raise MediaError("standard input is empty")
