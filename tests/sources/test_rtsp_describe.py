"""What an RTSP camera says that FFmpeg was refused at: where it redirects to, and logins that are not supported."""

import itertools
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from stream_detect.errors import SourceRefusedError
from stream_detect.sources import opening
from stream_detect.sources.address import parse_address
from stream_detect.sources.reader import Reader, ReaderSettings
from stream_detect.sources.rtsp_describe import describe
from tests.patience import PATIENCE_S
from tests.rtsp.films import FILMS
from tests.rtsp.peer import RtspServer

MD5 = 'WWW-Authenticate: Digest realm="r", nonce="1", algorithm=MD5'
SHA = 'WWW-Authenticate: Digest realm="r", nonce="1", algorithm=SHA-256'
BASIC = 'www-authenticate: Basic realm="r"'


PATIENT = ReaderSettings(open_timeout_s=2 * PATIENCE_S, read_timeout_s=2 * PATIENCE_S)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "DESCRIBE_S", PATIENCE_S)


@contextmanager
def answering(status: str, headers: Sequence[str] = ()) -> Iterator[tuple[int, list[str]]]:
    """A camera that answers every request with this; its port, and the requests that came."""
    requests: list[str] = []

    def serve(client: socket.socket) -> None:
        with client:
            while request := client.recv(4096).decode():
                requests.append(request)
                number = next(line for line in request.splitlines() if line.startswith("CSeq"))
                client.sendall("\r\n".join((f"RTSP/1.0 {status}", number, *headers, "", "")).encode())

    def run() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            serve(client)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listening.getsockname()[1], requests
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("rtsp://127.0.0.1:9/other?a=b", "rtsp://viewer:s3cret@127.0.0.1:9/other?a=b"),
        ("/other", "rtsp://viewer:s3cret@127.0.0.1:{port}/other"),
        ("other", "rtsp://viewer:s3cret@127.0.0.1:{port}/a/other"),
        ("rtsp://x:y@127.0.0.1:9/other", "rtsp://viewer:s3cret@127.0.0.1:9/other"),
        ("rtsp://localhost:9/other", "rtsp://localhost:9/other"),
        ("http://127.0.0.1:9/other", "rtsp://viewer:s3cret@127.0.0.1:{port}/a/b"),
        ("file:///etc/passwd", "rtsp://viewer:s3cret@127.0.0.1:{port}/a/b"),
        ("rtsp://", "rtsp://viewer:s3cret@127.0.0.1:{port}/a/b"),
        ("rtsp://[x", "rtsp://viewer:s3cret@127.0.0.1:{port}/a/b"),
    ],
)
def test_a_redirection_is_followed_and_the_password_stays_at_its_host(target: str, found: str) -> None:
    with answering("302 Moved", (f"Location: {target}",)) as (port, requests):
        url = f"rtsp://viewer:s3cret@127.0.0.1:{port}/a/b"
        assert describe(url, PATIENCE_S).url == found.format(port=port)
    assert not any("s3cret" in request for request in requests)


def test_redirections_end() -> None:
    with answering("302 Moved", ("Location: /a",)) as (port, requests):
        assert describe(f"rtsp://127.0.0.1:{port}/a", PATIENCE_S).url == f"rtsp://127.0.0.1:{port}/a"
    assert len(requests) == 3


@pytest.mark.parametrize(
    ("headers", "unsupported"),
    [
        ([MD5], ""),
        ([SHA], "Digest with SHA-256"),
        ([MD5, SHA], "Digest with SHA-256"),
        ([SHA, MD5], ""),
        ([BASIC], ""),
        ([BASIC, MD5], ""),
        (['WWW-Authenticate: Bearer realm="r"'], "Bearer"),
        (['WWW-Authenticate: Digest realm="r", nonce="1"'], ""),
        ([], ""),
    ],
)
def test_a_login_that_is_not_supported_is_named(headers: list[str], unsupported: str) -> None:
    with answering("401 Unauthorized", headers) as (port, _):
        assert describe(f"rtsp://viewer:s3cret@127.0.0.1:{port}/a", PATIENCE_S).unsupported == unsupported
        address = parse_address(f"rtsp://viewer:s3cret@127.0.0.1:{port}/a", from_settings_file=False)
        words = unsupported or "the user name or password was refused"
        with pytest.raises(SourceRefusedError, match=words), Reader(address, PATIENT, threading.Event()):
            pass


@pytest.mark.parametrize("answer", ["", "junk", "200 OK"])
def test_whoever_says_nothing_else_leaves_the_address(answer: str) -> None:
    with answering(answer) as (port, _):
        assert describe(f"rtsp://127.0.0.1:{port}/a", PATIENCE_S).url == f"rtsp://127.0.0.1:{port}/a"
    assert describe("rtsp://127.0.0.1:9/a", PATIENCE_S).url == "rtsp://127.0.0.1:9/a"


def test_a_camera_is_seen_behind_a_redirection_to_where_it_asks_for_the_password(rtsp_server: RtspServer) -> None:
    target = rtsp_server.mount("moved", FILMS["small"], lock="digest", user="viewer", password="s3cret")
    with answering("302 Moved", (f"Location: {target}",)) as (port, _):
        address = parse_address(f"rtsp://viewer:s3cret@127.0.0.1:{port}/a", from_settings_file=False)
        with Reader(address, PATIENT, threading.Event()) as opened:
            assert len(list(itertools.islice(opened.pictures(), 5))) == 5
