import math

import numpy as np
import pytest

from stream_detect.overlay.motion import BoxMotion

FPS, DETECTIONS_HZ, LATENCY_S = 30, 10, 0.03


def run(track, result, centre, seconds=3.0, noise=0.0):
    """Drawn and true centres, one row per frame, of a moving face that is detected at 10 Hz with a latency of 30 ms."""
    rng, motion, shown, newest = np.random.default_rng(5), BoxMotion(), [], None
    for frame in range(round(seconds * FPS)):
        now_s = frame / FPS
        sequence = math.floor((now_s - LATENCY_S) * DETECTIONS_HZ) + 1
        if sequence >= 1 and (newest is None or newest.sequence != sequence):
            seen_s = (sequence - 1) / DETECTIONS_HZ
            x = centre(seen_s) + noise * rng.standard_normal()
            newest = result(track((x - 100, 100, x + 100, 350)), time_s=seen_s, sequence=sequence)
        if newest is not None:
            ((_, box),) = motion.follow(newest, now_s)
            shown.append((now_s, (box[0] + box[2]) / 2, centre(now_s)))
    return np.array(shown)


@pytest.mark.parametrize("speed", [-400, -50, 0, 50, 200, 400])
def test_a_steadily_moving_face_is_less_than_120_ms_ahead_of_its_box(track, result, speed):
    shown = run(track, result, lambda t: 300 + speed * t)
    late = shown[shown[:, 0] > 1]
    assert np.abs(late[:, 1] - late[:, 2]).max() <= abs(speed) * 0.12 + 1e-6


def test_a_shaken_head_is_followed(track, result):
    speed_max = 40 * 2 * math.pi
    shown = run(track, result, lambda t: 300 + 40 * math.sin(2 * math.pi * t))
    late = shown[shown[:, 0] > 1]
    assert np.abs(late[:, 1] - late[:, 2]).max() <= speed_max * 0.15


def test_a_face_that_starts_and_stops_is_reached_within_150_ms_without_a_long_overshoot(track, result):
    shown = run(track, result, lambda t: 300 + 200 * min(max(t - 1, 0), 1))
    assert np.abs(shown[:, 1] - shown[:, 2]).max() <= 200 * 0.15
    settled = shown[shown[:, 0] > 2.5]
    np.testing.assert_allclose(settled[:, 1], 500, atol=3)


def test_a_still_face_does_not_shake_more_than_its_detections(track, result):
    shown = run(track, result, lambda _t: 300.0, seconds=20, noise=1.5)
    assert shown[30:, 1].std() < 1.5 * 1.25
    assert np.abs(np.diff(shown[30:, 1], 2)).mean() < 1.5


def test_a_step_is_eased_over_some_frames(track, result):
    shown = run(track, result, lambda t: 300.0 if t < 1 else 330.0)
    assert np.abs(np.diff(shown[:, 1])).max() < 25
    np.testing.assert_allclose(shown[shown[:, 0] > 1.4][:, 1], 330, atol=1)


def test_new_tracks_appear_where_they_are_and_lost_ones_are_gone_at_once(track, result):
    motion = BoxMotion()
    motion.follow(result(track((0, 0, 10, 10), number=1), sequence=1), 0.0)
    shown = motion.follow(result(track((50, 60, 90, 99), number=2), sequence=2, time_s=0.1), 0.12)
    assert [(t.track_id, box) for t, box in shown] == [(2, (50, 60, 90, 99))]
    assert motion.follow(result(sequence=3, time_s=0.2), 0.2) == []


def test_a_box_waits_when_no_detection_comes(track, result):
    motion = BoxMotion()
    for sequence in range(1, 11):
        x = 20.0 * sequence
        newest = result(track((x, 0, x + 50, 50)), sequence=sequence, time_s=sequence / 10)
        motion.follow(newest, sequence / 10)
    for now_s in np.arange(1.0, 3.0, 1 / 30):
        ((_, box),) = motion.follow(newest, float(now_s))
    assert box[0] == pytest.approx(200 + 200 * 0.05, abs=1)


def test_a_camera_that_is_started_again_and_counts_from_one_shows_its_own_boxes(track, result):
    motion = BoxMotion()
    motion.follow(result(track((0, 0, 50, 50))), 0.0)
    ((_, box),) = motion.follow(result(track((200, 60, 250, 110)), time_s=9.0), 9.0)
    assert box == (200, 60, 250, 110)


def test_boxes_without_numbers_are_not_shown(track, result):
    motion = BoxMotion()
    tracks = (track((0, 0, math.nan, 9), number=1), track((0, 0, math.inf, 9), number=2), track((0, 0, 9, 9), number=3))
    assert [t.track_id for t, _ in motion.follow(result(*tracks), 0.0)] == [3]


def test_a_box_is_at_once_where_it_belongs_when_the_frame_size_changes(track, result):
    motion = BoxMotion()
    for sequence in range(1, 21):
        large = sequence > 15
        box = (400, 200, 800, 700) if large else (200, 100, 400, 350)
        newest = result(
            track(box), wh=(1280, 960) if large else (640, 480), time_s=sequence / DETECTIONS_HZ, sequence=sequence
        )
        ((_, shown),) = motion.follow(newest, sequence / DETECTIONS_HZ + LATENCY_S)
        assert shown == pytest.approx(box)
