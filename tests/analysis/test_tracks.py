"""Tracks: which faces keep their number, which lose it, and that crossing faces do not swap numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_detect.analysis.tracks import Tracker
from stream_detect.settings import FaceSettings
from stream_detect.types import Face

STEP_S = 0.1


def face(x, y=200.0, side=100.0, score=0.9):
    return Face((x - side / 2, y - side / 2, x + side / 2, y + side / 2), np.zeros((6, 2), np.float32), score)


def numbers(tracker, faces, time_s):
    return [track.track_id for track in tracker.update(faces, time_s)]


@pytest.fixture
def tracker():
    return Tracker()


def test_first_face_is_number_one_and_keeps_it(tracker):
    assert [numbers(tracker, [face(300 + 3 * i)], i * STEP_S) for i in range(20)] == [[1]] * 20


def test_tracks_come_in_the_order_of_the_faces(tracker):
    numbers(tracker, [face(100), face(400)], 0.0)
    faces = [face(405), face(700), face(103)]
    tracks = tracker.update(faces, STEP_S)
    assert [track.track_id for track in tracks] == [2, 3, 1]
    assert [track.face for track in tracks] == faces


@pytest.mark.parametrize("speed_px_per_s", [50, 300, 600, -600])
def test_moving_face_is_followed(tracker, speed_px_per_s):
    seen = {number for i in range(15) for number in numbers(tracker, [face(500 + speed_px_per_s * i * STEP_S)], i / 10)}
    assert seen == {1}


def test_an_approaching_face_is_followed(tracker):
    seen = {number for i in range(15) for number in numbers(tracker, [face(300, side=60 * 1.15**i)], i * STEP_S)}
    assert seen == {1}


def test_face_elsewhere_is_another_track(tracker):
    numbers(tracker, [face(100)], 0.0)
    assert numbers(tracker, [face(400)], STEP_S) == [2]


def test_short_absence_is_bridged_and_a_long_one_is_not(tracker):
    numbers(tracker, [face(300)], 0.0)
    assert numbers(tracker, [], 0.3) == []
    assert tracker.alive == {1}
    assert numbers(tracker, [face(305)], 0.6) == [1]
    assert numbers(tracker, [], 1.2) == []
    assert numbers(tracker, [face(305)], 1.4) == [2]
    assert tracker.alive == {2}


def test_numbers_are_never_used_again(tracker):
    assert numbers(tracker, [face(100), face(400)], 0.0) == [1, 2]
    tracker.reset()
    assert tracker.alive == frozenset()
    assert numbers(tracker, [face(100)], STEP_S) == [3]


@pytest.mark.parametrize("jump_s", [-5.0, 5.0])
def test_a_jump_in_time_ends_all_tracks(tracker, jump_s):
    numbers(tracker, [face(300)], 100.0)
    assert numbers(tracker, [face(300)], 100.0 + jump_s) == [2]


def test_two_frames_of_one_time_are_no_motion(tracker):
    numbers(tracker, [face(300)], 1.0)
    assert numbers(tracker, [face(310)], 1.0) == [1]
    assert numbers(tracker, [face(310)], 1.0 + STEP_S) == [1]


@pytest.mark.parametrize("speed_px_per_s", [150, 250, 400])
@pytest.mark.parametrize("hidden", [False, True], ids=["both seen", "one hidden while they overlap"])
def test_crossing_faces_do_not_swap(tracker, speed_px_per_s, hidden):
    """Two people pass each other, slightly apart in height; the detector may see only one while they overlap."""
    for i in range(31):
        moved = speed_px_per_s * i * STEP_S
        left, right = face(100 + moved, 190), face(100 + 3 * speed_px_per_s - moved, 215)
        apart = abs(left.xyxy[0] - right.xyxy[0])
        if hidden and apart < 50:
            assert numbers(tracker, [left], i * STEP_S) == [1]
        else:
            assert numbers(tracker, [left, right], i * STEP_S) == [1, 2]


def test_unclear_face_begins_no_track_but_is_followed(tracker):
    assert numbers(tracker, [face(300, score=0.65)], 0.0) == []
    assert tracker.alive == frozenset()
    assert numbers(tracker, [face(300, score=0.72)], STEP_S) == [1]
    assert numbers(tracker, [face(302, score=0.61)], 2 * STEP_S) == [1]


def test_thresholds_are_the_settings():
    strict = Tracker(FaceSettings(begin_score=0.95, min_iou=0.9, lost_s=0.15))
    assert numbers(strict, [face(300, score=0.94)], 0.0) == []
    assert numbers(strict, [face(300, score=0.96)], STEP_S) == [1]
    assert numbers(strict, [face(310, score=0.96)], 2 * STEP_S) == [2]
    assert numbers(strict, [face(310, score=0.96)], 4 * STEP_S) == [3]


def test_faces_without_area_match_nothing():
    lenient = Tracker(FaceSettings(min_iou=0.0))
    assert numbers(lenient, [face(300, side=0)], 0.0) == [1]
    assert numbers(lenient, [face(300, side=0)], STEP_S) == [2]


scenes = st.lists(
    st.lists(
        st.builds(
            face, st.floats(0, 640), st.floats(0, 480), st.floats(1, 300), st.sampled_from([0.6, 0.69, 0.7, 0.9])
        ),
        max_size=6,
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(scenes, st.lists(st.floats(-1.0, 1.0), min_size=25, max_size=25))
def test_any_faces_at_any_times(scene, steps_s):
    """Numbers count up from 1 without gaps, are unique in a frame, and are never reused."""
    tracker, highest, time_s = Tracker(), 0, 0.0
    finished: set[int] = set()
    for faces, step_s in zip(scene, steps_s, strict=False):
        before, time_s = tracker.alive, time_s + step_s
        tracks = tracker.update(faces, time_s)
        seen = [track.track_id for track in tracks]
        assert len(set(seen)) == len(seen)
        assert [id(track.face) for track in tracks] == [
            id(f) for f in faces if any(f is track.face for track in tracks)
        ]
        new = sorted(set(seen) - before)
        assert new == list(range(highest + 1, highest + 1 + len(new)))
        assert all(track.face.score >= 0.7 for track in tracks if track.track_id in new)
        highest += len(new)
        assert not finished & set(seen)
        assert set(seen) <= tracker.alive
        finished |= before - tracker.alive
