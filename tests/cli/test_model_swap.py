"""`models use` with a real HTTP server: the request, and errors if the server refuses or is not ours."""

import http.server
import json
import shutil
import threading

import pytest
from typer.testing import CliRunner

from stream_detect.cli.models import app
from stream_detect.errors import BundleError
from stream_detect.models.bundle import read_card, write_card
from stream_detect.models.registry import SHIPPED
from stream_detect.settings import ModelSettings


class Handler(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body, self.headers["Authorization"]))
        known = body["name"] == "other"
        answer = {"name": "other"} if known else {"detail": "expected one of other"}
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode() if body["name"] != "odd" else b"<html>")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.asked = []
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join(5)


def run(server, *arguments):
    return CliRunner().invoke(app, ["use", *arguments, "--url", f"http://127.0.0.1:{server.server_port}/"])


def test_the_server_is_notified(server):
    outcome = run(server, "other", "--token", "correct-horse")
    assert outcome.exit_code == 0, outcome.output
    assert "judging other" in outcome.output
    assert server.asked == [("/api/models/judging", {"name": "other"}, "Bearer correct-horse")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--url", "http://127.0.0.1:99999"), "expected a stream-detect server"),
        (("--url", "http://127.0.0.1\n"), "expected a stream-detect server"),
        (("--token", "p\xe4ssword"), "expected an access token of ASCII characters"),
    ],
)
def test_what_cannot_be_sent_is_refused(arguments, expected):
    outcome = CliRunner().invoke(app, ["use", "other", *arguments])
    assert isinstance(outcome.exception, BundleError), outcome.exception
    assert expected in str(outcome.exception)
    assert "\xe4" not in str(outcome.exception)


@pytest.mark.parametrize(("name", "expected"), [("absent", "expected one of other"), ("odd", "HTTP 404")])
def test_a_refusal_is_reported_in_the_server_s_words(server, name, expected):
    outcome = run(server, name)
    assert isinstance(outcome.exception, BundleError)
    assert expected in str(outcome.exception)
    assert server.asked[0][2] is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "file:///etc/passwd"])
def test_an_address_without_our_server_is_named(url):
    outcome = CliRunner().invoke(app, ["use", "other", "--url", url])
    assert isinstance(outcome.exception, BundleError)
    assert url in str(outcome.exception)


def test_a_server_that_runs_judges_by_the_other(start_server, tmp_path):
    home = tmp_path / "again"
    running = start_server(MODEL__FOLDER=str(tmp_path))
    assert running.get("/api/models")["judging"] == ModelSettings().name
    shutil.copytree(SHIPPED / "meso4-dfdc", home)
    write_card(home, read_card(home).model_copy(update={"name": "again", "title": "Once more"}))
    assert "Once more" in [card["title"] for card in running.get("/api/models")["models"]]
    outcome = CliRunner().invoke(app, ["use", "again", "--url", running.url])
    assert outcome.exit_code == 0, outcome.exception
    assert running.get("/api/models")["judging"] == "again"
    assert running.get("/api/status")["model"]["title"] == "Once more"
    (home / "model.bin").write_bytes(b"damaged")
    outcome = CliRunner().invoke(app, ["use", "again", "--url", running.url])
    assert "the file was damaged" in str(outcome.exception)
    assert running.get("/readyz") == {"ready": True}
