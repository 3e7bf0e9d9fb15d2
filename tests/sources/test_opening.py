"""Opening a source is limited in time, whatever the other side does."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from stream_detect.errors import SourceUnreachableError
from stream_detect.sources import opening
from stream_detect.sources.address import parse_address
from stream_detect.sources.opening import ReaderSettings, open_source
from stream_detect.sources.reader import Reader
from tests.patience import in_time

Talk = Callable[[socket.socket, threading.Event], None]
QUICK = ReaderSettings(open_timeout_s=2.0, read_timeout_s=1.0)
SLOW = ReaderSettings(open_timeout_s=200.0, read_timeout_s=1.0)


@pytest.fixture
def talker() -> Iterator[Callable[[Talk], int]]:
    """Starts a server for one connection; returns its port."""
    over = threading.Event()
    ends: list[tuple[socket.socket, threading.Thread]] = []

    def start(talk: Talk) -> int:
        listening = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                talk(connection, over)
                over.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        ends.append((listening, thread))
        return listening.getsockname()[1]

    yield start
    over.set()
    for listening, thread in ends:
        thread.join(60)
        listening.close()


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "rtmp", "http", "https"])
def test_a_silent_host_is_given_up(talker: Callable[[Talk], int], scheme: str) -> None:
    port = talker(lambda _connection, _over: None)
    with in_time(), pytest.raises(SourceUnreachableError, match="no answer within 2 s"):
        open_source(parse_address(f"{scheme}://127.0.0.1:{port}/s", from_settings_file=False), QUICK)


def test_the_time_is_for_all_stages_together(
    talker: Callable[[Talk], int], clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the first stage has its answer, almost no time is left, by a clock that only this test moves."""
    film = clip("film.ts", wh=(640, 480)).read_bytes()[: 188 * 16]
    now = [1000.0]
    monkeypatch.setattr(opening, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(4096)
        now[0] += 199.9
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + film)

    address = parse_address(f"http://127.0.0.1:{talker(slow)}/film.ts", from_settings_file=False)
    with in_time(), contextlib.suppress(SourceUnreachableError), Reader(address, SLOW, threading.Event()):
        pass


def test_an_unknown_host_name() -> None:
    with pytest.raises(SourceUnreachableError, match="name is not known"):
        open_source(parse_address("rtsp://u:s3cret@nobody.invalid/s", from_settings_file=False), QUICK)


def test_a_small_limit_of_cameras_leaves_live_checks_their_frames(clip: Callable[..., Path]) -> None:
    """FFmpeg has one limit in a process."""
    address = parse_address(f"file:{clip()}", from_settings_file=True)
    with contextlib.suppress(SourceUnreachableError):
        open_source(address, ReaderSettings(max_pixels=76_800)).close()
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 1280, 720, "yuv420p", Fraction(1, 30)
    packets = [*encoder.encode(av.VideoFrame(1280, 720, "yuv420p")), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    assert [(frame.width, frame.height) for frame in frames] == [(1280, 720)]
