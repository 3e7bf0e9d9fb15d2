"""Files of a manifest: a name enters, a decoded picture or a video's sampled frames leave.

A file lies below the root, or is a member of a tar that lies in the root. What it is, its content says, not its name.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from stream_detect.analysis.sampler import Sampler
from stream_detect.errors import DatasetError, MediaError
from stream_detect.types import Frame, Image

_HEAD_BYTES = 16
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6", b"\0\0\0\x0cjP  ")
"""First bytes of JPEG, PNG, BMP, TIFF, PNM and JPEG 2000; WebP and AVIF say it further in. GIF counts as a video."""


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a file lies within a tar."""

    tar: Path
    offset: int
    n_bytes: int


class Files:
    """What lies below a root, tars in it included. Safe to use from many threads.

    Args:
        root: the folder that the manifest's files are relative to.

    Raises:
        DatasetError: there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DatasetError(f"expected the folder of the manifest's files at {root}, there is none; mend --root")
        self._root = root

    @cached_property
    def _members(self) -> dict[str, _Member]:
        members: dict[str, _Member] = {}
        for file in sorted(self._root.glob("*.tar")):
            try:
                with tarfile.open(file) as tar:
                    found = {m.name: _Member(file, m.offset_data, m.size) for m in tar if m.isfile()}
            except (OSError, tarfile.TarError) as error:
                raise DatasetError(f"expected a tar at {file}, cannot read it: {error}") from error
            members |= found
        return members

    def index(self) -> None:
        """Reads the tables of contents of the tars, so that threads find them there.

        Raises:
            DatasetError: one is broken.
        """
        _ = self._members

    def load(self, name: str) -> "Image | Path | BinaryIO":
        """A decoded picture, RGB uint8 (h, w, 3), or what `frames` takes for a video.

        Raises:
            MediaError: it is missing, unreadable, or a picture that cannot be decoded.
        """
        path, member = self._root / name, self._members.get(name)
        try:
            if path.is_file():
                with path.open("rb") as stream:
                    picture = is_picture(stream.read(_HEAD_BYTES))
                return decode_picture(path.read_bytes()) if picture else path
            if member is None:
                raise MediaError("file is missing")
            with member.tar.open("rb") as stream:
                stream.seek(member.offset)
                content = stream.read(member.n_bytes)
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror}") from error
        return decode_picture(content) if is_picture(content[:_HEAD_BYTES]) else io.BytesIO(content)


def is_picture(head: bytes) -> bool:
    """Whether a file that begins like this is a still picture."""
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_PICTURES) or webp or head[4:12] == b"ftypavif"


def decode_picture(encoded: bytes) -> Image:
    """RGB uint8 (h, w, 3), turned as its EXIF says.

    Raises:
        MediaError: it is damaged, or of a kind that is not known here.
    """
    try:
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # a size beyond its limits
        decoded = None
    if decoded is None:
        raise MediaError("picture cannot be decoded")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def frames(video: "Path | BinaryIO") -> Iterator[Frame]:
    """All frames of a video; what follows damage is lost.

    Args:
        video: a file, or an open one.

    Raises:
        MediaError: not one frame can be decoded.
    """
    decoded = False
    try:
        with av.open(str(video) if isinstance(video, Path) else video, "r") as container:
            if not container.streams.video:
                raise MediaError("no picture in it")
            for frame in container.decode(container.streams.video[0]):
                decoded = True
                if frame.time is not None:
                    yield Frame(_upright(frame), frame.time, 0.0)
    except (av.error.FFmpegError, OSError, EOFError) as error:
        if not decoded:
            raise MediaError("neither a picture nor a video that can be decoded") from error
    if not decoded:
        raise MediaError("neither a picture nor a video that can be decoded")


def sampled(stream: Iterable[Frame], rate_hz: float) -> Iterator[Frame]:
    """The frames of a video that the live check would take, so many a second of stream time."""
    sampler = Sampler(rate_hz)
    return (frame for frame in stream if sampler.wants(frame.time_s))


def _upright(frame: VideoFrame) -> Image:
    """As RGB, turned as the file says: phones note how they were held."""
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns), np.uint8)
