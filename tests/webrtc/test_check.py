"""A real peer sends video to the live check: what comes back, on the picture and on the data channel."""

import numpy as np
import pytest

from stream_detect.settings import VideoSettings
from stream_detect.video import palette


def share_of(colour: tuple[int, int, int], frame) -> float:
    """Share of a picture's pixels that are within video compression of a colour."""
    rgb = frame.to_ndarray(format="rgb24").astype(np.int16)
    return float((np.abs(rgb - np.array(colour, np.int16)).max(axis=2) < 40).mean())


@pytest.mark.parametrize(("offered", "h264", "answered"), [("H264", True, "H264"), ("VP8", True, "VP8")])
async def test_the_picture_comes_back_with_the_badge_in_it(open_sessions, make_peer, offered, h264, answered):
    sessions = open_sessions(video=VideoSettings(h264=h264))
    peer = make_peer(codec=offered)
    await peer.connect(sessions)
    await peer.until(lambda: any(r["state"] == "fake" for r in peer.of_type("result")))
    seen = len(peer.frames)
    await peer.until(lambda: len(peer.frames) > seen + 5)
    assert share_of(palette.VERMILION, peer.frames[-1]) > 0.01
    assert share_of(palette.VERMILION, peer.frames[0]) == 0
    assert {codec.name for codec in peer.video._codecs} == {answered, "rtx"}
