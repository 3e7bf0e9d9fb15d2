"""A camera without faces decodes only key frames, if these are frequent enough."""

from stream_detect.analysis.scripted import upright_face
from stream_detect.types import CameraState
from tests.patience import PATIENCE_S, until

CONNECTING, LIVE, STALLED, BACKING_OFF, REFUSED, STOPPED, LOST_NODE = CameraState


def idle(stage, interval_s=1.0):
    """A camera without faces, after twelve seconds of key frames."""
    stage.find.clear()
    camera, reader = stage.live(keyframes_only_when_idle=True)
    for i in range(round(12 / interval_s)):
        assert not reader.keyframes_only or i * interval_s >= 9
        keyframe(stage, camera, reader, interval_s)
    return camera, reader


def keyframe(stage, camera, reader, interval_s):
    pictures = camera.status().counts.pictures
    stage.now_s += interval_s
    reader.script.put(stage.picture(keyframe=True))
    until(lambda: camera.status().counts.pictures == pictures + 1)
    camera.look()


def test_key_frames_suffice_after_ten_seconds_without_a_face(stage):
    _, reader = idle(stage)
    assert reader.keyframes_only


def test_a_viewer_brings_all_frames_back(stage):
    camera, reader = idle(stage)
    stage.watcher.viewers = 1
    camera.look()
    assert not reader.keyframes_only


def test_a_face_brings_all_frames_back(stage):
    camera, reader = idle(stage)
    stage.find.append(upright_face((20, 10, 130, 115)))
    keyframe(stage, camera, reader, 1.0)
    until(lambda: stage.watcher.results.get(timeout=PATIENCE_S)[1].tracks)
    camera.look()
    assert not reader.keyframes_only


def test_key_frames_that_stop_coming_are_noticed_as_a_stall_and_it_is_spared_no_more(stage, caplog):
    camera, reader = idle(stage)
    assert reader.keyframes_only
    stage.pass_s(camera, 5.0)
    assert camera.status().change.state is STALLED
    assert "key frames are too rare" in caplog.text
    until(lambda: camera.status().change.state is BACKING_OFF)
    stage.pass_s(camera, 2.0)
    reader = stage.connection()
    for _ in range(15):
        keyframe(stage, camera, reader, 1.0)
        assert not reader.keyframes_only


def test_it_is_not_spared_when_key_frames_come_seldom(stage):
    _, reader = idle(stage, interval_s=3.0)
    assert not reader.keyframes_only


def test_it_is_not_spared_unless_it_is_configured(stage):
    stage.find.clear()
    camera, reader = stage.live()
    for _ in range(12):
        keyframe(stage, camera, reader, 1.0)
    assert not reader.keyframes_only
