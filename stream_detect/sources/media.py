"""Opens files by their content: stills, animations and videos are read by the same interface."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from stream_detect.errors import MediaError, NoMediaError
from stream_detect.sources.file_frame import NEITHER, Decoding, Facts, Shot, Tools
from stream_detect.sources.heif import decode_heif
from stream_detect.sources.stills import HEAD_BYTES, animation, decode_still, is_animated, is_heif, is_still
from stream_detect.sources.video_file import VideoFile
from stream_detect.types import Image


class Media(Protocol):
    """A file that is open: a video, an animation or a still."""

    @property
    def facts(self) -> Facts:
        """What it says of itself."""
        ...

    @property
    def done_share(self) -> float:
        """How much of the file was read, in [0, 1]."""
        ...

    @property
    def damaged(self) -> int:
        """Parts that could not be decoded so far."""
        ...

    def shots(self, wants: Callable[[float], bool] = lambda _: True) -> Iterator[Shot]:
        """Its shots, once, in order.

        Args:
            wants: asked once for each frame, with its time_s; the others are not converted.

        Raises:
            MediaError: not one can be decoded.
        """
        ...

    def close(self) -> None:
        """Frees the decoder."""
        ...


def open_media(file: Path | BinaryIO, decoding: Decoding | None = None) -> Media:
    """Opens a picture, an animation or a video; close it in the end (`contextlib.closing`).

    Args:
        file: a path to a regular file, or an open file.
        decoding: how.

    Raises:
        MediaError: it cannot be decoded, is too large, or has no picture in it.
    """
    decoding = decoding or Decoding()
    head = _head(file)
    if not head:
        raise NoMediaError(f"the file is empty: {NEITHER}")
    if is_still(head):
        if is_animated(file, decoding.max_pixels):
            return Animation(file, decoding)
        still = decode_still(file, decoding.max_pixels)
        return StillFile(still.image, still.codec)
    if is_heif(head):
        return _heif(file, decoding)
    return VideoFile(file, decoding)


class Animation:
    """An animated GIF, PNG, WebP or AVIF by Pillow, as a video.

    Args:
        file: a path, or an open file.
        decoding: how.

    Raises:
        MediaError: not one picture can be decoded.
    """

    def __init__(self, file: Path | BinaryIO, decoding: Decoding) -> None:
        still = decode_still(file, decoding.max_pixels)
        self.facts = Facts("video", still.codec, (still.image.shape[1], still.image.shape[0]))
        self.done_share = 0.0
        self.damaged = 0
        self._file = file
        self._decoding = decoding

    def shots(self, wants: Callable[[float], bool] = lambda _: True) -> Iterator[Shot]:
        """See `Media`."""
        tools = Tools()
        for image, time_s in animation(self._file, self._decoding.max_pixels):
            self._decoding.between()
            if wants(time_s):
                yield Shot(image, time_s, tools)
        self.done_share = 1.0

    def close(self) -> None:
        """See `Media`: nothing is held open between pictures."""


class StillFile:
    """A still.

    Args:
        image: RGB uint8 (h, w, 3), upright.
        codec: as its decoder names it.
    """

    def __init__(self, image: Image, codec: str) -> None:
        self.image = image
        self.facts = Facts("image", codec, (image.shape[1], image.shape[0]))
        self.done_share = 1.0
        self.damaged = 0

    def shots(self, wants: Callable[[float], bool] = lambda _: True) -> Iterator[Shot]:
        """See `Media`: the one."""
        if wants(0.0):
            yield Shot(self.image, 0.0, Tools())

    def close(self) -> None:
        """See `Media`: it is decoded already."""


def _heif(file: Path | BinaryIO, decoding: Decoding) -> Media:
    """A HEIC picture, or the sequence of pictures where a file has no single one."""
    image = decode_heif(file, decoding.max_pixels)
    if image is not None:
        return StillFile(image, "heic")
    with VideoFile(file, decoding) as video:
        shots = video.shots()
        first = next(shots).rgb()
        if next(shots, None) is None:
            return StillFile(first, "heic")
    return VideoFile(file, decoding)


def _head(file: Path | BinaryIO) -> bytes:
    try:
        if not isinstance(file, Path):
            file.seek(0)
            return file.read(HEAD_BYTES)
        if file.exists() and not file.is_file():
            raise MediaError("it is no regular file")
        with file.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror}") from error
