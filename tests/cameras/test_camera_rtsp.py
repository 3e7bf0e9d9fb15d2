"""Cameras of a real RTSP server that is killed, restarted, frozen and password-protected, with a real clock."""

import time

import pytest

from stream_detect.analysis.engine import Engine
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.cameras.fleet import Fleet, hosted_here
from stream_detect.settings import CameraSettings, MonitoringSettings
from stream_detect.types import CameraState
from tests.patience import in_time, steady, until
from tests.rtsp.films import FILMS, Film
from tests.scripted_camera import Watcher

CONNECTING, LIVE, STALLED, BACKING_OFF, REFUSED, STOPPED, LOST_NODE = CameraState


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture
def fleet(watcher):
    engine = Engine(AnalysisSettings(), lambda: ScriptedDetector([]), lambda: ScriptedClassifier(0.9))
    make = hosted_here(engine, MonitoringSettings(), watcher, lambda _name: watcher, lambda _name: ())
    fleet = Fleet(make, engine, watcher, 64)
    yield fleet
    with in_time():
        fleet.close()


def live(fleet, watcher, url, **settings):
    camera = fleet.add(CameraSettings(name="door", url=url, **settings))
    watcher.expect(CONNECTING, LIVE)
    until(lambda: camera.status().counts.pictures >= 5)
    return camera


def expect_relive(watcher, *, attempts=6):
    """Waits until it is live again, after the first attempt that reached the server."""
    for _ in range(attempts):
        next_change(watcher, CONNECTING)
        change = watcher.next_change()
        if change.state is LIVE:
            return
        assert change.state is BACKING_OFF
    pytest.fail("it was not live again")


def next_change(watcher, state):
    """Waits for the next change to this state, skipping others."""
    while (change := watcher.next_change()).state is not state:
        pass
    return change


def test_a_camera_is_watched_and_judged(rtsp_server, fleet, watcher):
    camera = live(fleet, watcher, rtsp_server.url("face"))
    until(lambda: camera.status().counts.analysed >= 5)
    until(lambda: camera.status().fps > 12)
    status = camera.status()
    assert (status.wh, status.codec) == ((640, 480), "h264")
    assert status.counts.dropped_samples < status.counts.pictures / 5, "half of the samples"
    assert status.counts.received_bytes > 10_000
    assert 0 <= status.result_age_s < 60


def test_a_killed_server_is_noticed_at_once_and_found_again_when_it_is_back(own_rtsp_server, fleet, watcher):
    camera = live(fleet, watcher, own_rtsp_server.url("face"))
    own_rtsp_server.stop(kill=True)
    change = watcher.expect(BACKING_OFF)  # and was not stalled in between
    assert "127.0.0.1" not in change.reason or "***" not in change.reason
    assert camera.status().result is None
    next_change(watcher, CONNECTING)
    next_change(watcher, BACKING_OFF)
    own_rtsp_server.start()
    expect_relive(watcher)
    assert camera.status().counts.reconnects >= 2


def test_a_frozen_server_is_a_stall_and_is_found_again_when_it_continues(own_rtsp_server, fleet, watcher):
    live(fleet, watcher, own_rtsp_server.url("face"))
    own_rtsp_server.freeze()
    watcher.expect(STALLED, BACKING_OFF)
    own_rtsp_server.thaw()
    expect_relive(watcher)


def test_a_wrong_password_is_refused_and_a_right_one_is_not(own_rtsp_server, fleet, watcher):
    own_rtsp_server.mount("locked", FILMS["small"], lock="basic", user="viewer", password="hunter2")
    camera = fleet.add(
        CameraSettings(name="door", url=own_rtsp_server.url("locked", user="viewer", password="wrong-one"))
    )
    watcher.expect(CONNECTING, REFUSED)
    status = camera.status()
    assert 200 < status.retry_at_s - time.time() <= 300
    assert "wrong-one" not in repr(watcher.changes) + repr(status)
    fleet.change(CameraSettings(name="door", url=own_rtsp_server.url("locked", user="viewer", password="hunter2")))
    watcher.expect(STOPPED, CONNECTING, LIVE)


@pytest.mark.parametrize("situation", ["opening", "live", "blocked", "backing off", "refused"])
def test_it_stops_soon_in_any_state(own_rtsp_server, fleet, watcher, situation, caplog):
    url = own_rtsp_server.url("face")
    if situation == "refused":
        own_rtsp_server.mount("locked", FILMS["small"], lock="basic", user="viewer", password="hunter2")
        url = own_rtsp_server.url("locked", user="viewer", password="wrong-one")
    elif situation == "opening":
        own_rtsp_server.freeze()
    elif situation == "backing off":
        own_rtsp_server.stop()
    camera = fleet.add(CameraSettings(name="door", url=url))
    expected = {"opening": (), "backing off": (BACKING_OFF,), "refused": (REFUSED,)}.get(situation, (LIVE,))
    watcher.expect(CONNECTING, *expected)
    if situation == "blocked":
        own_rtsp_server.freeze()
        steady(lambda: camera.status().counts.received_bytes, for_s=0.2)
    with in_time():
        camera.stop()
    assert camera.status().change.state is STOPPED
    assert "is abandoned" not in caplog.text


def test_an_idle_camera_decodes_key_frames_only_until_there_is_a_viewer(rtsp_server, fleet, watcher, monkeypatch):
    monkeypatch.setattr("stream_detect.cameras.intake.NO_FACE_S", 3.5)
    camera = live(fleet, watcher, rtsp_server.url("face"), keyframes_only_when_idle=True)
    until(lambda: camera._reader.keyframes_only)
    until(lambda: 0 < camera.status().fps < 8)
    watcher.viewers = 1
    shown = len(watcher.shown)
    until(lambda: len(watcher.shown) > shown + 20)
    assert camera.status().change.state is LIVE
    assert camera.status().counts.decode_errors == 0


def test_a_camera_with_packet_loss_stays_connected_and_reports_the_cure(rtsp_server, fleet, watcher, caplog):
    rtsp_server.mount("losing", Film(seconds=20, key_s=20), lose=0.05)
    camera = live(fleet, watcher, rtsp_server.url("losing"), transport="udp")
    until(lambda: "over UDP: set the camera's transport to tcp" in camera.status().change.reason)
    until(lambda: camera.status().counts.received_bytes > 300_000)
    assert camera.status().counts.reconnects == 0
    assert caplog.text.count("over UDP: set the camera's transport to tcp") == 1
