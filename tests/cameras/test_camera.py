"""A camera with a scripted reader and clock; tests wait for the effects of threads and never for a time."""

import logging
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_detect.cameras import camera as camera_module
from stream_detect.errors import (
    AddressError,
    SettingsError,
    SourceEndedError,
    SourceRefusedError,
    SourceStalledError,
    SourceUnreachableError,
)
from stream_detect.events.rules import OfflineEvents
from stream_detect.media.clock import Moment
from stream_detect.settings import CameraSettings
from stream_detect.types import CameraState
from tests.patience import PATIENCE_S, until
from tests.scripted_camera import HANG, Stage, failing

CONNECTING, LIVE, STALLED, BACKING_OFF, REFUSED, STOPPED, LOST_NODE = CameraState


def test_its_first_frame_makes_it_live_and_its_status_has_the_known_values(stage):
    camera, reader = stage.live()
    for _ in range(3):
        stage.pass_s(camera, 1.0)
        for _ in range(10):
            reader.script.put(stage.picture())
    until(lambda: camera.status().counts.pictures == 31)
    stage.pass_s(camera, 0.0)
    status = camera.status()
    assert (status.name, status.change.state, status.wh, status.codec) == ("door", LIVE, (160, 120), "h264")
    assert status.fps == pytest.approx(10.0, abs=0.5)
    assert status.change.reason == "10 fps"
    assert status.counts.received_bytes == 31_000
    assert status.counts.reconnects == 0
    assert status.retry_at_s is None


def test_samples_are_judged_at_the_cameras_own_rate_and_reported(stage):
    camera, reader = stage.live(rate_hz=2)
    _, first, at_s = stage.watcher.results.get(timeout=PATIENCE_S)
    assert at_s == stage.now_s + 1e9
    assert len(first.tracks) == 1
    for time_s in (0.5, 1.0):
        for _ in range(5):
            stage.now_s += 0.1
            reader.script.put(stage.picture())
            until(reader.settled)
        result = stage.watcher.results.get(timeout=PATIENCE_S)[1]
        assert result.time_s == pytest.approx(time_s)
    until(lambda: camera.status().counts.analysed == 3)
    assert camera.status().counts.pictures == 11
    assert stage.watcher.results.empty()
    assert camera.status().result == result
    assert camera.snapshot()[1] == result


def test_frames_are_shown_only_while_there_are_viewers(stage):
    camera, reader = stage.live()
    assert stage.watcher.shown == []
    stage.watcher.viewers = 2
    picture = stage.picture()
    reader.script.put(picture)
    until(lambda: stage.watcher.shown)
    assert stage.watcher.shown == [picture.frame]
    assert camera.snapshot()[0] is picture.frame
    assert camera.status().viewers == 2


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (SourceUnreachableError("the connection was closed"), "the connection was closed"),
        (SourceEndedError("the camera ended the stream"), "the camera ended the stream"),
        (None, "the stream ended"),
        (ValueError("rtsp://viewer:hunter2@10.0.0.5"), "unexpected ValueError"),
    ],
)
def test_any_end_of_a_live_source_is_a_failure_and_it_is_reconnected(stage, end, reason):
    camera, reader = stage.live()
    reader.script.put(end)
    change = stage.watcher.expect(BACKING_OFF)
    assert change.reason == reason
    assert camera.status().retry_at_s == stage.now_s + 1e9 + 1.0
    stage.pass_s(camera, 0.9)
    assert camera.status().change.state is BACKING_OFF
    stage.pass_s(camera, 0.1)
    stage.watcher.expect(CONNECTING)
    stage.connection().script.put(stage.picture())
    stage.watcher.expect(LIVE)
    assert camera.status().counts.reconnects == 1
    until(lambda: reader.closed)


def test_a_dead_camera_does_not_fill_the_log(stage, caplog):
    caplog.set_level(logging.INFO, "stream_detect")
    stage.refuse = SourceUnreachableError("nobody answers")
    camera = stage.camera()
    camera.start()
    for _ in range(6):
        stage.watcher.expect(CONNECTING, BACKING_OFF)  # reported anyway
        stage.pass_s(camera, 60)
    stage.watcher.expect(CONNECTING, BACKING_OFF)
    lines = [record.getMessage() for record in caplog.records if "camera door" in record.getMessage()]
    assert len(lines) == 2, lines


def test_the_first_connect_backs_off_too(stage):
    stage.refuse = SourceUnreachableError("nobody answers")
    camera = stage.camera()
    camera.start()
    pauses = []
    for _ in range(4):
        stage.watcher.expect(CONNECTING, BACKING_OFF)
        pauses.append(camera.status().retry_at_s - stage.now_s - 1e9)
        stage.pass_s(camera, pauses[-1])
    assert pauses == [1, 2, 4, 8]


def test_wrong_credentials_are_refused_and_tried_again_slowly(stage):
    stage.refuse = SourceRefusedError("the camera refused the user name or password")
    camera = stage.camera()
    camera.start()
    assert stage.watcher.expect(CONNECTING, REFUSED).reason == "the camera refused the user name or password"
    assert camera.status().retry_at_s == stage.now_s + 1e9 + 300
    stage.refuse = None
    stage.pass_s(camera, 300)
    stage.connection().script.put(stage.picture())
    stage.watcher.expect(CONNECTING, LIVE)


def test_no_password_is_reported_or_logged(stage, caplog):
    caplog.set_level(logging.DEBUG)
    stage.refuse = failing(SourceUnreachableError)
    camera = stage.camera(url="rtsp://viewer:hunter2@10.0.0.5/stream")
    camera.start()
    stage.watcher.expect(CONNECTING, BACKING_OFF)
    stage.refuse = failing(RuntimeError)
    stage.pass_s(camera, 1.0)
    stage.watcher.expect(CONNECTING, BACKING_OFF)
    until(lambda: "unexpected RuntimeError" in caplog.text)
    assert "10.0.0.5" in caplog.text
    assert "hunter2" not in caplog.text + repr(stage.watcher.changes) + repr(camera.status())


def test_a_stall_is_noticed_while_the_reader_is_blocked_and_its_late_pictures_are_ignored(stage):
    camera, reader = stage.live()
    stage.watcher.results.get(timeout=PATIENCE_S)
    until(lambda: camera.status().result is not None)
    reader.script.put(HANG)
    stage.pass_s(camera, 4.9)
    assert camera.status().change.state is LIVE
    stage.pass_s(camera, 0.1)
    stage.watcher.expect(STALLED)
    status = camera.status()
    assert (status.result, status.result_age_s, status.fps) == (None, None, 0.0)  # no current verdict
    assert camera.snapshot()[1:] == (None, pytest.approx(stage.now_s - 5.0))
    stage.pass_s(camera, 5.5)
    stage.watcher.expect(BACKING_OFF)
    stage.pass_s(camera, 1.0)
    following = stage.connection()
    following.script.put(stage.picture())
    stage.watcher.expect(CONNECTING, LIVE)
    pictures = camera.status().counts.pictures
    reader.script.put(stage.picture())
    stage.ending.set()
    until(lambda: reader.closed)
    assert camera.status().counts.pictures == pictures
    assert camera.status().change.state is LIVE
    assert not following.stopping.is_set()


def test_a_camera_whose_packets_give_no_frame_says_why_and_is_kept(stage):
    camera, reader = stage.live()
    reader.trouble = "30 % of the frames are lost or damaged"
    for _ in range(50):
        reader.packet_s = stage.now_s + 0.1
        stage.pass_s(camera, 0.1)
    assert stage.watcher.expect(STALLED).reason == f"packets come, but no frame for 5 s: {reader.trouble}"
    assert not reader.stopping.is_set()
    reader.script.put(stage.picture(keyframe=True))
    stage.watcher.expect(LIVE)
    assert camera.status().counts.reconnects == 0


def test_a_live_camera_says_what_troubles_it_and_logs_it_once(stage, caplog):
    camera, reader = stage.live()
    reader.trouble = "30 % of the frames are lost or damaged"
    for _ in range(4):
        for _ in range(10):
            reader.script.put(stage.picture())
        stage.pass_s(camera, 1.0)
    until(lambda: camera.status().counts.pictures == 41)
    assert camera.status().change.reason.endswith(" fps; 30 % of the frames are lost or damaged")
    assert caplog.text.count(reader.trouble) == 1


def test_an_attempt_after_a_failure_says_what_failed(stage):
    stage.refuse = SourceUnreachableError("nobody answers")
    camera = stage.camera()
    camera.start()
    stage.watcher.expect(CONNECTING, BACKING_OFF)
    stage.pass_s(camera, 1.0)
    assert stage.watcher.expect(CONNECTING).reason == "trying again: nobody answers"


def test_an_offline_event_says_what_failed_also_during_an_attempt(stage):
    stage.refuse = SourceUnreachableError("the camera does not send over tcp (461): set its transport to udp")
    camera, events = stage.camera(), OfflineEvents("door", 10.0)
    camera.start()
    for _ in range(6):
        for state in (CONNECTING, BACKING_OFF):
            change = stage.watcher.expect(state)
            begun = events.state(change, Moment(change.at_s, change.at_s))
            if begun:
                assert str(stage.refuse) in begun[0].event.reason
                return
        stage.pass_s(camera, 8.0)
    pytest.fail("it was no event")


def test_connections_that_hang_do_not_pile_up(stage):
    stage.open_hangs = True
    camera = stage.camera()
    camera.start()
    stage.watcher.expect(CONNECTING)
    for _ in range(2):
        stage.pass_s(camera, 9.5)
        stage.watcher.expect(STALLED)
        stage.pass_s(camera, 5.5)
        stage.watcher.expect(BACKING_OFF)
        stage.pass_s(camera, 60.0)
        stage.watcher.expect(CONNECTING)
    stage.pass_s(camera, 9.5)
    stage.pass_s(camera, 5.5)
    stage.watcher.expect(STALLED, BACKING_OFF)
    stage.pass_s(camera, 60.0)
    assert stage.watcher.expect(CONNECTING, BACKING_OFF).reason == "3 connections hang and have to end before the next"
    stage.open_hangs = False
    stage.ending.set()
    until(lambda: stage.connections.qsize() == 3)
    until(lambda: not any(thread.is_alive() for thread in camera._connections._threads))
    stage.pass_s(camera, 60.0)
    stage.watcher.expect(CONNECTING)


def test_the_analysis_sees_a_gap_after_a_reconnect_and_after_a_loss(stage):
    camera, reader = stage.live(rate_hz=10)
    stage.watcher.results.get(timeout=PATIENCE_S)
    for gap in (False, True, False):
        stage.now_s += 0.2
        reader.script.put(stage.picture(gap=gap))
        result = stage.watcher.results.get(timeout=PATIENCE_S)[1]
    (track,) = result.tracks
    assert [score != score for score in track.trace] == [False, False, True, False, False]  # noqa: PLR0124 - NaN
    reader.script.put(SourceEndedError("it ended"))
    stage.watcher.expect(BACKING_OFF)
    stage.pass_s(camera, 1.0)
    stage.connection().script.put(stage.picture())
    stage.watcher.expect(CONNECTING, LIVE)
    result = stage.watcher.results.get(timeout=PATIENCE_S)[1]
    assert result.time_s == pytest.approx(1.6)  # the elapsed time
    assert (result.tracks[0].track_id, len(result.tracks[0].trace)) == (2, 1)  # it may be another person


def test_a_track_that_outlives_a_reconnect_shows_the_gap(stage):
    camera, reader = stage.live(rate_hz=1.3)
    stage.watcher.results.get(timeout=PATIENCE_S)
    reader.script.put(SourceEndedError("it ended"))
    stage.watcher.expect(BACKING_OFF)
    stage.pass_s(camera, 1.0)
    stage.connection().script.put(stage.picture())
    (track,) = stage.watcher.results.get(timeout=PATIENCE_S)[1].tracks
    assert [score != score for score in track.trace] == [False, True, False]  # noqa: PLR0124 - NaN


def test_the_age_of_a_result_counts_from_the_arrival_of_its_frame(stage):
    release = []
    stage.engine._detector_factory = lambda: _Slow(release)
    camera, _ = stage.live()
    until(lambda: release)
    stage.now_s += 3.0  # of the analysis
    release[0].set()
    until(lambda: camera.status().result)
    assert camera.status().result_age_s == pytest.approx(3.0)


def test_a_result_after_the_stall_is_not_reported(stage):
    release = []
    stage.engine._detector_factory = lambda: _Slow(release)
    camera, reader = stage.live()
    until(lambda: release)
    stage.pass_s(camera, 1.0)
    reader.script.put(stage.picture())
    until(lambda: camera.status().counts.pictures == 2)
    stage.pass_s(camera, 5.0)
    stage.watcher.expect(STALLED)
    release[0].set()
    until(lambda: len(release) == 2)  # so the first one has been delivered, if at all
    assert stage.watcher.results.empty()
    assert camera.status().counts.analysed == 0
    release[1].set()


def test_a_result_that_comes_after_a_reconnect_is_not_the_new_connections(stage):
    release = []
    stage.engine._detector_factory = lambda: _Slow(release)
    camera, reader = stage.live()
    until(lambda: release)
    reader.script.put(SourceEndedError("it ended"))
    stage.watcher.expect(BACKING_OFF)
    stage.pass_s(camera, 1.0)
    stage.connection().script.put(stage.picture())
    stage.watcher.expect(CONNECTING, LIVE)
    until(lambda: camera.status().counts.pictures == 2)
    release[0].set()
    until(lambda: len(release) == 2)  # so the first was delivered, if at all
    assert stage.watcher.results.empty()
    assert (camera.status().result, stage.watcher.shown_result) == (None, None)
    release[1].set()
    assert stage.watcher.results.get(timeout=PATIENCE_S)[1].arrived_s == stage.now_s


class _Slow:
    """A detector that is still running."""

    def __init__(self, release):
        self._release = release

    def detect(self, _image):
        event = Event()
        self._release.append(event)
        event.wait(PATIENCE_S)
        return []


def test_a_file_that_does_not_loop_ends_as_stopped_and_can_be_started_again(stage, tmp_path):
    camera, reader = stage.live(url=f"file:{tmp_path}/film.mp4")
    reader.script.put(SourceEndedError("the file ended"))
    assert stage.watcher.expect(STOPPED).reason == "the file ended"
    stage.pass_s(camera, 3600)
    camera.start()
    stage.watcher.expect(CONNECTING)
    stage.connection().script.put(stage.picture())
    stage.watcher.expect(LIVE)


def test_a_file_that_cannot_be_read_is_tried_again(stage, tmp_path):
    _, reader = stage.live(url=f"file:{tmp_path}/film.mp4")
    reader.script.put(SourceUnreachableError("nothing that can be decoded"))
    stage.watcher.expect(BACKING_OFF)


def test_an_address_or_a_rate_that_is_of_no_use_is_refused_at_once(stage):
    with pytest.raises(AddressError):
        camera_module.Camera(CameraSettings(name="door", url="file:/etc/passwd"), stage.parts())
    with pytest.raises(SettingsError, match=r"rate_hz of at least 1\.2, received 1"):
        stage.camera(rate_hz=1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(["picture", "ended", "stalled", "refused", "hang", "stop", "start", "1 s", "6 s", "look"]),
        max_size=20,
    )
)
def test_it_is_live_only_with_a_frame_within_the_stall_time(steps):
    errors = {"ended": SourceEndedError("e"), "stalled": SourceStalledError("s"), "refused": SourceRefusedError("r")}
    with Stage() as stage:
        camera, reader = stage.live()
        last_s = stage.now_s
        for step in steps:
            while not stage.connections.empty():
                reader = stage.connections.get()
            if step == "picture":
                if not reader.hanging and not reader.stopping.is_set():
                    last_s = stage.now_s
                reader.script.put(stage.picture())
                until(reader.settled)
            elif step in errors:
                reader.script.put(errors[step])
                until(reader.settled)
            elif step == "hang":
                reader.script.put(HANG)
                until(reader.settled)
            elif step == "stop":
                stage.ending.set()  # the duration of a stop is not tested here
                camera.stop()
            elif step == "start":
                camera.start()
            else:
                stage.pass_s(camera, {"1 s": 1.0, "6 s": 6.0, "look": 0.0}[step])
            camera.look()
            if camera.status().change.state is LIVE:
                assert stage.now_s - last_s < stage.monitoring.stall_s
            else:
                assert camera.status().result is None
                assert stage.watcher.shown_result is None


def test_what_an_observer_asks_for_is_the_judged_frame_and_not_the_newest_one(stage):
    camera, reader = stage.live(rate_hz=2)
    stage.watcher.results.get(timeout=PATIENCE_S)
    judged = camera.judged()
    assert judged[1] == camera.status().result == stage.watcher.shown_result
    for _ in range(3):  # more frames arrive before the next sample
        stage.now_s += 0.1
        reader.script.put(stage.picture())
        until(reader.settled)
    assert camera.judged()[0] is judged[0]
    assert camera.snapshot()[0] is not judged[0]
