"""Files fetched from addresses: limits, redirects, and no access to private networks unless permitted."""

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest

from stream_detect.errors import (
    AddressError,
    BodyTooLargeError,
    ReviewCancelledError,
    SourceStalledError,
    SourceUnreachableError,
    StorageError,
)
from stream_detect.jobs import fetch as fetching
from stream_detect.jobs.fetch import fetch as fetch_to
from stream_detect.jobs.fetch import is_public
from stream_detect.jobs.incoming import IncomingFile
from stream_detect.review.examination import Hooks
from stream_detect.settings import ReviewSettings
from tests.patience import in_time

OPEN = ReviewSettings(private_urls=True, max_upload_bytes=100_000)
BODY = bytes(range(256)) * 200


def fetch(url, path, settings, hooks=None):
    """Fetches to a path."""
    return fetch_to(url, IncomingFile("a", path, settings.max_upload_bytes, lambda: None), settings, hooks)


class Host(BaseHTTPRequestHandler):
    """Responds as the path says."""

    def do_GET(self):  # noqa: C901 - one branch for each kind of host
        self.server.asked.append((self.path, self.headers["Host"], self.headers.get("Accept-Encoding")))
        name, _, rest = self.path[1:].partition("/")
        if name == "to":
            self.send_response(302)
            self.send_header("Location", rest)
            self.end_headers()
        elif name == "endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(1000):
                self.wfile.write(BODY)
        elif name == "slow":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(1000):
                self.wfile.write(b"x")
                self.wfile.flush()
                self.server.closing.wait(0.05)
        elif name == "nowhere":
            self.send_response(302)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif name == "trickle":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.server.closing.wait(0.05):
                self.wfile.write(b"X-More: header\r\n")
                self.wfile.flush()
        elif name == "silent":
            self.server.closing.wait()
        elif name == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
        else:
            self.send_response(200 if name == "file" else 404)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            self.close_connection = True


@pytest.fixture
def host():
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        server.asked, server.closing = [], threading.Event()
        server.handle_error = lambda *_: None
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def test_a_file_is_fetched_over_redirects(host, tmp_path):
    shares = []
    fetch(f"{host.url}/to//to/{host.url}/file", tmp_path / "a", OPEN, Hooks(shares.append))
    assert (tmp_path / "a").read_bytes() == BODY
    assert shares[-1] == 1.0
    assert host.asked[-1] == ("/file", host.url.removeprefix("http://"), "identity")
    assert len(host.asked) == 3


@pytest.mark.parametrize(
    ("path", "error", "reason"),
    [
        ("/gone", SourceUnreachableError, "answers 404"),
        ("/nowhere", SourceUnreachableError, "answers 302 without saying where to"),
        ("/endless", BodyTooLargeError, "100,000 bytes"),
        ("/cut", SourceUnreachableError, "connection failed"),
        ("/to/file:///etc/passwd", AddressError, "expected http"),
        ("/to/http://user:secret@localhost/file", AddressError, "without a user name"),
        ("/to/http://nobody.invalid/", SourceUnreachableError, "cannot resolve the host"),
    ],
)
def test_failed_fetches_are_reported_and_leave_nothing(host, tmp_path, path, error, reason):
    with pytest.raises(error, match=reason) as caught:
        fetch(host.url + path, tmp_path / "a", OPEN)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_redirects_end(host, tmp_path):
    path = "/to/" * 7 + "file"
    with pytest.raises(SourceUnreachableError, match="more than 5 redirects"):
        fetch(host.url + path, tmp_path / "a", OPEN)


def test_time_and_patience_are_bounded(host, tmp_path):
    with pytest.raises(SourceStalledError, match="not whole after"):
        fetch(f"{host.url}/slow", tmp_path / "a", OPEN.model_copy(update={"fetch_timeout_s": 0.01}))
    with pytest.raises(ReviewCancelledError):
        fetch(f"{host.url}/file", tmp_path / "a", OPEN, Hooks(cancelled=lambda: True))
    with pytest.raises(StorageError, match="readable and writable"):
        fetch(f"{host.url}/file", tmp_path / "gone" / "a", OPEN)


@pytest.mark.parametrize("path", ["/trickle", "/silent", "/slow"])
def test_the_time_limit_is_for_all_of_it_headers_included(host, tmp_path, path):
    with in_time(), pytest.raises(SourceStalledError, match=r"0\.5 s \(review.fetch_timeout_s\)"):
        fetch(f"{host.url}{path}", tmp_path / "a", OPEN.model_copy(update={"fetch_timeout_s": 0.5}))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("path", ["/trickle", "/silent"])
def test_a_cancel_ends_any_wait(host, tmp_path, path):
    asked = threading.Event()
    threading.Timer(0.3, asked.set).start()
    with in_time(), pytest.raises(ReviewCancelledError):
        fetch(f"{host.url}{path}", tmp_path / "a", OPEN, Hooks(cancelled=asked.is_set))


def test_a_name_look_up_has_a_time_limit(tmp_path, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(60))
    with pytest.raises(SourceStalledError):
        fetch("http://example.test/a", tmp_path / "a", OPEN.model_copy(update={"fetch_timeout_s": 0.3}))
    ended.set()


def test_a_fetched_file_is_hashed_while_it_arrives(host, tmp_path):
    received = fetch(f"{host.url}/file", tmp_path / "a", OPEN)
    assert (received.bytes, received.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "[::ffff:7f00:1]"]
)
def test_the_own_machine_is_never_asked(host, tmp_path, name):
    port = host.server_address[1]
    with pytest.raises((AddressError, SourceUnreachableError)):
        fetch(f"http://{name}:{port}/file", tmp_path / "a", ReviewSettings())
    assert host.asked == []


def test_nor_after_a_redirect(host, tmp_path, monkeypatch):
    real = socket.getaddrinfo
    port = host.server_address[1]
    # Stands for a public host; the target of its redirect does not.
    monkeypatch.setattr(fetching, "is_public", lambda address: str(address) == "127.0.0.1" and not looked[1:])
    looked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: (looked.append(a), real(*a, **k))[1])
    with pytest.raises(AddressError, match="this machine or its network"):
        fetch(f"http://localhost:{port}/to/http://127.0.0.1:{port}/file", tmp_path / "a", ReviewSettings())
    assert [path for path, *_ in host.asked] == [f"/to/http://127.0.0.1:{port}/file"]


def test_the_connection_uses_the_checked_address(host, tmp_path, monkeypatch):
    real, names = socket.getaddrinfo, []

    def once(name, *args, **kwargs):
        names.append(str(name))
        return real("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", once)
    fetch(f"http://example.test:{host.server_address[1]}/file", tmp_path / "a", OPEN)
    assert names.count("example.test") == 1
    assert host.asked[0][1].startswith("example.test:")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((each, True) for each in ("8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808")),
        *((each, False) for each in ("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254")),
        *((each, False) for each in ("0.0.0.0", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255")),
        *((each, False) for each in ("::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "::ffff:10.0.0.1")),
        *((each, False) for each in ("192.0.0.8", "64:ff9b:1::a00:1", "2001:2::1", "3fff::1")),
        *((each, False) for each in ("2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1")),
    ],
)
def test_which_addresses_are_of_the_internet(address, public):
    assert is_public(ip_address(address)) is public
