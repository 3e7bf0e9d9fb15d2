"""RTSP cameras on a real server: their frames, and the error for every kind of failure."""

import itertools
import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest

from stream_detect.errors import (
    SourceEndedError,
    SourceError,
    SourceRefusedError,
    SourceStalledError,
    SourceUnreachableError,
)
from stream_detect.sources.address import parse_address
from stream_detect.sources.reader import Reader, ReaderSettings, probe
from tests.patience import PATIENCE_S, in_time
from tests.rtsp.films import FILMS, Film
from tests.rtsp.peer import RtspServer

QUICK = ReaderSettings(open_timeout_s=2.0, read_timeout_s=1.5)
"""Time limit for servers that never respond; for others a busy machine needs more."""

PATIENT = ReaderSettings(open_timeout_s=2 * PATIENCE_S, read_timeout_s=2 * PATIENCE_S)


def reader(url: str, settings: ReaderSettings = PATIENT, stopping: threading.Event | None = None) -> Reader:
    return Reader(parse_address(url, from_settings_file=False), settings, stopping or threading.Event())


def problem_of(url: str, settings: ReaderSettings = PATIENT) -> SourceError:
    with pytest.raises(SourceError) as caught, reader(url, settings) as opened:
        next(opened.pictures())
    assert "s3cret" not in repr(caught.value)
    assert caught.value.__context__ is None, "PyAV's error has the whole address in it"
    return caught.value


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("film", "codec"), [("face", "h264"), ("h265", "hevc"), ("vp8", "vp8"), ("jpeg", "mjpeg"), ("portrait", "h264")]
)
def test_pictures_come(rtsp_server: RtspServer, film: str, codec: str, transport: str) -> None:
    with reader(rtsp_server.url(film), replace(PATIENT, transport=transport)) as opened:
        found = list(itertools.islice(opened.pictures(), 30))
        assert opened.codec == codec
        assert opened.fps == 25
        assert opened.received_bytes > 10_000
    assert {(picture.frame.width, picture.frame.height) for picture in found} == set(FILMS[film].whs)
    assert found[0].keyframe
    times = [picture.time_s for picture in found]
    assert times[-1] - times[0] == pytest.approx(29 / 25, abs=0.3)
    assert all(after > before for before, after in itertools.pairwise(times))
    assert all(abs(picture.arrived_s - picture.time_s) < 20 for picture in found)
    assert not any(picture.gap for picture in found)


def test_the_picture_may_change_its_size(rtsp_server: RtspServer) -> None:
    with reader(rtsp_server.url("changing")) as opened:
        sizes = [(picture.frame.width, picture.frame.height) for picture in itertools.islice(opened.pictures(), 110)]
        assert opened.decode_errors == 0
    assert set(sizes) == {(640, 480), (480, 360)}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_lost_packets_are_marked_and_damage_is_left_out(rtsp_server: RtspServer, transport: str) -> None:
    film = Film(seconds=4, key_s=0.4)
    rtsp_server.mount("lossy", film, lose=0.03)
    with reader(rtsp_server.url("lossy"), replace(PATIENT, transport=transport)) as opened:
        found = list(itertools.islice(opened.pictures(), 80))
    marked = [picture for picture in found if picture.gap]
    assert marked
    assert sum(picture.keyframe for picture in marked) > len(marked) * 0.8  # no frame that depends on lost ones
    assert not any(picture.frame.is_corrupt for picture in found)


def test_a_server_that_ends_closes_the_stream(own_rtsp_server: RtspServer) -> None:
    with reader(own_rtsp_server.url("small")) as opened:
        pictures = opened.pictures()
        next(pictures)
        own_rtsp_server.stop(kill=True)
        with pytest.raises(SourceEndedError):
            list(pictures)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_frozen_server_stalls_the_stream(own_rtsp_server: RtspServer, transport: str) -> None:
    settings = replace(PATIENT, transport=transport, read_timeout_s=1.5)
    with reader(own_rtsp_server.url("small"), settings) as opened:
        pictures = opened.pictures()
        next(pictures)
        own_rtsp_server.freeze()
        with in_time(), pytest.raises(SourceStalledError, match="nothing was received"):
            list(pictures)
    own_rtsp_server.thaw()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_closing_does_not_wait_for_a_frozen_server(own_rtsp_server: RtspServer, transport: str) -> None:
    with ExitStack() as stack:
        opened = stack.enter_context(reader(own_rtsp_server.url("small"), replace(PATIENT, transport=transport)))
        next(opened.pictures())
        own_rtsp_server.freeze()
        with in_time():
            stack.close()
    own_rtsp_server.thaw()


def test_stopping_ends_a_wait_quietly(own_rtsp_server: RtspServer) -> None:
    stopping = threading.Event()
    with reader(own_rtsp_server.url("small"), replace(PATIENT, read_timeout_s=3.0), stopping) as opened:
        pictures = opened.pictures()
        next(pictures)
        own_rtsp_server.freeze()
        timer = threading.Timer(0.5, stopping.set)
        timer.start()
        list(pictures)
        timer.join()
    own_rtsp_server.thaw()


def test_a_frozen_server_is_no_answer(own_rtsp_server: RtspServer) -> None:
    url = own_rtsp_server.url("small")
    own_rtsp_server.freeze()
    problem = problem_of(url, QUICK)
    own_rtsp_server.thaw()
    assert isinstance(problem, SourceUnreachableError)
    assert str(problem) == "no answer within 2 s"


@pytest.mark.parametrize("lock", ["basic", "digest"])
def test_the_wrong_password_is_refused(rtsp_server: RtspServer, lock: str) -> None:
    rtsp_server.mount(f"locked-{lock}", FILMS["small"], lock=lock, user="viewer", password="s3cret-right")
    assert isinstance(problem_of(rtsp_server.url(f"locked-{lock}")), SourceRefusedError)
    wrong = problem_of(rtsp_server.url(f"locked-{lock}", user="viewer", password="s3cret-wrong"))
    assert isinstance(wrong, SourceRefusedError)
    with reader(rtsp_server.url(f"locked-{lock}", user="viewer", password="s3cret-right")) as opened:
        assert next(opened.pictures()).frame.width == 320


def test_a_missing_stream(rtsp_server: RtspServer) -> None:
    host = rtsp_server.url("small").removesuffix("/small")
    missing = problem_of(f"{host}/missing".replace("rtsp://", "rtsp://viewer:s3cret@"))
    assert isinstance(missing, SourceUnreachableError)
    assert "404" in str(missing)
    closed = problem_of("rtsp://viewer:s3cret@127.0.0.1:9/s")
    assert isinstance(closed, SourceUnreachableError)
    assert "refused" in str(closed)


def test_stopping_ends_the_pictures(rtsp_server: RtspServer) -> None:
    stopping = threading.Event()
    with reader(rtsp_server.url("small"), stopping=stopping) as opened:
        pictures = opened.pictures()
        next(pictures)
        stopping.set()
        assert len(list(pictures)) <= 1


def test_key_frames_only(rtsp_server: RtspServer) -> None:
    with reader(rtsp_server.url("face")) as opened:
        opened.keyframes_only = True
        found = list(itertools.islice(opened.pictures(), 3))
    assert all(picture.keyframe for picture in found)
    assert found[2].time_s - found[1].time_s == pytest.approx(1.0, abs=0.2)


def test_a_probe_shows_a_picture(rtsp_server: RtspServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_detect.sources.reader.LONGEST_S", 2 * PATIENT.read_timeout_s)
    found = probe(parse_address(rtsp_server.url("portrait"), from_settings_file=False), PATIENT)
    assert (found.codec, found.wh, found.fps) == ("h264", (360, 640), 25)
    assert found.image.shape == (640, 360, 3)
    assert found.image.std() > 10


def test_a_failed_probe_says_why() -> None:
    with pytest.raises(SourceUnreachableError, match="refused"):
        probe(parse_address("rtsp://127.0.0.1:9/s", from_settings_file=False), QUICK)
    with pytest.raises(SourceError, match="publisher"):
        probe(parse_address("whip:", from_settings_file=False), QUICK)


@pytest.mark.parametrize(("only", "asked"), [("udp", "tcp"), ("tcp", "udp")])
def test_a_camera_of_another_transport_says_which_to_set(rtsp_server: RtspServer, only: str, asked: str) -> None:
    rtsp_server.mount(f"only-{only}", FILMS["small"], transport=only)
    problem = problem_of(rtsp_server.url(f"only-{only}"), replace(PATIENT, transport=asked))
    assert isinstance(problem, SourceUnreachableError)
    assert str(problem) == f"the camera does not send over {asked} (461): set its transport to {only}"
    rtsp_server.mount(f"{only}-only", FILMS["small"], transport=only)  # one that has not refused anybody
    with reader(rtsp_server.url(f"{only}-only"), replace(PATIENT, transport=only)) as opened:
        assert next(opened.pictures()).frame.width == 320


def test_the_key_frame_that_a_camera_sends_at_connect_is_seen(rtsp_server: RtspServer) -> None:
    rtsp_server.mount("seldom", Film(whs=((320, 240),), fps=5, seconds=150, key_s=150), shared=False)
    for _ in range(2):
        with in_time(), reader(rtsp_server.url("seldom")) as opened:
            found = list(itertools.islice(opened.pictures(), 10))
        assert found[0].keyframe
        assert not any(picture.gap for picture in found)


@pytest.mark.parametrize("key_s", [1.0, 20.0])
def test_loss_over_udp_gives_frames_all_the_same_and_advises_tcp(rtsp_server: RtspServer, key_s: float) -> None:
    rtsp_server.mount(f"losing-{key_s:.0f}", Film(seconds=20, key_s=key_s), lose=0.03)
    stopping = threading.Event()
    timer = threading.Timer(12.0, stopping.set)
    with reader(rtsp_server.url(f"losing-{key_s:.0f}"), replace(PATIENT, transport="udp"), stopping) as opened:
        timer.start()
        arrivals = [picture.arrived_s for picture in opened.pictures()]
        timer.join()
        assert max(after - before for before, after in itertools.pairwise(arrivals)) < 5.0, "longer would be a stall"
        assert "over UDP: set the camera's transport to tcp" in opened.trouble
        assert opened.decode_errors > 0


def test_a_stream_without_loss_has_no_trouble(rtsp_server: RtspServer) -> None:
    with reader(rtsp_server.url("small"), replace(PATIENT, transport="udp")) as opened:
        list(itertools.islice(opened.pictures(), 60))
        assert opened.trouble == ""


def test_too_large_a_camera_is_refused_by_its_stated_size(rtsp_server: RtspServer) -> None:
    problem = problem_of(rtsp_server.url("face"), replace(PATIENT, max_pixels=300_000))
    assert "at most 300,000 pixels (monitoring.max_pixels), received 640x480" in str(problem)
