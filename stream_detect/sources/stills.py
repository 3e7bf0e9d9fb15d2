"""Still pictures and animations, decoded by Pillow to upright RGB. Their kind is detected from the content.

The size is read from the header and compared with the limit before anything is decoded.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError, features
from PIL.Image import Image as PillowImage

from stream_detect.errors import MediaError
from stream_detect.types import Image

HEAD_BYTES = 32
"""Bytes of a file that are enough to recognise its kind."""

MAX_PIXELS = 100_000_000
"""Width times height; larger pictures are not decoded."""

_SHORTEST_S = 0.02
"""If an animation asks for less than this per picture, browsers show each for a tenth of a second."""
_SLOW_S = 0.1

_STRIP_PIXELS = 1 << 22
"""Pixels converted at once: a large picture as a whole would be in memory four times (measured)."""

_ORIENTATION = 0x0112
"""EXIF tag of the picture's orientation, from 1 to 8."""
_TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}

_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")
"""Beginnings of JPEG, PNG, BMP, GIF, TIFF and JPEG 2000; PNM, WebP and AVIF are recognised otherwise."""
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF", "PPM", "JPEG2000")
_ANIMATED = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"hevc", b"hevx"})
_DAMAGE = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError),
    *(ZeroDivisionError, MemoryError, RuntimeError, NotImplementedError, struct.error, zlib.error),
)
"""What Pillow's readers raise on damaged or malicious files."""


class TooLargeError(MediaError):
    """A picture or frame has more pixels than are decoded."""


@dataclass(frozen=True, slots=True)
class Still:
    """A decoded picture.

    Args:
        image: RGB uint8 (h, w, 3), upright.
        codec: Pillow's name of the format, in lower case.
    """

    image: Image
    codec: str


def is_still(head: bytes) -> bool:
    """Whether Pillow reads a file that begins like this: a picture, or an animation.

    Args:
        head: its first `HEAD_BYTES`.
    """
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    avif = head[4:12] in {b"ftypavif", b"ftypavis"} and features.check("avif")
    pnm = head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()
    return head.startswith(_BEGINNINGS) or webp or bool(avif) or pnm


def is_heif(head: bytes) -> bool:
    """Whether a file that begins like this is a HEIC picture, for heif.py."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def decode_still(file: Path | BinaryIO, max_pixels: int = MAX_PIXELS) -> Still:
    """Decodes a picture; of an animation or of several pages the first.

    Args:
        file: a path, or an open file.
        max_pixels: width times height; a larger picture is not decoded.

    Raises:
        MediaError: it is damaged, truncated, too large, or of an unsupported kind.
    """
    with _opened(file, max_pixels) as picture:
        return Still(_rgb(picture), (picture.format or "").lower())


def is_animated(file: Path | BinaryIO, max_pixels: int = MAX_PIXELS) -> bool:
    """Whether a file that `is_still` is an animation.

    Raises:
        MediaError: see `decode_still`.
    """
    with _opened(file, max_pixels) as picture:
        return picture.format in _ANIMATED and bool(getattr(picture, "is_animated", False))


def animation(file: Path | BinaryIO, max_pixels: int = MAX_PIXELS) -> Iterator[tuple[Image, float]]:
    """Yields the pictures of an animation with the time of each, from 0 s; everything after damage is dropped.

    Raises:
        MediaError: none can be decoded.
    """
    time_s, number = 0.0, 0
    try:
        with _opened(file, max_pixels) as picture:
            while True:
                picture.seek(number)
                _check_size(picture, max_pixels)
                image = _rgb(picture)
                number += 1
                yield image, time_s
                time_s += _shown_s(picture)
    except TooLargeError:
        raise
    except MediaError:  # at the end too
        if not number:
            raise


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Rejects a picture that is too large.

    Raises:
        TooLargeError: it has more than `max_pixels`.
    """
    if width * height > max_pixels:
        raise TooLargeError(f"{_expected(max_pixels)}, received {width}x{height}: nothing is decoded")


def _expected(max_pixels: int) -> str:
    return f"expected at most {max_pixels:,} pixels (review.max_pixels)"


def _check_size(picture: PillowImage, max_pixels: int) -> None:
    check_size(picture.width, picture.height, max_pixels)


@contextmanager
def _opened(file: Path | BinaryIO, max_pixels: int) -> Iterator[PillowImage]:
    """Opens a picture, reads its header and checks its size; Pillow's own limit applies as well."""
    if not isinstance(file, Path):
        file.seek(0)
    Pillow.MAX_IMAGE_PIXELS = max_pixels
    # Safe on any thread: repeating it changes nothing.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # about damage, which our errors describe
    warnings.simplefilter("error", Pillow.DecompressionBombWarning)
    try:
        with Pillow.open(file, formats=_FORMATS) as picture:
            _check_size(picture, max_pixels)
            yield picture
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise TooLargeError(f"{_expected(max_pixels)}, received more: nothing is decoded") from error
    except _DAMAGE as error:
        raise MediaError(f"picture cannot be decoded: {_words(error)}") from error


def _words(error: BaseException) -> str:
    """The decoder's reason without paths, memory addresses or line breaks."""
    if isinstance(error, UnidentifiedImageError):
        return "it is damaged, or its format is not supported"
    return f"it is damaged or truncated ({str(error).partition(chr(10))[0][:100] or type(error).__name__})"


def _rgb(picture: PillowImage) -> Image:
    """Upright RGB uint8 (h, w, 3), transparent areas on white; 16 bits are rounded down to 8."""
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    if picture.mode.startswith("I"):
        grey = np.asarray(picture)
        picture = Pillow.fromarray((np.clip(grey, 0, 65_535) >> 8).astype(np.uint8))
    if turn is not None:
        picture = picture.transpose(turn)
    seen_through = picture.has_transparency_data
    w, h = picture.size
    image = np.empty((h, w, 3), np.uint8)
    rows = max(_STRIP_PIXELS // w, 1)
    for top in range(0, h, rows):
        strip = picture.crop((0, top, w, min(top + rows, h)))
        if seen_through:
            image[top : top + rows] = on_white(np.asarray(strip.convert("RGBA")))
        else:
            image[top : top + rows] = np.asarray(strip.convert("RGB"))
    return image


def on_white(image: NDArray[np.uint8]) -> Image:
    """Blends a picture with transparency onto white.

    Args:
        image: RGBA uint8 (h, w, 4).

    Returns:
        RGB uint8 (h, w, 3).
    """
    alpha = image[..., 3:].astype(np.uint16)
    return ((image[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _shown_s(picture: PillowImage) -> float:
    duration_ms = picture.info.get("duration", 0)
    shown_s = float(duration_ms) / 1000 if isinstance(duration_ms, int | float) else 0.0
    return shown_s if _SHORTEST_S <= shown_s < 3600 else _SLOW_S  # false for NaN
