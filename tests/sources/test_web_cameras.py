"""Odd, damaged or malicious HTTP cameras: usable frames are shown; memory and time are bounded."""

import contextlib
import itertools
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stream_detect.app.tls import self_signed
from stream_detect.errors import SourceError, SourceUnreachableError
from stream_detect.sources.address import parse_address
from stream_detect.sources.opening import jpeg_wh, open_source
from stream_detect.sources.reader import Reader, ReaderSettings, SourceFrame
from tests.patience import PATIENCE_S, in_time, until
from tests.sources.conftest import clip_images, jpeg
from tests.sources.media_files import still_bytes

SETTINGS = ReaderSettings(open_timeout_s=20.0, read_timeout_s=20.0)
QUICK = ReaderSettings(open_timeout_s=2.0, read_timeout_s=1.0)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"

Talk = Callable[[socket.socket, threading.Event], None]


@pytest.fixture
def camera() -> Iterator[Callable[..., int]]:
    """Starts a TCP or TLS server that passes each connection to `talk`; returns its port."""
    over = threading.Event()
    ends: list[tuple[socket.socket, threading.Thread]] = []

    def start(talk: Talk, tls: ssl.SSLContext | None = None) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(0.1)

        def one(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                stack.enter_context(connection).settimeout(10)
                if tls is not None:
                    connection = stack.enter_context(tls.wrap_socket(connection, server_side=True))
                connection.recv(4096)
                talk(connection, over)

        def serve() -> None:
            talks = []
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    talks.append(threading.Thread(target=one, args=(listening.accept()[0],)))
                    talks[-1].start()
            for each in talks:
                each.join(60)

        thread = threading.Thread(target=serve)
        thread.start()
        ends.append((listening, thread))
        return listening.getsockname()[1]

    yield start
    over.set()
    for listening, thread in ends:
        thread.join(60)
        listening.close()


def part(body: bytes, kind: str = "image/jpeg", boundary: bytes = b"--frame\r\n") -> bytes:
    return boundary + f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body + b"\r\n"


def sending(parts: Callable[[int], bytes]) -> Talk:
    """Sends a part every 20 ms until the other side disconnects."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(HEAD)
        for number in itertools.count():
            connection.sendall(parts(number))
            if over.wait(0.02):
                return

    return talk


def seen(port: int, count: int, settings: ReaderSettings = SETTINGS):
    address = parse_address(f"http://127.0.0.1:{port}/cam", from_settings_file=False)
    with Reader(address, settings, threading.Event()) as reader:
        return list(itertools.islice(reader.pictures(), count)), reader


def shown_until(reader: Reader, stopping: threading.Event, holds: Callable[[], object]) -> list[SourceFrame]:
    """The frames of an open reader until something holds, which is looked at meanwhile."""

    def watch() -> None:
        try:
            until(holds)
        finally:
            stopping.set()

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        found = list(reader.pictures())
        watching.result()
    return found


SMALL = [jpeg(image) for image in clip_images(40, (160, 120))]


@pytest.mark.parametrize(
    "parts",
    [
        lambda number: part(SMALL[number % 40], "image/jpg"),
        lambda number: part(SMALL[number % 40], boundary=b"--frame\r\n" if number else b""),
        lambda number: part(SMALL[number % 40], boundary=b"--other\r\n"),
        lambda number: b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + SMALL[number % 40] + b"\r\n",
        lambda number: SMALL[number % 40],
    ],
    ids=["image/jpg", "no first boundary", "another boundary", "no length", "no headers"],
)
def test_motion_jpeg_of_an_unusual_form_is_seen(camera, parts):
    found, reader = seen(camera(sending(parts)), 15)
    assert len(found) == 15
    assert reader.codec == "mjpeg"
    assert {(shown.frame.width, shown.frame.height) for shown in found} == {(160, 120)}


def test_frames_whose_end_is_missing_are_left_out(camera):
    shots = [np.roll(image, 40 * number, 1) for number, image in enumerate(clip_images(40, (160, 120)))]
    whole = [jpeg(image) for image in shots]
    cut = [body[: len(body) * 2 // 5] if number % 5 == 4 else body for number, body in enumerate(whole)]
    found, reader = seen(camera(sending(lambda number: part(cut[number % 40]))), 30)
    assert reader.decode_errors >= 5
    for shown in found:
        image = shown.frame.to_ndarray(format="rgb24").astype(int)
        assert min(np.abs(image - shot).mean() for shot in shots) < 8
    assert any(shown.gap for shown in found)


def test_a_camera_of_which_every_frame_is_damaged_says_so(camera):
    first = [SMALL[0]]

    def parts(number: int) -> bytes:
        return part(first[0] if number < 3 else SMALL[number % 40][: len(SMALL[0]) // 2])

    address = parse_address(f"http://127.0.0.1:{camera(sending(parts))}/cam", from_settings_file=False)
    stopping = threading.Event()
    with Reader(address, SETTINGS, stopping) as reader:
        shown_until(reader, stopping, lambda: "% of the frames are lost or damaged" in reader.trouble)
        assert time.monotonic() - reader.packet_s < PATIENCE_S


HUGE = still_bytes("JPEG", np.full((5000, 5000, 3), 128, np.uint8))


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_too_large_frames_are_refused_before_they_are_decoded(camera):
    address = parse_address(
        f"http://127.0.0.1:{camera(sending(lambda _number: part(HUGE)))}/cam", from_settings_file=False
    )
    stopping, before_mb = threading.Event(), memory_mb()
    with Reader(address, SETTINGS, stopping) as reader:
        assert shown_until(reader, stopping, lambda: reader.trouble) == []
        assert reader.trouble == (
            "expected frames of at most 12,582,912 pixels (monitoring.max_pixels), received 5000x5000"
        )
    assert memory_mb() - before_mb < 60  # one decoded frame of it takes 75 MB


def test_frames_that_grow_too_large_are_refused(camera):
    def parts(number: int) -> bytes:
        return part(SMALL[number % 40] if number < 10 else HUGE)

    address = parse_address(f"http://127.0.0.1:{camera(sending(parts))}/cam", from_settings_file=False)
    stopping = threading.Event()
    with Reader(address, SETTINGS, stopping) as reader:
        assert 5 < len(shown_until(reader, stopping, lambda: reader.trouble)) <= 10
        assert reader.trouble.endswith("received 5000x5000")


def test_the_size_of_a_video_is_checked_before_it_is_decoded(clip, web_folder):
    clip("film.ts", wh=(640, 480))
    address = parse_address(f"{web_folder}/film.ts", from_settings_file=False)
    with pytest.raises(SourceUnreachableError, match=r"at most 300,000 pixels .* received 640x480"):
        open_source(address, ReaderSettings(open_timeout_s=20, max_pixels=300_000))


def rtsp(answer: Callable[[socket.socket, bytes, bytes], None]) -> Talk:
    """An RTSP server that has read the first request; the test answers DESCRIBE."""

    def talk(connection: socket.socket, _over: threading.Event) -> None:
        request = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n"
        while request:
            number = request.split(b"CSeq: ")[1].split(b"\r\n")[0] if b"CSeq: " in request else b"1"
            head = b"RTSP/1.0 200 OK\r\nCSeq: " + number + b"\r\n"
            if request.startswith(b"DESCRIBE"):
                answer(connection, head, number)
            else:
                connection.sendall(head + b"Public: DESCRIBE, SETUP, PLAY\r\n\r\n")
            request = connection.recv(4096)

    return talk


MEDIA = b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t\r\n"


def endless_description(connection: socket.socket, head: bytes, _number: bytes) -> None:
    connection.sendall(head + b"Content-Type: application/sdp\r\nContent-Length: 2000000000\r\n\r\nv=0\r\n")
    while True:
        connection.sendall(MEDIA * 500)


def long_description(connection: socket.socket, head: bytes, _number: bytes) -> None:
    body = b"v=0\r\n" + MEDIA * 100_000
    connection.sendall(head + b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def endless_headers(connection: socket.socket, head: bytes, _number: bytes) -> None:
    connection.sendall(head)
    while True:
        connection.sendall(b"X-A: " + b"b" * 4000 + b"\r\n")


@pytest.mark.parametrize("answer", [endless_description, long_description, endless_headers])
def test_an_rtsp_camera_without_end_is_given_up_within_its_memory(camera, answer):
    address = parse_address(f"rtsp://127.0.0.1:{camera(rtsp(answer))}/cam", from_settings_file=False)
    before_mb = memory_mb()
    with in_time(), pytest.raises(SourceError):
        open_source(address, QUICK)
    assert memory_mb() - before_mb < 100


@pytest.mark.parametrize("path", ["cam", "cam.m3u8"])
@pytest.mark.parametrize(
    "begin",
    [
        b"HTTP/1.1 200 OK\r\n",  # then endless headers
        b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n#EXTM3U\n",  # then endless lines
    ],
)
def test_a_web_camera_without_end_is_given_up_within_its_memory(camera, begin, path):
    def talk(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(begin)
        while True:
            connection.sendall(b"#EXTINF: 1,\nhttp://127.0.0.1/a.ts\n" * 100 if b"#" in begin else b"X-A: b\r\n" * 500)

    address = parse_address(f"http://127.0.0.1:{camera(talk)}/{path}", from_settings_file=False)
    before_mb = memory_mb()
    with in_time(), pytest.raises(SourceError):
        open_source(address, QUICK)
    assert memory_mb() - before_mb < 100


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n#EXTM3U\n"])
def test_a_playlist_that_trickles_is_given_up_in_time(camera, begin, scheme, tmp_path):
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(begin)
        while not over.wait(0.1):
            connection.sendall(b"#" if begin else b"H")

    tls = None
    if scheme == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*self_signed(tmp_path, ("127.0.0.1",)))
    address = parse_address(f"{scheme}://127.0.0.1:{camera(talk, tls)}/cam.m3u8", from_settings_file=False)
    with in_time(), pytest.raises(SourceError):
        open_source(address, QUICK)


def test_sizes_of_jpegs():
    for wh in ((160, 120), (1, 1), (4000, 3)):
        image = np.zeros((wh[1], wh[0], 3), np.uint8)
        for options in ({}, {"progressive": True}, {"comment": b"\xff\xd8\xff" * 50}):
            assert jpeg_wh(still_bytes("JPEG", image, **options)) == wh
    for broken in (b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe0\0\0" * 100, bytes(1000)):
        assert jpeg_wh(broken) is None
