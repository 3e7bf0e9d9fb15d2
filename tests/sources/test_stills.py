"""Pictures: recognised by content, upright, bounded in size, with clear errors for damage."""

import io
import struct

import numpy as np
import pytest
from PIL import Image as Pillow

from stream_detect.errors import MediaError
from stream_detect.sources.file_frame import Decoding
from stream_detect.sources.media import open_media
from stream_detect.sources.stills import HEAD_BYTES, TooLargeError, decode_still, is_still
from tests.sources.media_files import animation_bytes, picture, png_header, still_bytes


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM", "JPEG2000"])
def test_the_content_decides(kind, tmp_path):
    file = tmp_path / "clip.mp4"
    file.write_bytes(still_bytes(kind, picture()))
    media = open_media(file)
    assert (media.facts.kind, media.facts.codec, media.facts.wh) == ("image", kind.lower(), (96, 64))
    (shot,) = media.shots()
    assert np.abs(shot.rgb().astype(int) - picture()).mean() < (12 if kind == "GIF" else 6)
    assert shot.upright().width == 96


@pytest.mark.parametrize(("orientation", "turned"), [(3, lambda i: i[::-1, ::-1]), (6, lambda i: np.rot90(i, -1))])
def test_exif_turns_a_picture(orientation, turned):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    coded = still_bytes("JPEG", picture(), exif=exif)
    assert np.abs(decode_still(io.BytesIO(coded)).image.astype(int) - turned(picture())).mean() < 6


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_becomes_rgb(mode):
    coded = io.BytesIO()
    if mode == "I;16":
        Pillow.fromarray(picture()[..., 0].astype(np.uint16) << 8).save(coded, "PNG")
    else:
        Pillow.fromarray(picture()).convert("L" if mode == "F" else "RGB").convert(mode).save(coded, "TIFF")
    image = decode_still(coded).image
    assert image.shape == (64, 96, 3)
    assert image.dtype == np.uint8
    if mode in {"I;16", "CMYK", "RGBA"}:
        wanted = picture()[..., :1] if mode == "I;16" else picture()
        assert np.abs(image.astype(int) - wanted).mean() < 3


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_a_picture_of_16_bits_is_turned_as_one_of_8(orientation):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    grey = picture()[..., 0]
    turned = []
    for pixels in (grey, grey.astype(np.uint16) << 8):
        coded = io.BytesIO()
        Pillow.fromarray(pixels).save(coded, "PNG", exif=exif)
        turned.append(decode_still(coded).image)
    assert np.array_equal(*turned)


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("TIFF", "RGBA")])
def test_transparent_parts_are_white(kind, mode):
    coded = io.BytesIO()
    shown = Pillow.fromarray(picture()).convert(mode)
    alpha = np.full((64, 96), 255, np.uint8)
    alpha[:, :48] = 0
    shown.putalpha(Pillow.fromarray(alpha))
    shown.save(coded, kind, **({"lossless": True} if kind == "WEBP" else {}))
    image = decode_still(coded).image
    assert image[:, :48].min() == 255
    assert np.abs(image[:, 48:].astype(int) - np.asarray(shown.convert("RGB"))[:, 48:]).max() <= 1


def test_a_colour_that_stands_for_transparent_is_white():
    pixels = Pillow.new("P", (8, 8), 1)
    pixels.putpalette([255, 0, 0, 0, 0, 255])
    coded = io.BytesIO()
    pixels.save(coded, "PNG", transparency=1)
    assert decode_still(coded).image.min() == 255


def test_animations_are_seen_on_white():
    clear = np.dstack([picture(), np.zeros((64, 96), np.uint8)])
    coded = animation_bytes("PNG", [clear, np.dstack([picture(2), np.full((64, 96), 255, np.uint8)])])
    first, second = (shot.rgb() for shot in open_media(io.BytesIO(coded)).shots())
    assert first.min() == 255
    assert np.array_equal(second, picture(2))


def test_one_pixel_is_a_picture():
    assert decode_still(io.BytesIO(still_bytes("PNG", np.full((1, 1, 3), 200, np.uint8)))).image.tolist() == [
        [[200] * 3]
    ]


def test_too_large_is_refused_by_its_header():
    with pytest.raises(TooLargeError, match=r"at most 100,000,000 pixels .* nothing is decoded"):
        open_media(io.BytesIO(png_header(20_000, 20_000)))
    with pytest.raises(TooLargeError):
        decode_still(io.BytesIO(still_bytes("PNG", picture())), max_pixels=96 * 64 - 1)
    assert decode_still(io.BytesIO(still_bytes("PNG", picture())), max_pixels=96 * 64).image.size


def test_a_large_frame_within_a_small_gif_is_refused():
    small = animation_bytes("GIF", [picture(seed) for seed in range(3)])
    frame = small.index(b"\x2c", small.index(b"\x2c") + 20)
    for begin in range(frame, len(small) - 9):  # the image descriptors of the later frames
        if small[begin] == 0x2C and small[begin + 5 : begin + 9] == struct.pack("<HH", 96, 64):
            bomb = small[: begin + 5] + struct.pack("<HH", 60_000, 60_000) + small[begin + 9 :]
            break
    with pytest.raises(TooLargeError):
        list(open_media(io.BytesIO(bomb), Decoding(max_pixels=1_000_000)).shots())


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_is_a_video(kind, tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(animation_bytes(kind, [picture(seed) for seed in range(5)]))
    media = open_media(file)
    assert (media.facts.kind, media.facts.wh) == ("video", (96, 64))
    shots = list(media.shots())
    assert [round(shot.time_s, 3) for shot in shots] == [0, 0.2, 0.4, 0.6, 0.8]
    assert all(np.abs(shot.rgb().astype(int) - picture(seed)).mean() < 14 for seed, shot in enumerate(shots))


def test_an_animation_that_breaks_off_is_seen_that_far():
    coded = animation_bytes("GIF", [picture(seed) for seed in range(6)])
    shots = list(open_media(io.BytesIO(coded[: len(coded) // 2])).shots())
    assert 1 <= len(shots) < 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF"])
def test_a_truncated_picture_is_reported(kind):
    coded = still_bytes(kind, picture())
    assert is_still(coded[:HEAD_BYTES])
    with pytest.raises(MediaError, match="picture cannot be decoded: it is damaged"):
        open_media(io.BytesIO(coded[: len(coded) // 2]))
