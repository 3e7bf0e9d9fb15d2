"""The returned video of a live check whose frames stop coming and continue."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise

import av
import pytest

from stream_detect.overlay.overlay import Overlay
from stream_detect.types import Thresholds
from stream_detect.webrtc import annotated_track
from stream_detect.webrtc.annotated_track import AnnotatedTrack, Annotator, Feedback, NewestResult
from stream_detect.webrtc.frames import FrameQueue


@pytest.fixture
def frames():
    return FrameQueue()


@pytest.fixture
def track(frames, monkeypatch):
    monkeypatch.setattr(annotated_track, "SILENT_S", 0.05)
    annotator = Annotator(Overlay(Thresholds(), 2.0), NewestResult(), encoder=None)
    with ThreadPoolExecutor(1) as pool:
        yield AnnotatedTrack(frames, annotator, Feedback(1_000_000, (200_000, 4_000_000)), pool)


def frame(pts):
    made = av.VideoFrame(64, 48, "yuv420p")
    made.pts, made.time_base = pts, Fraction(1, 90_000)
    return made


async def test_frames_keep_their_timestamps(frames, track):
    for pts in (90_000, 93_000, 96_000):
        frames.put(frame(pts))
        assert (await track.recv()).pts == pts


async def test_timestamps_increase_through_repeated_frames_and_those_after_them(frames, track):
    frames.put(frame(0))
    sent = [(await track.recv()).pts for _ in range(3)]
    assert sent[0] == 0
    assert sent[1] >= 0.05 * 90_000
    for pts in (3_000, 6_000):  # the sender's clock stood still meanwhile
        frames.put(frame(pts))
        sent.append((await track.recv()).pts)
    assert all(later > earlier for earlier, later in pairwise(sent))
    frames.put(frame(sent[-1] + 90_000))
    assert (await track.recv()).pts == sent[-1] + 90_000
