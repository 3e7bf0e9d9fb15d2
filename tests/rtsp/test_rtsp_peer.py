"""The RTSP server of the tests works: PyAV can read its streams."""

import itertools

import av
import pytest

from tests.patience import until
from tests.rtsp.films import Film
from tests.rtsp.peer import RtspServer


def opened(url: str, transport: str = "tcp") -> av.container.InputContainer:
    return av.open(url, options={"rtsp_transport": transport}, timeout=(60.0, 60.0))


@pytest.mark.parametrize(
    ("film", "codec", "wh"),
    [
        ("face", "h264", (640, 480)),
        ("h265", "hevc", (640, 480)),
        ("portrait", "h264", (360, 640)),
        ("1080p", "h264", (1920, 1080)),
    ],
)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_films_are_seen(rtsp_server: RtspServer, film: str, codec: str, wh: tuple[int, int], transport: str) -> None:
    with opened(rtsp_server.url(film), transport) as container:
        assert container.streams.video[0].codec_context.name == codec
        frames = list(itertools.islice(container.decode(video=0), 5))
    assert {(frame.width, frame.height) for frame in frames} == {wh}


def test_it_counts_who_plays_a_film(own_rtsp_server: RtspServer) -> None:
    url = own_rtsp_server.mount("counted", Film(((320, 240),), seconds=1))
    assert own_rtsp_server.readers("counted") == (0, 0)
    with opened(url) as first, opened(url) as second:
        assert next(first.decode(video=0)).width == next(second.decode(video=0)).width
        assert own_rtsp_server.readers("counted") == (2, 2)
    until(lambda: own_rtsp_server.readers("counted") == (0, 2))


@pytest.mark.parametrize("lock", ["basic", "digest"])
def test_passwords_are_asked_for(own_rtsp_server: RtspServer, lock: str) -> None:
    own_rtsp_server.mount("locked", Film(((320, 240),), seconds=1), user="viewer", password="s3cret", lock=lock)
    own_rtsp_server.url("small")
    with opened(own_rtsp_server.url("locked", user="viewer", password="s3cret")) as container:
        assert next(container.decode(video=0)).width == 320
    with pytest.raises(av.HTTPUnauthorizedError):
        opened(own_rtsp_server.url("locked", user="viewer", password="wrong"))
    with opened(own_rtsp_server.url("small")) as container:
        assert next(container.decode(video=0)).width == 320


def test_it_returns_on_the_same_port(own_rtsp_server: RtspServer) -> None:
    url = own_rtsp_server.url("small")
    own_rtsp_server.stop()
    with pytest.raises(OSError, match="refused"):
        opened(url)
    own_rtsp_server.start()
    with opened(url) as container:
        assert next(container.decode(video=0)).width == 320
