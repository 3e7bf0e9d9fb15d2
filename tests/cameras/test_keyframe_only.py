import pytest

from stream_detect.cameras.intake import KeyframeOnly


def rule(*, allowed=True, interval_s=1.0, keyframes=4):
    rule = KeyframeOnly(allowed=allowed, stall_s=5.0)
    rule.begin(100.0)
    for i in range(keyframes):
        rule.keyframe(100.0 + i * interval_s)
    return rule


@pytest.mark.parametrize(
    ("settings", "now_s", "viewers", "suffices"),
    [
        ({}, 110.0, 0, True),
        ({}, 109.9, 0, False),  # a person may have arrived while it was disconnected
        ({}, 110.0, 1, False),
        ({"allowed": False}, 110.0, 0, False),
        ({"keyframes": 3}, 110.0, 0, False),  # too few frames
        ({"interval_s": 2.5}, 110.0, 0, True),
        ({"interval_s": 2.6}, 120.0, 0, False),  # a stall could not be distinguished from the wait for a key frame
    ],
)
def test_key_frames_suffice_only_while_nothing_is_missed(settings, now_s, viewers, suffices):
    assert rule(**settings).suffices(now_s, viewers) is suffices


def test_a_face_wakes_it_for_ten_seconds():
    spared = rule()
    spared.face(130.0)
    assert [spared.suffices(now_s, 0) for now_s in (130.0, 139.9, 140.0)] == [False, False, True]


def test_what_was_known_of_key_frames_is_not_known_of_the_next_connection():
    spared = rule()
    spared.begin(200.0)
    assert not spared.suffices(300.0, 0)


def test_a_camera_whose_key_frames_failed_to_come_is_spared_no_more():
    spared = rule()
    spared.forbid()
    assert not spared.suffices(300.0, 0)
