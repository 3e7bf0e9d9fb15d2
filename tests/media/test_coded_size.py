"""The size of coded video is read before it is decoded."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.media import coded_size
from stream_detect.media.coded_size import read_header
from tests.media.coded import QUICK, coded


@pytest.mark.parametrize("wh", [(64, 64), (1280, 720)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"profile": "main"},
        {"profile": "high", "preset": "medium"},
        {"x264-params": "interlaced=1", "preset": "fast"},
    ],
    ids=["baseline", "main", "high", "interlaced"],
)
def test_h264(wh, options):
    first, second = coded("libx264", wh, **QUICK | options)
    header = read_header("h264", first)
    assert header.keyframe
    aligned = tuple(-(-side // 32) * 32 if "x264-params" in options else -(-side // 16) * 16 for side in wh)
    assert header.wh in {aligned, tuple(-(-side // 16) * 16 for side in wh)}
    assert read_header("h264", second) == type(header)(keyframe=False, wh=None)


@pytest.mark.parametrize(
    ("pixels", "params"),
    [("yuv444p", ""), ("yuv422p10le", ""), ("yuv420p", "cqm=jvt"), ("yuv420p", "bframes=3:ref=4")],
)
def test_h264_of_rarer_forms(pixels, params):
    options = {"preset": "medium", "tune": "zerolatency", "x264-params": params}
    assert read_header("h264", coded("libx264", (320, 192), 1, pixels, **options)[0]).wh == (320, 192)


def test_the_largest_of_several_parameter_sets_counts():
    small, large = (coded("libx264", wh, 1, **QUICK)[0] for wh in ((64, 64), (1920, 1088)))
    assert read_header("h264", small + large).wh == (1920, 1088)
    assert read_header("h264", large + small).wh == (1920, 1088)


def test_no_more_parameter_sets_of_a_frame_are_read_than_can_be_told_apart(monkeypatch):
    read = []
    monkeypatch.setattr(coded_size, "sps_size", read.append)
    sets = [b"\x00\x00\x01\x67" + number.to_bytes(4, "big") + b"\xff" for number in range(10_000)]
    read_header("h264", b"".join(sets))
    assert len(read) == 32
    read.clear()
    read_header("h264", sets[0] * 10_000)
    assert len(read) == 1


@pytest.mark.parametrize("wh", [(2, 2), (640, 480), (4096, 4000)])
def test_vp8(wh):
    first, second = coded("libvpx", wh, deadline="realtime", **{"cpu-used": "16", "lag-in-frames": "0"})
    assert read_header("vp8", first).wh == wh
    assert read_header("vp8", first).keyframe
    assert read_header("vp8", second) == type(read_header("vp8", first))(keyframe=False, wh=None)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_ignored(data):
    for codec in ("h264", "vp8"):
        for text in (data, b"\x00\x00\x00\x01\x67" + data, b"\x00\x00\x00\x9d\x01\x2a" + data):
            wh = read_header(codec, text).wh
            assert wh is None or min(wh) >= 0


def test_other_codecs_are_refused():
    with pytest.raises(ValueError, match="received av1"):
        read_header("av1", io.BytesIO().getvalue())
