"""Frames as players show them: rotation, mirroring, square pixels, HDR, deinterlacing; in files and live."""

import io
import struct
from contextlib import closing
from fractions import Fraction

import av
import numpy as np
import pytest

from stream_detect.sources.display import HLG, PQ, Display
from stream_detect.sources.media import open_media
from tests.sources.media_files import film, picture

STORED = picture(4, (96, 64))


def first(path) -> np.ndarray:
    with closing(open_media(path)) as media:
        image = next(media.shots()).rgb()
        assert media.facts.wh == image.shape[1::-1]
        return image.astype(int)


def off(image, wanted) -> float:
    assert image.shape == wanted.shape
    return np.abs(image - wanted.astype(int)).mean()


MATRICES = {
    "turned right": ((0, 1, -1, 0), np.rot90(STORED, -1)),
    "turned left": ((0, -1, 1, 0), np.rot90(STORED)),
    "half a turn": ((-1, 0, 0, -1), STORED[::-1, ::-1]),
    "mirrored": ((-1, 0, 0, 1), STORED[:, ::-1]),
    "upside down": ((1, 0, 0, -1), STORED[::-1]),
    "transposed": ((0, 1, 1, 0), STORED.transpose(1, 0, 2)),
    "transposed the other way": ((0, -1, -1, 0), STORED[::-1, ::-1].transpose(1, 0, 2)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_the_display_matrix_turns_and_mirrors(tmp_path, name, read):
    matrix, wanted = MATRICES[name]
    path = film(tmp_path / "a.mp4", [STORED] * 3)
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    assert off(first(path), wanted) < 8
    (shown,) = read(f"file:{path}", 1)
    assert off(shown.frame.to_ndarray(format="rgb24").astype(int), wanted) < 8


def with_aspect(path, aspect):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(STORED, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("aspect", "wh"),
    [
        (Fraction(2, 1), (192, 64)),
        (Fraction(16, 15), (102, 64)),
        (Fraction(1, 2), (48, 64)),
        (Fraction(100, 1), (96, 64)),  # an error
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_pixels_are_made_square(tmp_path, read, aspect, wh, suffix):
    path = with_aspect(tmp_path / f"a.{suffix}", aspect)
    assert first(path).shape[1::-1] == wh
    (shown,) = read(f"file:{path}", 1)
    assert (shown.frame.width, shown.frame.height) == wh


TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def linear(image):
    value = image / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def hlg(light):
    """ARIB STD-B67, white at 75 % of the signal (BT.2408)."""
    light = np.clip(light * 0.265, 0, 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(light <= 1 / 12, np.sqrt(3 * light), a * np.log(np.maximum(12 * light - b, 1e-9)) + c)


def pq(light):
    """SMPTE ST 2084, white at 203 cd/m2 (BT.2408)."""
    power = np.clip(light * 0.0203, 0, 1) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def ten_bits(rgb, transfer):
    """A frame of yuv420p10le in BT.2020."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    luma = 0.2627 * red + 0.678 * green + 0.0593 * blue
    h, w = luma.shape
    chroma = [
        (512 + 896 * (side - luma) / scale).reshape(h // 2, 2, w // 2, 2).mean((1, 3))
        for side, scale in ((blue, 1.8814), (red, 1.4746))
    ]
    frame = av.VideoFrame(w, h, "yuv420p10le")
    for plane, values in zip(frame.planes, (64 + 876 * luma, *chroma), strict=True):
        rows = np.zeros((plane.height, plane.line_size // 2), "<u2")
        rows[:, : values.shape[1]] = np.round(values)
        plane.update(rows.tobytes())
    frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = 9, transfer, 9, 1
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


@pytest.mark.parametrize(("curve", "transfer"), [(hlg, HLG), (pq, PQ)])
def test_hdr_is_mapped_so_that_white_is_white(curve, transfer):
    image = np.clip(picture(5, (128, 96)).astype(int), 8, 225).astype(np.uint8)
    shown = Display().show(ten_bits(curve(linear(image) @ TO_2020.T), transfer))
    assert (shown.format.name, shown.pts, int(shown.color_trc)) == ("yuv420p", 0, 1)
    assert off(shown.to_ndarray(format="rgb24").astype(int), image) < 4


def test_highlights_of_hdr_keep_their_order():
    steps = np.repeat(np.linspace(0.5, 3.7, 8), 16)[None, :, None] * np.ones((32, 1, 3))
    shown = Display().show(ten_bits(hlg(steps), HLG)).to_ndarray(format="gray")[16, 8::16].astype(int)
    assert np.all(np.diff(shown[:4]) > 0)
    assert np.all(np.diff(shown) >= 0)
    assert shown[-1] >= 234


def test_frames_that_need_nothing_pass_untouched():
    frame = av.VideoFrame(16, 16, "yuv420p")
    assert Display(Fraction(1)).show(frame) is frame
    assert Display(None).show(frame) is frame


def combed(seed):
    """An interlaced frame of a moving bar."""
    image = np.full((128, 192, 3), 30, np.uint8)
    at = (6 * seed) % 150
    image[0::2, at : at + 16] = 220
    image[1::2, at + 12 : at + 28] = 220
    return image


def comb(frame) -> float:
    grey = frame.to_ndarray(format="gray").astype(int)
    return np.abs(grey[1:-1:2] - (grey[:-2:2] + grey[2::2]) / 2).mean()


def test_interlaced_cameras_give_whole_frames(tmp_path, read, web_folder):
    film(tmp_path / "cam.ts", [combed(n) for n in range(40)], form="mpegts", tick=Fraction(1, 25), interlaced=True,
         codec="mpeg2video", options={"q": "2"})  # fmt: skip
    found = read(f"{web_folder}/cam.ts", 20)
    assert len(found) == 20
    assert np.mean([comb(shown.frame) for shown in found[2:]]) < 0.5 * comb(
        av.VideoFrame.from_ndarray(combed(5), format="rgb24")
    )
    times = [shown.time_s for shown in found]
    assert np.all(np.diff(times) > 0)
    assert not any(shown.gap for shown in found)


def test_the_film_is_read_and_not_its_preview(tmp_path):
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        preview, single, main = (container.add_stream(codec, rate=10) for codec in ("libx264", "mjpeg", "libx264"))
        for stream, wh in ((preview, (32, 32)), (single, (640, 480)), (main, (96, 64))):
            stream.width, stream.height = wh
            stream.pix_fmt = "yuvj420p" if stream is single else "yuv420p"
        for number in range(6):
            for stream in (preview, main, *([single] if not number else [])):
                image = np.full((stream.height, stream.width, 3), 200, np.uint8) if stream is not main else STORED
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for stream in (preview, single, main):
            container.mux(stream.encode(None))
    (tmp_path / "a.mp4").write_bytes(target.getvalue())
    assert off(first(tmp_path / "a.mp4"), STORED) < 8


@pytest.mark.parametrize(
    ("wh", "aspect", "shown_wh"),
    [
        ((720, 576), Fraction(16, 11), (1048, 576)),
        ((720, 576), Fraction(1, 2), (360, 576)),
        ((1440, 1080), Fraction(4, 3), (1920, 1080)),
        ((4096, 3072), Fraction(4), (8192, 1536)),
        ((1920, 1080), Fraction(4), (7680, 1080)),
        ((2560, 1440), Fraction(4), (7932, 1115)),
    ],
)
def test_square_pixels_are_no_more_than_a_frame_may_have(wh, aspect, shown_wh):
    frame = av.VideoFrame(*wh, "gray")
    frame.pts, frame.time_base = 0, Fraction(1, 90_000)
    shown = Display(aspect).show(frame)
    assert (shown.width, shown.height) == shown_wh


@pytest.mark.parametrize("wh", [(64, 4), (4, 64)])
def test_tiny_interlaced_frames_are_shown_as_they_are(tmp_path, wh, read):
    path = tmp_path / "tiny.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = *wh, "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((wh[1], wh[0], 3), np.uint8))))
        container.mux(stream.encode(None))
    assert first(path).shape == (wh[1], wh[0], 3)
    (shown,) = read(f"file:{path}", 1)
    assert (shown.frame.width, shown.frame.height) == wh
