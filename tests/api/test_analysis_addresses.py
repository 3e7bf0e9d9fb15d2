"""Analyses of files at an address: fetched only if permitted, and from private networks only if permitted, too."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stream_detect.jobs import fetch
from tests.api.analysing import REVIEW, ended, kept


@pytest.fixture
def inside(make):
    return make({"review": REVIEW, "window": {"min_scores": 3}})


@pytest.fixture
def web_server(clip) -> Iterator[Callable[..., str]]:
    """A server on this machine that serves the clip and redirects."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/to/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/to/"))
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(clip)

        def log_message(self, *_: object) -> None:
            """Does not log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield lambda path="", host="127.0.0.1": f"http://{host}:{server.server_port}/{path}"
        server.shutdown()
        thread.join()


def test_addresses_are_fetched_only_where_that_is_permitted(inside, web_server):
    refused = inside.client.post("/api/analyses", json={"url": web_server()})
    assert refused.status_code == 422
    assert "review.urls" in refused.json()["detail"]


def test_a_file_is_fetched_and_judged_and_its_address_shown_without_secrets(make, web_server, clip):
    inside = make({"review": {**REVIEW, "urls": True, "private_urls": True}, "window": {"min_scores": 3}})
    url = web_server("some/cl%69p.mp4?signature=hunter2")
    made = inside.client.post("/api/analyses", json={"url": url, "models": ["scripted"], "rate_hz": 5})
    assert made.status_code == 202
    done = ended(inside, made.json()["items"][0])
    assert (done["state"], done["verdict"], done["file"]["name"]) == ("done", "fake", "clip.mp4")
    assert done["file"]["bytes"] == len(clip)
    assert "hunter2" not in json.dumps(done)
    assert inside.analyses.analyses.get(done["id"]).address == ""  # deleted once it has been fetched


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "10.0.0.1", "[fe80::1]"],
)
def test_the_own_network_is_not_fetched_from(make, web_server, host):
    inside = make({"review": {**REVIEW, "urls": True}})
    made = inside.client.post("/api/analyses", json={"url": web_server("", host)})
    assert made.status_code == 202, made.text
    failed = ended(inside, made.json()["items"][0])
    assert failed["state"] == "failed"
    assert "review.private_urls" in failed["problem"]
    assert kept(inside) == []


def test_a_redirect_into_the_own_network_is_not_followed(make, web_server, monkeypatch):
    monkeypatch.setattr(fetch, "is_public", lambda address: str(address) == "127.0.0.1")
    inside = make({"review": {**REVIEW, "urls": True}})
    fetched = inside.client.post("/api/analyses", json={"url": web_server("to/" + web_server("a.mp4"))})
    assert ended(inside, fetched.json()["items"][0])["state"] == "done"
    made = inside.client.post("/api/analyses", json={"url": web_server("to/" + web_server("a.mp4", "127.0.0.2"))})
    failed = ended(inside, made.json()["items"][0])
    assert (failed["state"], "127.0.0.2 is an address of this machine" in failed["problem"]) == ("failed", True)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a",
        "file:///etc/passwd",
        "http://",
        "http:///a",
        "https://exa mple.org",
        "http://a:99999/",
        "http://me:secret@a/",
    ],
)
def test_other_addresses_are_refused_at_once(make, url):
    inside = make({"review": {**REVIEW, "urls": True}})
    refused = inside.client.post("/api/analyses", json={"url": url})
    assert refused.status_code == 422
    assert inside.client.get("/api/analyses").json()["items"] == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"url": 1}', b'{"url": "http://a/", "colour": 1}', b'{"models": []}'])
def test_other_wishes_are_not_understood(make, body):
    inside = make({"review": {**REVIEW, "urls": True}})
    refused = inside.client.post("/api/analyses", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 400
