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
    """An open file: a video, an animation or a still."""

    @property
    def facts(self) -> Facts:
        """Properties of the file."""
        ...

    @property
    def done_share(self) -> float:
        """Share of the file that has been read, in [0, 1]."""
        ...

    @property
    def damaged(self) -> int:
        """Number of parts that could not be decoded so far."""
        ...

    def shots(self, wants: Callable[[float], bool] = lambda _: True) -> Iterator[Shot]:
        """Yields its shots in order; call once.

        Args:
            wants: called with the time_s of each frame; frames for which it is False are skipped.

        Raises:
            MediaError: no frame can be decoded.
        """
        ...

    def close(self) -> None:
        """Frees the decoder."""
        ...


def open_media(file: Path | BinaryIO, decoding: Decoding | None = None) -> Media:
    """Opens a picture, an animation or a video; close it after use (`contextlib.closing`).

    Args:
        file: a path to a regular file, or an open file.
        decoding: limits and threads.

    Raises:
        MediaError: it cannot be decoded, is too large, or contains no picture.
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
    """An animated GIF, PNG, WebP or AVIF, decoded by Pillow, as a video.

    Args:
        file: a path, or an open file.
        decoding: limits.

    Raises:
        MediaError: no picture can be decoded.
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
        """See `Media`; nothing is open between pictures."""


class StillFile:
    """A still picture.

    Args:
        image: RGB uint8 (h, w, 3), upright.
        codec: name in its decoder.
    """

    def __init__(self, image: Image, codec: str) -> None:
        self.image = image
        self.facts = Facts("image", codec, (image.shape[1], image.shape[0]))
        self.done_share = 1.0
        self.damaged = 0

    def shots(self, wants: Callable[[float], bool] = lambda _: True) -> Iterator[Shot]:
        """See `Media`; yields the one shot."""
        if wants(0.0):
            yield Shot(self.image, 0.0, Tools())

    def close(self) -> None:
        """See `Media`; there is nothing to close."""


def _heif(file: Path | BinaryIO, decoding: Decoding) -> Media:
    """A HEIC picture, or a sequence of pictures if the file has no single one."""
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
            raise MediaError("expected a regular file")
        with file.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror}") from error
