"""Reads the files of a manifest: a picture, or some of a video's frames.

A file is below the root, or is a member of a tar archive in the root. Its kind is detected from its content.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from stream_detect.analysis.sampler import Sampler
from stream_detect.errors import DatasetError, MediaError
from stream_detect.sources.media import Media, open_media
from stream_detect.sources.stills import HEAD_BYTES, decode_still, is_animated, is_still
from stream_detect.types import Frame, Image


@dataclass(frozen=True, slots=True)
class _Member:
    """Position of a file within a tar."""

    tar: Path
    offset: int
    n_bytes: int


class Files:
    """The files below a root, including those in tars. Thread-safe.

    Args:
        root: folder to which the manifest's files are relative.

    Raises:
        DatasetError: there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DatasetError(
                f"expected the folder of the manifest's files at {root}, but there is none; correct --root"
            )
        self._root = root

    @cached_property
    def _members(self) -> dict[str, list[_Member]]:
        members: dict[str, list[_Member]] = {}
        for file in sorted(self._root.glob("*.tar")):
            try:
                with tarfile.open(file) as tar:
                    found = {m.name: _Member(file, m.offset_data, m.size) for m in tar if m.isfile()}
            except (OSError, tarfile.TarError) as error:
                raise DatasetError(f"expected a tar at {file}, but it cannot be read: {error}") from error
            for name, member in found.items():
                members.setdefault(name, []).append(member)
        return members

    def index(self) -> None:
        """Reads the indices of the tars, before threads need them.

        Raises:
            DatasetError: one is damaged.
        """
        _ = self._members

    def load(self, name: str, tar: str = "") -> "Image | Path | BinaryIO":
        """Loads a file: a decoded picture, RGB uint8 (h, w, 3), or for a video the argument of `frames`.

        Args:
            name: its path below the root, or its name in a tar.
            tar: name of the tar to prefer, if several have a file of that name.

        Raises:
            MediaError: it is missing, in several tars, unreadable, or a picture that cannot be decoded.
        """
        path, members = self._root / name, self._members.get(name, [])
        try:
            if path.is_file():
                return _loaded(path)
            if not members:
                raise MediaError("file is missing")
            member = next((each for each in members if each.tar.name == tar), members[0])
            if len(members) > 1 and member.tar.name != tar:
                raise MediaError(f"file is in several tars: {', '.join(each.tar.name for each in members)}")
            with member.tar.open("rb") as stream:
                stream.seek(member.offset)
                return _loaded(io.BytesIO(stream.read(member.n_bytes)))
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror}") from error


def _loaded(file: "Path | BinaryIO") -> "Image | Path | BinaryIO":
    if isinstance(file, Path):
        with file.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    else:
        head = file.read(HEAD_BYTES)
    return decode_still(file).image if is_still(head) and not is_animated(file) else file


def frames(video: "Path | BinaryIO") -> Iterator[Frame]:
    """Yields all frames of a video that can be decoded.

    Args:
        video: a file, or an open one.

    Raises:
        MediaError: no frame can be decoded.
    """
    with closing(open_media(video)) as media:
        for shot in media.shots():
            yield Frame(shot.rgb(), shot.time_s, 0.0)


def sampled(stream: Iterable[Frame], rate_hz: float) -> Iterator[Frame]:
    """Yields the frames of a video that the live check would sample at this rate of stream time."""
    sampler = Sampler(rate_hz)
    return (frame for frame in stream if sampler.wants(frame.time_s))


def spread(file: "Path | BinaryIO", most: int) -> Iterator[Image]:
    """Yields at most `most` frames, evenly spread over a file: the first of each of as many equal parts.

    Args:
        file: a video, an animation or a still, which has one frame.
        most: maximum number, at least 1.

    Returns:
        RGB uint8 (h, w, 3) each, in order.

    Raises:
        MediaError: no frame can be decoded.
    """
    with closing(open_media(file)) as media:
        length_s = media.facts.duration_s
        if length_s or media.facts.kind == "image":
            yield from _firsts(media, length_s, most)
            return
        # Browsers record videos without a duration: such a video is decoded twice.
        length_s = max(shot.time_s for shot in media.shots())
    with closing(open_media(file)) as media:
        yield from _firsts(media, length_s, most)


def _firsts(media: Media, length_s: float, most: int) -> Iterator[Image]:
    last = -1

    def wants(time_s: float) -> bool:
        nonlocal last
        part = min(int(most * time_s / length_s), most - 1) if length_s else 0
        first, last = part > last, max(part, last)
        return first

    for shot in islice(media.shots(wants), most):
        yield shot.rgb()
