"""Decoding ahead on threads: the same results and errors as on one thread, and nothing left running."""

import json
import threading
from contextlib import closing
from itertools import count

import cv2
import numpy as np
import pytest
import skimage.data

from stream_detect.analysis.scripted import ScriptedDetector
from stream_detect.errors import AnalysisError, ReviewCancelledError
from stream_detect.models.registry import Registry
from stream_detect.review.examination import Allowance, Hooks, examine
from stream_detect.review.models import ExaminationSettings, ReviewModels, load_review_models
from stream_detect.review.samples import Samples, ahead
from stream_detect.settings import ReviewSettings
from stream_detect.sources.display import Display
from stream_detect.sources.file_frame import Facts, Shot, Tools
from stream_detect.storage.records import Upload
from tests.review.scripted_models import LEFT, model, review_models, scene
from tests.sources.media_files import animation_bytes, film, turned

RATE_HZ = 10.0
FRAMES = 100


def at_work():
    """Threads that work ahead."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("review-ahead")]


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert not at_work()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Ten seconds, ten frames a second."""
    scenes = (scene(n) for n in range(FRAMES))
    return film(tmp_path_factory.mktemp("clips") / "clip.mp4", scenes, options={"preset": "ultrafast"})


def whole(reviewed):
    """All contents of a review, including its pictures."""
    pictures = [(each.picture, each.heat_map) for model in reviewed.models for each in model.flagged]
    return json.loads(reviewed.as_json("01", Upload("clip", 1, "ab" * 32))), pictures


def test_items_come_in_order_from_another_thread():
    made_by = []

    def making():
        for number in range(20):
            made_by.append(threading.current_thread().name)
            yield number

    assert list(ahead(making())) == list(range(20))
    assert {name.rpartition("_")[0] for name in made_by} == {"review-ahead"}


def test_an_error_is_raised_at_its_position():
    def making():
        yield from range(3)
        raise AnalysisError("broken")

    taken = []
    with pytest.raises(AnalysisError, match="broken"):
        taken.extend(ahead(making()))
    assert taken == [0, 1, 2]


def test_two_are_made_ahead_and_no_more():
    made = []
    with closing(ahead(made.append(n) or n for n in count())) as items:
        for taken in range(5):
            assert next(items) == taken
            assert len(made) <= taken + 3
    assert len(made) <= 5 + 2
    assert not at_work()


def test_one_behind_the_other_end_together():
    with closing(ahead(count())) as inner, closing(ahead(map(str, inner))) as outer:
        assert [next(outer), next(outer)] == ["0", "1"]
        assert len(at_work()) == 2
    assert not at_work()


@pytest.mark.parametrize("limits", [{}, {"max_duration_s": 3.05}, {"max_flagged": 3}])
@pytest.mark.parametrize("threads", [2, 4])
def test_scripted_reviews_are_the_same(clip, threads, limits):
    scores = [0.5 + 0.4 * np.sin(n) for n in range(FRAMES)]

    def find(image):  # moves with the picture, and is not always present
        shift = float(image[0, 0, 0] % 7)
        left, top, right, bottom = LEFT.xyxy
        return [] if shift == 3 else [type(LEFT)((left + shift, top, right, bottom), LEFT.keypoints, LEFT.score)]

    models = [model(scores, maps=True), model(0.95, "other")]
    alone = examine(clip, review_models(models, find, **limits), RATE_HZ)
    assert whole(examine(clip, review_models(models, find, threads=threads, **limits), RATE_HZ)) == whole(alone)
    assert alone.models[1].flagged


def test_real_models_say_the_same_of_a_large_video(tmp_path):
    photo = np.asarray(skimage.data.astronaut(), np.uint8)
    moved = (
        cv2.warpAffine(photo, np.float32([[2, 0, 3 * n], [0, 2, 5 * (n % 3)]]), (960, 540)) for n in range(FRAMES // 2)
    )
    file = film(tmp_path / "a.mp4", moved, options={"preset": "ultrafast"})
    reviews = []
    for threads in (1, 2):
        settings = ExaminationSettings(review=ReviewSettings(threads=threads))
        reviews.append(examine(file, load_review_models(Registry.of(None), (), settings), 5.0))
    assert whole(reviews[0]) == whole(reviews[1])
    assert reviews[0].sampled == 25
    assert sum(track.admitted for track, _ in reviews[0].models[0].tracks) > 10


def test_one_thread_alone_turns_the_frames_of_a_file(clip, tmp_path, monkeypatch):
    lying = tmp_path / "lying.mp4"
    lying.write_bytes(clip.read_bytes())
    turned(lying, (64, 96))
    turned_by = []
    show = Display.show

    def noted(display, frame):
        turned_by.append(threading.current_thread().name.rpartition("_")[0])
        return show(display, frame)

    monkeypatch.setattr(Display, "show", noted)
    examine(lying, review_models(threads=2), RATE_HZ)
    at_opening = turned_by.index("review-ahead")
    assert set(turned_by[at_opening:]) == {"review-ahead"}


def test_damage_and_animations_are_the_same(tmp_path):
    torn = film(tmp_path / "a.mov", [scene(n) for n in range(40)], codec="png", pixels="rgb24")
    pictures = torn.read_bytes().split(b"\x89PNG")
    torn.write_bytes(b"\x89PNG".join(pictures[:15]) + b"\x00\x00\x00\x00" + b"\x89PNG".join(pictures[15:]))
    (tmp_path / "a.gif").write_bytes(animation_bytes("GIF", [scene(n) for n in range(12)]))
    for file in (torn, tmp_path / "a.gif"):
        alone = examine(file, review_models(), 5.0)
        assert whole(examine(file, review_models(threads=2), 5.0)) == whole(alone)
        assert alone.sampled > 3
    assert examine(torn, review_models(threads=2), 5.0).notes == ("1 damaged parts of the file were left out",)


def test_a_detector_that_fails_ends_it_in_its_turn(clip):
    calls = count()

    def find(_):
        if next(calls) == 40:
            raise AnalysisError("broken")
        return [LEFT]

    shares = []
    with pytest.raises(AnalysisError, match="broken"):
        examine(clip, review_models(faces=find, threads=2), RATE_HZ, Hooks(shares.append))
    assert 0 < len(shares) <= 40


@pytest.mark.parametrize("stopped", ["cancelled", "time is up", "hook fails"])
def test_stopping_early_leaves_nothing_running(clip, stopped):
    detector = ScriptedDetector([LEFT])
    settings = review_models(threads=2, max_run_s=1e-9 if stopped == "time is up" else 100.0).settings
    given = ReviewModels((model(),), lambda: detector, settings)
    shares = []

    def note(share):
        shares.append(share)
        if stopped == "hook fails":
            raise RuntimeError("hook")

    hooks = Hooks(note, cancelled=lambda: stopped == "cancelled" and bool(shares))
    if stopped == "time is up":
        assert examine(clip, given, RATE_HZ, hooks).sampled == 1
    else:
        with pytest.raises(ReviewCancelledError if stopped == "cancelled" else RuntimeError):
            examine(clip, given, RATE_HZ, hooks)
    assert not at_work()
    assert detector.calls < FRAMES / 2


def test_what_decodes_ahead_rests_while_the_review_gives_way():
    rested, checked = [], threading.Event()
    decoder = threading.Thread(target=lambda: (allowance.check(), checked.set()))

    def give_way():
        decoder.start()
        rested.append(not checked.wait(0.05))

    allowance = Allowance(Hooks(give_way=give_way), 10.0)
    allowance.give_way()
    decoder.join(60.0)
    assert rested == [True]
    assert checked.is_set()


class Reel:
    """Media from images in memory that counts how many were read."""

    done_share, damaged = 0.5, 0

    def __init__(self, wh):
        self.facts = Facts("video", "none", wh)
        self.made = 0
        self._image = np.zeros((wh[1], wh[0], 3), np.uint8)

    def shots(self, wants):
        for number in range(60):
            if wants(number / 10):
                self.made += 1
                yield Shot(self._image, number / 10, Tools())


@pytest.mark.parametrize(
    ("wh", "threads", "most"),
    [
        ((640, 480), 1, 8),
        ((1920, 1080), 1, 4),
        ((3840, 2160), 1, 1),
        ((640, 480), 2, 5 * 8),
        ((3840, 2160), 2, 5),
        ((5000, 2000), 2, 1),
    ],
)
def test_pictures_held_are_bounded(wh, threads, most):
    reel = Reel(wh)
    samples = Samples(reel, ScriptedDetector([]), RATE_HZ, 100.0)
    held = []
    with samples.searched(threads, lambda: None) as searched:
        for taken, sample in enumerate(searched):
            held.append(reel.made - taken)
            assert (sample.done_share, sample.faces) == (0.5, ())
    assert len(held) == 60
    assert max(held) <= most
    assert threads > 1 or max(held) == most
    assert not samples.cut_short
