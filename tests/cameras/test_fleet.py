"""The fleet: changes of the camera list, and the thread that supervises all cameras."""

import threading
from functools import partial

import pytest

from stream_detect.cameras import camera as camera_module
from stream_detect.cameras.camera import CameraParts
from stream_detect.cameras.fleet import Applied, Fleet, hosted_here
from stream_detect.errors import AddressError, ConflictError, NotFoundError, SettingsError
from stream_detect.settings import CameraSettings, MonitoringSettings
from stream_detect.types import CameraState
from tests.patience import PATIENCE_S, until
from tests.scripted_camera import HANG

CONNECTING, LIVE, STALLED, BACKING_OFF, REFUSED, STOPPED, LOST_NODE = CameraState


def fleet_of(stage, monitoring, parts):
    """Cameras of this process, with scripted sources."""
    watcher = stage.watcher
    make = hosted_here(stage.engine, monitoring, watcher, lambda _name: watcher, lambda _name: (), parts)
    return Fleet(make, stage.engine, watcher, monitoring.max_cameras)


@pytest.fixture
def fleet(stage):
    parts = partial(CameraParts, open_reader=stage.open_reader, clocks=stage.clocks)
    fleet = fleet_of(stage, stage.monitoring, parts)
    yield fleet
    stage.ending.set()
    fleet.close()


def settings(name, **given):
    return CameraSettings(name=name, url=f"rtsp://10.0.0.5/{name}", **given)


def live(stage, fleet, *names):
    """The readers of cameras that were added and have delivered a frame."""
    readers = {}
    for name in names:
        fleet.add(settings(name))
        readers[name] = stage.connection()
        readers[name].script.put(stage.picture())
        until(lambda name=name: fleet.camera(name).status().change.state is LIVE)
    return readers


def test_cameras_are_added_found_listed_and_removed(stage, fleet):
    live(stage, fleet, "yard", "door")
    assert fleet.names() == ["door", "yard"]
    assert [status.name for status in fleet.statuses()] == ["door", "yard"]
    fleet.remove("yard")
    assert fleet.names() == ["door"]
    assert stage.watcher.gone == ["yard"]
    assert stage.watcher.changes[-1].state is STOPPED
    with pytest.raises(NotFoundError, match="there is no camera named yard"):
        fleet.camera("yard")
    with pytest.raises(NotFoundError, match="there is no camera named yard"):
        fleet.remove("yard")


def test_a_name_is_taken_once(stage, fleet):
    live(stage, fleet, "door")
    with pytest.raises(ConflictError, match="door"):
        fleet.add(settings("door", rate_hz=2))
    assert fleet.camera("door").status().change.state is LIVE


def test_no_more_cameras_than_there_may_be(stage):
    monitoring = MonitoringSettings(max_cameras=2)
    parts = partial(CameraParts, open_reader=stage.open_reader, clocks=stage.clocks)
    fleet = fleet_of(stage, monitoring, parts)
    try:
        fleet.add(settings("door"))
        fleet.add(settings("yard"))
        with pytest.raises(ConflictError, match=r"at most 2 cameras \(monitoring\.max_cameras\), received 3: remove"):
            fleet.add(settings("gate"))
        with pytest.raises(ConflictError, match="at most 2 cameras"):
            fleet.apply([settings("door"), settings("yard"), settings("gate")])
        assert fleet.names() == ["door", "yard"]
        fleet.remove("yard")
        fleet.add(settings("gate"))
    finally:
        stage.ending.set()
        fleet.close()


def test_a_camera_that_is_not_enabled_is_listed_and_stopped(stage, fleet):
    fleet.add(settings("door", enabled=False))
    change = fleet.camera("door").status().change
    assert (change.state, change.reason) == (STOPPED, "switched off")
    assert stage.watcher.changes == [change], "it may have been live before a restart"
    assert stage.connections.empty()


def test_files_and_devices_come_only_with_the_whole_list(stage, fleet, tmp_path):
    film = CameraSettings(name="film", url=f"file:{tmp_path}/film.mp4")
    with pytest.raises(AddressError):
        fleet.add(film)
    with pytest.raises(AddressError):
        fleet.check(film, from_settings_file=False)
    fleet.check(film, from_settings_file=True)
    assert fleet.apply([film]) == Applied(("film",), (), ())
    with pytest.raises(AddressError):
        fleet.change(film)
    assert fleet.camera("film").status().change.state is CONNECTING


def test_only_changed_cameras_are_restarted(stage, fleet):
    readers = live(stage, fleet, "door", "yard", "gate")
    wanted = [settings("door"), settings("yard", rate_hz=2), settings("roof")]
    assert fleet.apply(wanted) == Applied(("roof",), ("yard",), ("gate",))
    assert fleet.names() == ["door", "roof", "yard"]
    assert {name for name, reader in readers.items() if reader.stopping.is_set()} == {"yard", "gate"}
    assert fleet.camera("yard").settings.rate_hz == 2
    assert stage.watcher.gone == ["gate"]
    assert fleet.apply(wanted) == Applied((), (), ())


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (CameraSettings(name="yard", url="gopher://10.0.0.5"), AddressError),
        (settings("yard", rate_hz=0.5), SettingsError),
    ],
)
def test_a_list_with_a_mistake_changes_nothing(stage, fleet, wrong, error):
    readers = live(stage, fleet, "door", "yard")
    with pytest.raises(error):
        fleet.apply([settings("roof"), wrong])
    with pytest.raises(error):
        fleet.change(wrong)
    assert fleet.names() == ["door", "yard"]
    assert not any(reader.stopping.is_set() for reader in readers.values())


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (CameraSettings(name="yard", url="gopher://10.0.0.5"), AddressError),
        (settings("yard", rate_hz=0.5), SettingsError),
        (settings("door"), ConflictError),
    ],
)
def test_nothing_is_made_for_a_camera_that_is_refused_or_only_checked(stage, wrong, error):
    shown = []  # the renderer of a camera is created on demand, and kept

    def viewing(name):
        shown.append(name)
        return stage.watcher

    parts = partial(CameraParts, open_reader=stage.open_reader, clocks=stage.clocks)
    make = hosted_here(stage.engine, stage.monitoring, stage.watcher, viewing, lambda _name: (), parts)
    fleet = Fleet(make, stage.engine, stage.watcher, stage.monitoring.max_cameras)
    try:
        fleet.add(settings("door"))
        fleet.check(settings("roof"), from_settings_file=False)
        with pytest.raises(error):
            fleet.add(wrong)
        if error is not ConflictError:
            with pytest.raises(error):
                fleet.apply([settings("roof"), wrong])
        assert shown == ["door"]
    finally:
        stage.ending.set()
        fleet.close()


def test_a_changed_camera_is_restarted(stage, fleet):
    readers = live(stage, fleet, "door")
    fleet.change(settings("door", title="Front door"))
    assert readers["door"].stopping.is_set()
    assert fleet.camera("door").settings.title == "Front door"
    stage.connection().script.put(stage.picture())
    until(lambda: fleet.camera("door").status().change.state is LIVE)


def test_a_stall_is_noticed_and_the_camera_connected_again_without_anybody_asking(stage, fleet):
    readers = live(stage, fleet, "door", "yard")
    stage.now_s += 2.0
    readers["yard"].script.put(stage.picture())
    until(lambda: fleet.camera("yard").status().counts.pictures == 2)
    stage.now_s += 3.0
    until(lambda: stage.watcher.changes[-1].state is BACKING_OFF)
    assert [change.state for change in stage.watcher.changes if change.camera == "door"][-2:] == [STALLED, BACKING_OFF]
    assert fleet.camera("yard").status().change.state is LIVE
    stage.now_s += 1.0
    stage.connection().script.put(stage.picture())
    until(lambda: fleet.camera("door").status().change.state is LIVE)


def test_one_camera_that_cannot_be_looked_after_does_not_keep_the_others_from_it(stage, fleet, monkeypatch, caplog):
    live(stage, fleet, "door", "yard")

    def fail():
        raise ValueError

    monkeypatch.setattr(fleet.camera("door"), "look", fail)
    stage.now_s += 5.0
    until(lambda: fleet.camera("yard").status().change.state in {STALLED, BACKING_OFF})
    until(lambda: "camera door could not be looked after" in caplog.text)


def test_closing_stops_all_at_once_also_those_that_hang(stage, fleet, monkeypatch, caplog):
    monkeypatch.setattr(camera_module, "STOP_S", 1.0)
    readers = live(stage, fleet, *(f"camera-{i}" for i in range(20)))
    for reader in readers.values():
        reader.script.put(HANG)
        until(reader.script.empty)
    all_at_once, stop = threading.Barrier(len(readers)), camera_module.Camera.stop

    def stopped(camera, reason):
        all_at_once.wait(PATIENCE_S)
        stop(camera, reason)

    monkeypatch.setattr(camera_module.Camera, "stop", stopped)
    fleet.close()
    assert caplog.text.count("is abandoned") == 20
    assert {status.change.reason for status in fleet.statuses()} == {"the server stopped"}
    fleet.close()
