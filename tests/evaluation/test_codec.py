"""Crops through real encoders: fewer bits mean lower quality; the position is kept; results are reproducible."""

import numpy as np
import pytest

from stream_detect.evaluation.codec import Sent, arrived, draw_sent
from stream_detect.evaluation.degradation import Degradation, degrade, sometimes_sent


def psnr(one, other):
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2)))


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_fewer_bits_are_worse_and_nothing_moves(face, codec):
    came = [arrived(face, Sent(codec, kbps)) for kbps in (100, 300, 1500)]
    assert all(image.shape == face.shape and image.dtype == np.uint8 for image in came)
    figures = [psnr(image, face) for image in came]
    assert 18 < figures[0] < figures[1] - 1 < figures[2] - 3 < 45
    for step in (1, 2):  # the picture comes to rest in its original position
        assert psnr(came[2], np.roll(face, step, 1)) < figures[2] - 3


def test_the_same_way_gives_the_same_picture(face):
    assert np.array_equal(arrived(face, Sent("h264", 300)), arrived(face, Sent("h264", 300)))


@pytest.mark.parametrize("wh", [(33, 64), (64, 33), (65, 65)])
@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_odd_sizes_keep_their_size(face, codec, wh):
    crop = np.ascontiguousarray(face[: wh[1], : wh[0]])
    assert arrived(crop, Sent(codec, 800)).shape == crop.shape


def test_both_codecs_and_all_bitrates_are_drawn():
    rng = np.random.default_rng(1)
    drawn = [draw_sent(rng) for _ in range(200)]
    assert {sent.codec for sent in drawn} == {"h264", "vp8"}
    rates = [sent.kbps for sent in drawn]
    assert min(rates) > 99
    assert max(rates) < 1501
    assert 250 < np.median(rates) < 600


def test_a_share_of_the_pairs_is_sent():
    rng = np.random.default_rng(2)
    sent = [sometimes_sent(Degradation(), 0.3, rng).sent is not None for _ in range(400)]
    assert 0.2 < np.mean(sent) < 0.4
    before = rng.bit_generator.state
    assert sometimes_sent(Degradation(), 0.0, rng) == Degradation()
    assert rng.bit_generator.state == before  # batches of an old recipe are unchanged


def test_it_is_the_last_thing_that_happens(face):
    rng = np.random.default_rng(3)
    how = Degradation(blur_px=1.0, sent=Sent("h264", 200))
    blurred = degrade(face, Degradation(blur_px=1.0), rng)
    assert np.array_equal(degrade(face, how, rng), arrived(blurred, how.sent))
