"""Pictures sent through a call: position and colours are kept, quality falls with the bit rate; other conditions."""

import cv2
import numpy as np
import pytest

from stream_detect.evaluation.codec import VideoCall, in_a_call, video_in_a_call
from stream_detect.evaluation.degradation import conditions
from stream_detect.types import Frame


def psnr(one, other):
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2))


def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_fewer_bits_leave_less_of_a_picture(crop, codec):
    left = [psnr(in_a_call(crop, VideoCall(codec, kbit_s * 1000), rng()), crop) for kbit_s in (800, 300, 150)]
    assert left == sorted(left, reverse=True)
    assert left[0] > 33  # same position, same colours
    assert left[-1] < left[0] - 3


def test_a_large_picture_is_seen_as_a_camera_would(photo):
    assert in_a_call(photo, VideoCall("vp8", 800_000), rng()).shape == (480, 480, 3)
    wide = np.ascontiguousarray(photo[:101])
    assert in_a_call(wide, VideoCall("h264", 800_000), rng()).shape == (101, 512, 3)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_a_video_arrives_frame_by_frame_in_time(photo, codec):
    moving = [Frame(np.roll(photo, 4 * i, axis=1), 7 + i / 15, 0.0) for i in range(12)]
    arrived = list(video_in_a_call(iter(moving), VideoCall(codec, 800_000)))
    assert [frame.time_s for frame in arrived] == [frame.time_s for frame in moving]
    for got, sent in zip(arrived, moving, strict=True):
        assert got.image.shape == (480, 480, 3)
        assert psnr(got.image, fitted(sent.image)) > 24


def fitted(image):
    return cv2.resize(image, (480, 480), interpolation=cv2.INTER_AREA)


def test_no_video_gives_none():
    assert list(video_in_a_call([], VideoCall("vp8", 300_000))) == []


def test_conditions_are_those_of_the_table_and_the_same_every_time(crop):
    rows = conditions()
    assert [row.name for row in rows if "JPEG" in row.name] == [f"JPEG, quality {q}" for q in (90, 50, 20)]
    assert [row.name for row in rows if "kbit" in row.name] == [
        f"{codec}, {rate} kbit/s" for codec in ("H.264", "VP8") for rate in (800, 300, 150)
    ]
    for row in rows:
        once = row.picture(crop, rng())
        assert once.shape == crop.shape
        assert 15 < psnr(once, crop) < 45, row.name
        assert np.array_equal(once, row.picture(crop, rng())), row.name


def test_a_blur_grows_with_the_picture(photo, crop):
    blur = next(row for row in conditions() if row.name.startswith("blur, sigma 2"))
    doubled = np.repeat(np.repeat(crop, 2, 0), 2, 1)
    alike = blur.picture(doubled, rng())[::2, ::2]
    assert psnr(alike, blur.picture(crop, rng())) > 30
