"""The frame counter survives both codecs, and an unreadable one is reported."""

from pathlib import Path

import av
import clip
import numpy as np
import pytest
from clip import HEIGHT_PX, WIDTH_PX, Codec, encode_clip, load_clip, read_counter, save_clip

PICTURES = 40


@pytest.fixture(scope="module", params=["h264", "vp8"])
def codec(request):
    return request.param


@pytest.fixture(scope="module")
def pictures(codec: Codec):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip, "MAX_PICTURES", PICTURES)
        return encode_clip(codec, None)


def decoded(codec: Codec, pictures: tuple[bytes, ...]):
    decoder = av.CodecContext.create("h264" if codec == "h264" else "libvpx", "r")
    packets = [*(av.Packet(picture) for picture in pictures), None]
    return [frame for packet in packets for frame in decoder.decode(packet)]


def test_each_picture_tells_its_index_after_the_codec(codec, pictures):
    frames = decoded(codec, pictures)
    assert [read_counter(frame.to_ndarray()[:HEIGHT_PX]) for frame in frames] == list(range(PICTURES))
    assert {(frame.width, frame.height) for frame in frames} == {(WIDTH_PX, HEIGHT_PX)}


def test_a_keyframe_comes_every_second_so_that_a_late_decoder_gets_in(codec, pictures):
    frames = decoded(codec, pictures[30:])
    assert read_counter(frames[0].to_ndarray()[:HEIGHT_PX]) == 30


def test_saved_pictures_load_as_they_were(tmp_path: Path, pictures):
    save_clip(tmp_path / "clip.npz", pictures)
    assert load_clip(tmp_path / "clip.npz") == pictures


def test_a_misread_square_gives_no_number_rather_than_a_wrong_one():
    luma = clip._numbered(np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8), 37)[:HEIGHT_PX]
    assert read_counter(luma) == 37
    for bit in range(clip.INDEX_BITS + clip.CHECK_BITS):
        wrong = luma.copy()
        wrong[clip._square(bit)] = 255 - wrong[clip._square(bit)]
        assert read_counter(wrong) is None
