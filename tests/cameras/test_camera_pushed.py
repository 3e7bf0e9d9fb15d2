"""A camera whose frames are sent by a publisher."""

import pytest

from stream_detect.errors import ConflictError
from stream_detect.events.rules import OfflineEvents
from stream_detect.media.clock import Moment
from stream_detect.types import CameraState
from tests.patience import PATIENCE_S
from tests.scripted_camera import frame

CONNECTING, LIVE, STALLED, BACKING_OFF, REFUSED, STOPPED, LOST_NODE = CameraState


def waiting(stage):
    camera = stage.camera(url="whip:")
    camera.start()
    assert stage.watcher.expect(CONNECTING).reason == "waiting for a publisher"
    return camera


def test_a_publishers_first_picture_makes_it_live(stage):
    camera = waiting(stage)
    stage.pass_s(camera, 3600)
    picture = frame()
    camera.push(picture, "vp8")
    stage.watcher.expect(LIVE)
    assert camera.snapshot()[0] is picture
    assert camera.status().codec == "vp8"
    assert stage.watcher.results.get(timeout=PATIENCE_S)[0] == "door"


def test_without_a_picture_it_stalls_and_the_next_one_revives_it(stage):
    camera = waiting(stage)
    camera.push(frame(), "vp8")
    stage.pass_s(camera, 5.0)
    stage.watcher.expect(LIVE, STALLED)
    camera.push(frame(pts=1), "vp8")
    stage.watcher.expect(LIVE)


def test_when_the_publisher_leaves_it_waits_for_the_next(stage):
    camera = waiting(stage)
    camera.push(frame(), "vp8")
    camera.publisher_left("the publisher left")
    assert stage.watcher.expect(LIVE, CONNECTING).reason == "waiting for a publisher: the publisher left"
    assert camera.status().retry_at_s is None
    camera.push(frame(), "vp8")
    stage.watcher.expect(LIVE)


def test_pictures_for_a_stopped_camera_are_dropped(stage):
    camera = waiting(stage)
    camera.stop()
    camera.push(frame(), "vp8")
    camera.publisher_left("the publisher left")
    assert camera.status().change.state is STOPPED
    assert camera.status().counts.pictures == 0


def test_others_take_no_publisher(stage):
    camera = stage.camera()
    with pytest.raises(ConflictError, match="does not accept a publisher"):
        camera.push(frame(), "vp8")
    with pytest.raises(ConflictError, match="does not accept a publisher"):
        camera.publisher_left("gone")


def test_without_a_publisher_it_is_an_offline_event(stage):
    waiting(stage)
    events, (change,) = OfflineEvents("door", 10.0), stage.watcher.changes
    assert events.state(change, Moment(change.at_s, 100.0)) == []
    ((what, event),) = events.tick(Moment(change.at_s + 10.0, 110.0))
    assert (what, event.kind, event.reason) == ("began", "offline", "waiting for a publisher")


def test_a_challenge_takes_a_live_camera_and_lasts_as_long_as_it_is_watched(stage):
    camera = waiting(stage)
    with pytest.raises(ConflictError, match="not live"):
        _ = camera.challenge
    camera.push(frame(), "vp8")
    stage.watcher.expect(LIVE)
    started = camera.challenge.start()
    assert camera.challenge.record == started
    camera.push(frame(pts=90_000), "vp8")
    assert stage.watcher.results.get(timeout=PATIENCE_S)
    camera.stop()
    with pytest.raises(ConflictError, match="not live"):
        _ = camera.challenge
    camera.start()
    stage.watcher.expect(STOPPED, CONNECTING)
    camera.push(frame(), "vp8")
    stage.watcher.expect(LIVE)
    assert camera.challenge.record is None
