from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from stream_detect.errors import MediaError
from stream_detect.media.planes import Planes, copy_yuv420p, to_rgb

FORMATS = ("yuv420p", "yuvj420p", "nv12", "rgb24", "bgra", "yuv422p", "yuv444p", "yuv420p10le", "p010le", "gray")
SIZES = ((640, 480), (641, 359), (17, 16), (2, 3))


def checksum(frame: av.VideoFrame) -> list[bytes]:
    return [bytes(plane) for plane in frame.planes]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(("w", "h"), SIZES)
def test_any_picture_becomes_rgb_and_an_even_copy_of_the_same_colour(flat, fmt, w, h):
    colour = (120, 120, 120) if fmt == "gray" else (200, 100, 50)
    frame = flat(w, h, colour, fmt)
    before = checksum(frame)
    rgb, copy = to_rgb(frame), copy_yuv420p(frame)
    assert rgb.shape == (h, w, 3)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert (copy.width, copy.height, copy.format.name) == (w & ~1, h & ~1, "yuv420p")
    for picture in (rgb, to_rgb(copy)):
        np.testing.assert_allclose(picture.reshape(-1, 3).mean(0), colour, atol=4)
    assert checksum(frame) == before


def test_one_converter_follows_a_stream_that_changes_size_format_and_colours(flat):
    reformatter = VideoReformatter()
    for fmt, w, h, space in [
        ("yuv420p", 64, 48, 5),
        ("yuv420p", 32, 48, 1),
        ("nv12", 32, 48, 1),
        ("yuv420p", 64, 48, 1),
    ]:
        frame = flat(w, h, (200, 40, 90), fmt)
        frame.colorspace = space
        assert np.array_equal(to_rgb(frame, reformatter), to_rgb(frame))


@pytest.mark.parametrize(("w", "h"), [(640, 480), (641, 359)])
def test_a_copy_is_our_own_memory(moving, w, h):
    frame = moving(1, w, h)[0]
    before = checksum(frame)
    planes = Planes.of(copy_yuv420p(frame))
    for plane in (planes.y, planes.u, planes.v):
        plane[:] = 7
    assert checksum(frame) == before


def test_a_copy_shows_the_same_picture_but_for_the_odd_column_and_row(moving):
    frame = moving(1, 641, 359)[0]
    whole, copy = Planes.of(frame), Planes.of(copy_yuv420p(frame))
    np.testing.assert_array_equal(copy.y, whole.y[:358, :640])
    np.testing.assert_array_equal(copy.u, whole.u[:179, :320])
    np.testing.assert_array_equal(copy.v, whole.v[:179, :320])


def test_a_copy_keeps_time_and_colour_tags(flat):
    frame = flat()
    frame.pts, frame.time_base = 4_000_000_000, Fraction(1, 90000)
    frame.colorspace, frame.color_range = 1, 1
    copy = copy_yuv420p(frame)
    assert (copy.pts, copy.time_base) == (frame.pts, frame.time_base)
    assert (copy.colorspace, copy.color_range) == (1, 1)


def test_full_range_becomes_limited(flat):
    frame = flat(fmt="yuv420p")
    Planes.of(frame).y[:] = 255
    frame.color_range = 2
    assert Planes.of(copy_yuv420p(frame)).y.max() == 235


def test_what_cannot_be_copied_is_refused_with_the_reason(flat):
    with pytest.raises(MediaError, match="1x480"):
        copy_yuv420p(av.VideoFrame(1, 480, "yuv420p"))
    with pytest.raises(MediaError, match="received nv12"):
        Planes.of(flat(fmt="nv12"))
