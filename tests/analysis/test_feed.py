"""Still faces, frozen feeds and loops are detected; live video, however quiet, is not taken for one."""

import time
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import skimage.data

from stream_detect.analysis.cuts import appearance
from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.feed import STILL, FeedWatch, Motion
from stream_detect.analysis.pipeline import Pipeline
from stream_detect.analysis.quality import QualityGate
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector, upright_face
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.analysis.tracks import Tracker
from stream_detect.settings import FeedSettings
from stream_detect.types import FeedState, Frame, VerdictState

PHOTO = cv2.resize(skimage.data.astronaut()[0:384], (640, 480))
FACE = upright_face((225.0, 78.0, 345.0, 198.0))
LIVE, FROZEN, LOOPED = FeedState


def swaying(index, period=None):
    """A head that moves as people do: without a period, or repeating after so many samples."""
    time_s = 0.1 * (index if period is None else index % period)
    x = 9 * np.sin(1.1 * time_s) + 6 * np.sin(2.63 * time_s + 1) + 4 * np.sin(0.37 * time_s)
    y = 5 * np.sin(0.83 * time_s) + 3 * np.sin(3.1 * time_s)
    turn = cv2.getRotationMatrix2D((285, 140), 4 * np.sin(0.71 * time_s) + 2 * np.sin(1.93 * time_s), 1.0)
    turn[:, 2] += (x, y)
    return cv2.warpAffine(PHOTO, turn, (640, 480), borderMode=cv2.BORDER_REFLECT)


def coded(image, count, codec="libx264", bitrate=400_000):
    """The image after coding at 30 fps, every third frame."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
    encoder.time_base, encoder.framerate, encoder.gop_size = Fraction(1, 30), Fraction(30), 60
    encoder.bit_rate = bitrate
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    decoder = av.CodecContext.create("h264", "r")
    shown = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = number
        for packet in encoder.encode(frame):
            shown += decoder.decode(packet)
    return [frame.to_ndarray(format="rgb24") for frame in shown[::3]]


def states(images, *, face=True, step_s=0.1, **settings):
    watch = FeedWatch(FeedSettings(**settings))
    return [watch.look(image, index * step_s, face=face) for index, image in enumerate(images)]


def pipeline(score=0.02):
    settings = AnalysisSettings()
    return Pipeline(
        ScriptedDetector([FACE]), ScriptedClassifier(score), Tracker(settings.faces), QualityGate(settings.quality),
        settings,
    )  # fmt: skip


def verdicts(images, step_s=0.1):
    analysis = pipeline()
    return [analysis.step(Frame(image, index * step_s, 0.0)) for index, image in enumerate(images)]


def test_a_still_photo_is_never_judged_and_says_why():
    results = verdicts([PHOTO] * 150)
    assert {result.verdict.state for result in results} == {VerdictState.GATHERING}
    assert results[-1].verdict.reason.endswith(f"0 of 12 usable frames ({STILL})")


def test_a_still_photo_that_was_sent_as_video_is_never_judged():
    results = verdicts(coded(PHOTO, 600))
    assert {result.verdict.state for result in results} == {VerdictState.GATHERING}
    assert STILL in results[-1].verdict.reason


def test_a_face_that_freezes_loses_its_verdict():
    results = verdicts([swaying(index) for index in range(60)] + [swaying(59)] * 120)
    assert results[59].verdict.state is VerdictState.REAL
    assert results[-1].verdict.state is VerdictState.GATHERING
    assert STILL in results[-1].verdict.reason
    assert results[-1].feed is FROZEN
    assert results[-1].feed_reason == "the picture has stood still for 12 s"


@pytest.mark.parametrize("fps", [2, 3, 5])
def test_a_screen_shared_at_few_fps_counts_each_picture_once(fps):
    every = 10 / fps
    results = verdicts([swaying(int(int(index / every) * every)) for index in range(200)])
    assert results[-1].verdict.state is VerdictState.REAL
    assert results[-1].verdict.admitted <= 10 * min(fps, 5) + 1


def test_one_picture_a_second_is_too_few_for_a_verdict():
    results = verdicts([swaying(10 * (index // 10)) for index in range(200)])
    assert {result.verdict.state for result in results} == {VerdictState.GATHERING}
    assert results[-1].verdict.admitted <= 11


def test_a_picture_without_structure_cannot_stand_still():
    motion = Motion()
    grey = np.full((480, 640, 3), 90, np.uint8)
    assert all(motion.is_new(grey, appearance(grey, FACE.xyxy, 0.1 * index)) for index in range(30))


@pytest.mark.parametrize("period", [20, 25, 47, 83, 200])
def test_a_loop_is_found_with_its_period(period):
    feeds = states([swaying(index, period) for index in range(2 * period + 150)])
    assert feeds[-1].state is LOOPED
    assert feeds[-1].reason.startswith("the picture repeats every ")
    seconds = float(feeds[-1].reason.split()[-2])
    turns = seconds / (period / 10)
    assert turns == pytest.approx(max(round(turns), 1), abs=0.25)
    assert {feed.state for feed in feeds[: period + 40]} == {LIVE}


@pytest.mark.parametrize("rate_hz", [1, 2, 3, 4, 6, 8])
def test_the_period_of_a_loop_is_in_seconds_at_any_rate(rate_hz):
    turns = [swaying(10 * (index % (6 * rate_hz)) / rate_hz) for index in range(24 * rate_hz)]
    feeds = states(turns, step_s=1 / rate_hz)
    assert feeds[-1].reason == "the picture repeats every 6 s"
    assert {feed.state for feed in feeds[: 16 * rate_hz]} == {LIVE}


@pytest.mark.parametrize("rate_hz", [1, 2, 4, 8])
def test_people_who_move_are_live_at_any_rate(rate_hz):
    feeds = states([swaying(10 * index / rate_hz) for index in range(60 * rate_hz)], step_s=1 / rate_hz)
    assert {feed.state for feed in feeds} == {LIVE}


def test_a_looped_feed_is_never_called_real():
    results = verdicts([swaying(index, 60) for index in range(400)])
    looped = [result for result in results if result.feed is LOOPED]
    assert looped
    assert VerdictState.REAL not in {result.verdict.state for result in looped}
    assert looped[-1].verdict.reason == looped[-1].feed_reason


def test_people_who_move_are_live():
    assert {feed.state for feed in states([swaying(index) for index in range(700)])} == {LIVE}


def test_a_fan_is_no_loop():
    def fan(index):
        image = PHOTO.copy()
        angle = 2 * np.pi * index / 9
        end = (int(480 + 120 * np.cos(angle)), int(300 + 120 * np.sin(angle)))
        cv2.line(image, (480, 300), end, (250, 250, 250), 40)
        return image

    assert {feed.state for feed in states([fan(index) for index in range(600)], face=False)} == {LIVE}


def test_an_empty_room_may_stand_still_and_a_feed_that_brings_nothing_new_may_not():
    rng = np.random.default_rng(3)
    noisy = [np.clip(PHOTO + rng.normal(0, 4, PHOTO.shape), 0, 255).astype(np.uint8) for _ in range(20)]
    room = states([noisy[index % 20] for index in range(700)], face=False, step_s=0.2)
    assert {feed.state for feed in room} == {LIVE}
    frozen = states([PHOTO] * 350, face=False, step_s=0.2)
    assert frozen[-1].state is FROZEN
    assert frozen[200].state is LIVE


def test_looking_takes_little_time_though_minutes_are_remembered():
    watch = FeedWatch(FeedSettings())
    images = [swaying(index) for index in range(40)]
    for index in range(1600):
        watch.look(images[index % 37], 0.2 * index, face=True)
    began = time.thread_time()
    for index in range(1600, 1650):
        watch.look(images[index % 37], 0.2 * index, face=True)
    assert (time.thread_time() - began) / 50 < 0.02


def test_the_shared_clips_are_live(shared):
    finder = BlazeFace("full", 0.6, 8)
    for path in sorted((shared / "data" / "clips").glob("*.mp4")):
        with av.open(path) as clip:
            every = round(float(clip.streams.video[0].average_rate) / 10)
            frames = [frame for index, frame in enumerate(clip.decode(video=0)) if index % every == 0]
        images = [cv2.resize(frame.to_ndarray(format="rgb24"), (640, 480)) for frame in frames]
        assert {feed.state for feed in states(images)} == {LIVE}, path.name
        motion, new = Motion(), []
        for index, image in enumerate(images):
            faces = finder.detect(image)[:1]
            new += [motion.is_new(image, appearance(image, face.xyxy, 0.1 * index)) for face in faces]
        assert not new or np.mean(new) > 0.25, path.name
