"""The encoding of one camera for all viewers: only while needed, with increasing timestamps for any source."""

import itertools
import threading
import time
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from stream_detect.overlay import sprite as palette
from stream_detect.overlay.overlay import Overlay
from stream_detect.settings import VideoSettings
from stream_detect.types import Thresholds
from stream_detect.webrtc import renderer as renderer_module
from stream_detect.webrtc.annotated_track import Drawing, NewestResult
from stream_detect.webrtc.offer import Codec
from stream_detect.webrtc.renderer import Renderer, RendererOutput
from tests.patience import PATIENCE_S, until
from tests.scenes import result
from tests.webrtc.peers import numbered


class Taker:
    """Receives encoded frames instead of a fan-out."""

    def __init__(self):
        self.coded = []
        self.codecs = frozenset({Codec.H264})
        self.free = True
        self.came = threading.Semaphore(0)
        self.asked = threading.Semaphore(0)

    def is_free(self):
        free = self.free  # before the test knows, and changes it
        self.asked.release()
        return free

    def deliver(self, coded):
        self.coded.append(coded)
        self.came.release()


@pytest.fixture
def taker():
    return Taker()


@pytest.fixture
def renderer(taker, monkeypatch):
    monkeypatch.setattr(renderer_module, "KEYFRAME_INTERVAL_S", 2 * PATIENCE_S)
    drawing = Drawing(Overlay(Thresholds(), 1.0), NewestResult())
    renderer = Renderer(
        "door", drawing, VideoSettings(), RendererOutput(lambda: taker.codecs, taker.is_free, taker.deliver)
    )
    renderer.start()
    yield renderer
    renderer.stop()
    renderer.join(PATIENCE_S)
    assert not renderer.is_running


def shown(renderer, taker, frame):
    """The outcome for a frame."""
    renderer.show(frame)
    assert taker.came.acquire(timeout=PATIENCE_S)
    return taker.coded[-1]


def test_timestamps_increase_for_any_source(renderer, taker):
    frames = [numbered(number) for number in range(6)]
    frames[2].pts = frames[1].pts  # a repeated timestamp
    frames[3].pts = None
    frames[4].pts = -5_000_000  # a loop, or another connection
    frames[5].pts, frames[5].time_base = -56 * 1000 + 40, Fraction(1, 1000)  # another clock
    ticks = [shown(renderer, taker, frame).timestamp for frame in frames]
    assert ticks[:2] == [0, 3600]
    assert all(later > earlier for earlier, later in itertools.pairwise(ticks))
    assert ticks[-1] < 90_000 * 60


def test_frames_for_which_the_loop_has_no_time_are_left_out_before_they_are_encoded(renderer, taker):
    shown(renderer, taker, numbered(0))
    assert taker.asked.acquire(timeout=PATIENCE_S)
    taker.free = False
    renderer.show(numbered(1))
    assert taker.asked.acquire(timeout=PATIENCE_S)
    taker.free = True
    shown(renderer, taker, numbered(2))
    assert (len(taker.coded), renderer.dropped) == (2, 1)


def test_keyframes_first_and_when_asked_for(renderer, taker):
    kinds = [shown(renderer, taker, numbered(number)).keyframe for number in range(3)]
    renderer.request_keyframe(Codec.H264)
    kinds.append(shown(renderer, taker, numbered(3)).keyframe)
    renderer.request_keyframe(Codec.H264)  # shared with the previous one
    kinds.append(shown(renderer, taker, numbered(4)).keyframe)
    assert kinds == [True, False, False, True, False]


def test_the_last_frame_of_a_camera_that_hangs_is_repeated_until_the_next_one_comes(taker, monkeypatch):
    monkeypatch.setattr(renderer_module, "SILENT_S", 0.05)
    newest = NewestResult(replace(result("no_face", None, tracks=()), arrived_s=time.monotonic()))
    drawing = Drawing(Overlay(Thresholds(), 0.2), newest)
    frames, badges, draw = [], [], drawing.draw

    def noted(frame):
        drawn = draw(frame)
        frames.append(frame)
        badges.append(drawn.to_ndarray(format="rgb24")[:40, :120])
        return drawn

    drawing.draw = noted
    renderer = Renderer(
        "door", drawing, VideoSettings(), RendererOutput(lambda: taker.codecs, taker.is_free, taker.deliver)
    )
    renderer.start()
    began_s = time.monotonic()
    renderer.show(numbered(0))
    until(lambda: badges and (np.abs(badges[-1].astype(int) - palette.HATCH_RGB).max(-1) < 25).mean() > 0.05)
    resumed = numbered(1)
    resumed.pts = round((time.monotonic() - began_s) * 90_000)
    renderer.show(resumed)
    until(lambda: resumed in frames)
    renderer.stop()
    renderer.join(PATIENCE_S)
    ticks = [one.timestamp for one in taker.coded]
    assert all(later > earlier for earlier, later in itertools.pairwise(ticks))
    assert ticks[-1] <= (time.monotonic() - began_s) * 90_000 + 1, "frames would be shown late from then on"


def test_only_codecs_with_viewers_are_encoded(renderer, taker):
    shown(renderer, taker, numbered(0))
    taker.codecs = frozenset(Codec)
    renderer.show(numbered(1))
    assert taker.came.acquire(timeout=PATIENCE_S)
    assert taker.came.acquire(timeout=PATIENCE_S)
    both = taker.coded[1:]
    assert {coded.codec: coded.keyframe for coded in both} == {Codec.H264: False, Codec.VP8: True}
    assert [coded.timestamp for coded in both] == [3600, 3600]
    taker.codecs = frozenset({Codec.VP8})
    assert shown(renderer, taker, numbered(2)).codec is Codec.VP8


def test_a_frame_that_cannot_be_encoded_is_left_out_and_the_next_one_comes(renderer, taker):
    renderer.show(av.VideoFrame(1, 1, "yuv420p"))
    coded = shown(renderer, taker, numbered(1))
    assert coded.keyframe


def test_no_packet_is_larger_than_a_link_takes(renderer, taker):
    renderer.follow(Codec.H264, 4_000_000)
    payloads = shown(renderer, taker, numbered(0, (1280, 720))).payloads
    assert len(payloads) > 5
    assert max(len(payload) for payload in payloads) <= 1300


def test_a_frame_is_drawn_with_the_result_that_was_handed_over_last():
    newest = NewestResult()
    drawing = Drawing(Overlay(Thresholds(), 1.0), newest)
    frame = numbered(0)

    def badge() -> np.ndarray:
        return drawing.draw(frame).to_ndarray(format="rgb24")[:40, :160]

    before = badge()
    newest.result = replace(result("no_face", None, tracks=()), arrived_s=time.monotonic())
    handed_over = badge()
    assert (handed_over != before).any()
    newest.result = None
    assert (badge() == before).all()
