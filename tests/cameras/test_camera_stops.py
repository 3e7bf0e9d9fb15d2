"""A camera can be stopped in any state, even if its reader hangs, and started again; its counters only grow."""

import pytest

from stream_detect.errors import SourceEndedError, SourceRefusedError
from stream_detect.types import CameraState
from tests.patience import PATIENCE_S, in_time, until
from tests.scripted_camera import HANG, frame

CONNECTING, LIVE, STALLED, BACKING_OFF, REFUSED, STOPPED, LOST_NODE = CameraState


def _opening(stage):
    stage.open_hangs = True
    camera = stage.camera()
    camera.start()
    assert stage.opening.wait(PATIENCE_S)
    return camera


def _blocked(stage):
    camera, reader = stage.live()
    reader.script.put(HANG)
    until(reader.script.empty)
    return camera


def _stalled(stage):
    camera = _blocked(stage)
    stage.pass_s(camera, 5.0)
    return camera


def _backing_off(stage):
    camera, reader = stage.live()
    reader.script.put(SourceEndedError("it ended"))
    stage.watcher.expect(BACKING_OFF)
    return camera


def _refused(stage):
    stage.refuse = SourceRefusedError("no")
    camera = stage.camera()
    camera.start()
    stage.watcher.expect(CONNECTING, REFUSED)
    return camera


def _waiting(stage):
    camera = stage.camera(url="whip:")
    camera.start()
    return camera


@pytest.mark.parametrize(
    ("situation", "hangs"),
    [
        (lambda stage: stage.live()[0], False),
        (_opening, True),
        (_blocked, True),
        (_stalled, True),
        (_backing_off, False),
        (_refused, False),
        (_waiting, False),
    ],
)
def test_it_stops_soon_from_any_state_and_starts_again(stage, situation, hangs, monkeypatch, caplog):
    camera = situation(stage)
    with in_time():
        camera.stop()
    assert ("is abandoned" in caplog.text) is hangs
    status = camera.status()
    assert (status.change.state, status.change.reason) == (STOPPED, "stopped by an operator")
    assert (status.retry_at_s, status.wh, camera.snapshot()) == (None, None, None)
    before = len(stage.watcher.changes)
    stage.pass_s(camera, 1000.0)
    camera.stop()
    assert [change.state for change in stage.watcher.changes[before - 1 :]] == [STOPPED]
    stage.open_hangs, stage.refuse = False, None
    camera.start()
    if situation is _waiting:
        camera.push(frame(), "vp8")
    else:
        stage.connection().script.put(stage.picture())
    until(lambda: camera.status().change.state is LIVE)


def test_counts_only_grow(stage):
    camera, reader = stage.live()
    reader.decode_errors = 7
    reader.script.put(SourceEndedError("it ended"))
    stage.watcher.expect(BACKING_OFF)
    camera.stop()
    camera.start()
    stage.watcher.expect(STOPPED, CONNECTING)
    reader = stage.connection()
    reader.decode_errors = 2
    reader.script.put(stage.picture())
    stage.watcher.expect(LIVE)
    until(lambda: camera.status().counts.pictures == 2)
    counts = camera.status().counts
    assert (counts.decode_errors, counts.received_bytes, counts.reconnects) == (9, 2000, 0)


def test_starting_twice_makes_one_connection(stage):
    camera, _ = stage.live()
    camera.start()
    camera.look()
    assert stage.connections.empty()
