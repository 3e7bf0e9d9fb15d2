"""HEIC pictures: single or tiled, with a preview, rotated, mirrored, cropped or transparent."""

import io
import struct

import numpy as np
import pytest

from stream_detect.errors import MediaError
from stream_detect.sources.file_frame import Decoding
from stream_detect.sources.heif import MAX_EXTENTS, Catalogue
from stream_detect.sources.media import open_media
from stream_detect.sources.stills import TooLargeError
from tests.sources.heic_files import Heic, box, full, tiled
from tests.sources.media_files import picture

LARGE = picture(3, (200, 144))


def seen(content: bytes, **options) -> np.ndarray:
    media = open_media(io.BytesIO(content), Decoding(**options))
    (shot,) = media.shots()
    assert (media.facts.kind, media.facts.codec) == ("image", "heic")
    assert media.facts.wh == shot.rgb().shape[1::-1]
    return shot.rgb().astype(int)


def off(image, wanted) -> float:
    assert image.shape == wanted.shape
    return np.abs(image - wanted.astype(int)).mean()


def test_a_whole_picture_with_a_preview_of_itself():
    made = Heic()
    small = made.picture(picture(9, (64, 64)))
    primary = made.picture(LARGE)
    made.refer(b"thmb", small, primary)
    assert off(seen(made.bytes(primary)), LARGE) < 4


@pytest.mark.parametrize("preview", [None, picture(9, (64, 64))])
def test_tiles_are_joined_and_cut_at_the_edge(preview):
    assert off(seen(tiled(LARGE, 64, preview=preview)), LARGE) < 4


@pytest.mark.parametrize(
    ("properties", "wanted"),
    [
        ((box(b"irot", b"\1"),), np.rot90(LARGE)),
        ((box(b"irot", b"\3"),), np.rot90(LARGE, 3)),
        ((box(b"imir", b"\1"),), LARGE[:, ::-1]),
        ((box(b"imir", b"\0"),), LARGE[::-1]),
        ((box(b"clap", struct.pack(">iiiiiiii", 100, 1, 80, 1, 0, 1, 0, 1)), box(b"irot", b"\1")),
         np.rot90(LARGE[32:112, 50:150])),
    ],
)  # fmt: skip
def test_it_is_turned_mirrored_and_cropped(properties, wanted):
    assert off(seen(tiled(LARGE, 64, *properties)), wanted) < 4


def test_transparent_parts_are_white():
    alpha = np.zeros((144, 200, 3), np.uint8)
    alpha[:, 100:] = 255
    made = Heic()
    primary = made.picture(LARGE)
    mask = made.picture(alpha, full(b"auxC", 0, 0, b"urn:mpeg:hevc:2015:auxid:1\0"))
    made.refer(b"auxl", mask, primary)
    image = seen(made.bytes(primary))
    assert image[:, :90].min() > 245
    assert off(image[:, 110:], LARGE[:, 110:]) < 4


def test_errors_are_reported():
    whole = tiled(LARGE, 64)
    with pytest.raises(TooLargeError, match="200x144"):
        seen(whole, max_pixels=20_000)
    with pytest.raises(MediaError, match="truncated"):
        seen(whole[: len(whole) // 2])
    made = Heic()
    tile = made.picture(picture(1, (64, 64)))
    grid = made.grid([tile, tile], 2, (128, 64))
    made.data[grid - 1] = struct.pack(">BBBBHH", 0, 0, 2, 1, 128, 64)  # three rows
    with pytest.raises(MediaError, match="expected a HEIC picture of 3x2 tiles, received 2"):
        seen(made.bytes(grid))
    made.kinds[grid - 1] = b"iovl"
    with pytest.raises(MediaError, match=r"of type 'iovl' .* convert it"):
        seen(made.bytes(grid))


def test_a_picture_that_is_made_of_itself_ends():
    made = Heic()
    grid = made.add(b"grid", struct.pack(">BBBBHH", 0, 0, 0, 0, 64, 64))
    made.refer(b"dimg", grid, grid)
    with pytest.raises(MediaError, match="none made of other"):
        seen(made.bytes(grid))


def test_a_picture_of_endless_tiles_ends():
    made = Heic()
    tile = made.picture(picture(1, (16, 16)))
    grid = made.add(b"grid", struct.pack(">BBBBHH", 0, 0, 255, 255, 4096, 4096))
    made.refer(b"dimg", grid, *[tile] * 50_000)
    with pytest.raises(MediaError, match="received 50000"):
        seen(made.bytes(grid))
    made.references.clear()
    made.data[grid - 1] = struct.pack(">BBBBHH", 0, 0, 99, 99, 4096, 4096)
    made.refer(b"dimg", grid, *[tile] * 10_000)
    with pytest.raises(MediaError, match="at most 4096 tiles"):
        seen(made.bytes(grid))


def test_parts_that_are_described_in_no_bytes_have_a_bound():
    def described(items: int) -> memoryview:
        every = b"".join(struct.pack(">HHH", 1, 0, 0x8000) for _ in range(items))
        return memoryview(bytes(4) + full(b"iloc", 0, 0, b"\0\0", struct.pack(">H", items), every))

    assert len(Catalogue.read(described(2)).item(1).extents) == MAX_EXTENTS
    with pytest.raises(MediaError, match="at most 65,536 parts"):
        Catalogue.read(described(3))
