"""Pulling published weights from a real server on this machine that breaks off, fails, or sends another file."""

import hashlib
import http.server
import threading
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from stream_detect.cli.models import app
from stream_detect.errors import BundleError
from stream_detect.models import pull
from stream_detect.models.bundle import Bundle
from stream_detect.models.pull import ATTEMPTS, ORIGIN, PUBLISHED, fetch

CONTENT = bytes(range(256)) * 800
WANTED = replace(PUBLISHED["meso4-df"], sha256=hashlib.sha256(CONTENT).hexdigest())


class Upstream(http.server.ThreadingHTTPServer):
    """Serves `files`; each entry of `plan` spoils one request: a status, or the number of bytes after which it breaks
    off.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"/weights/{WANTED.file}": CONTENT}
        self.plan = []
        self.ranges = True
        self.asked = []

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server_port}/weights"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        spoiled = server.plan.pop(0) if server.plan else None
        status, after = (spoiled[0], None) if isinstance(spoiled, tuple) else (200, spoiled)
        content = server.files.get(self.path)
        if content is None:
            status = 404
        first = int(wanted[6:-1]) if wanted and server.ranges else 0
        if status == 200 and first:
            status = 206 if first < len(content) else 416
        body = content[first:] if status in {200, 206} else b"sorry"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if after is None else body[:after])

    def log_message(self, *_):
        pass


@pytest.fixture
def upstream():
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


@pytest.fixture
def waits():
    return []


@pytest.fixture
def got(upstream, tmp_path, waits):
    return lambda wanted=WANTED: fetch(wanted, tmp_path, upstream.origin, waits.append)


def test_a_file_is_fetched_once_and_then_at_hand(got, upstream, tmp_path):
    assert got().read_bytes() == CONTENT
    assert got() == tmp_path / WANTED.file
    assert upstream.asked == [None]
    assert [entry.name for entry in tmp_path.iterdir()] == [WANTED.file]


@pytest.mark.parametrize("ranges", [True, False], ids=["resumes", "begins anew where the server knows no ranges"])
def test_a_transfer_that_breaks_off_is_gone_on_with(got, upstream, waits, ranges):
    upstream.plan, upstream.ranges = [1000, 5000], ranges
    assert got().read_bytes() == CONTENT
    assert upstream.asked == [None, "bytes=1000-", "bytes=6000-" if ranges else "bytes=5000-"]
    assert waits == [0.5, 1.0]


def test_what_came_before_is_kept_for_the_next_call(got, upstream, tmp_path):
    upstream.plan = [1000, *[(503,)] * ATTEMPTS]
    with pytest.raises(BundleError, match=r"503.*1,000 bytes are kept"):
        got()
    upstream.plan = []
    assert got().read_bytes() == CONTENT
    assert upstream.asked[-1] == "bytes=1000-"
    assert not (tmp_path / f"{WANTED.file}.part").exists()


@pytest.mark.parametrize("left", [b"of another file", CONTENT[::-1]], ids=["shorter", "as long"])
def test_the_rest_of_another_file_is_not_gone_on_with_twice(got, upstream, tmp_path, left):
    (tmp_path / f"{WANTED.file}.part").write_bytes(left)
    assert got().read_bytes() == CONTENT
    assert upstream.asked == [f"bytes={len(left)}-", None]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(got, upstream, waits, status):
    upstream.plan = [(status,), (status,)]
    assert got().read_bytes() == CONTENT
    assert waits == [0.5, 1.0]


@pytest.mark.parametrize("status", [403, 404])
def test_a_file_that_is_not_there_is_not_asked_for_again(got, upstream, status):
    upstream.plan = [(status,)]
    with pytest.raises(BundleError, match=f"{WANTED.file}, received HTTP {status}"):
        got()
    assert len(upstream.asked) == 1


def test_a_server_that_is_not_there_is_named_after_some_attempts(tmp_path, waits):
    with pytest.raises(BundleError, match=f"{ATTEMPTS} attempts failed"):
        fetch(WANTED, tmp_path, "http://127.0.0.1:9/weights", waits.append)
    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_another_file_is_thrown_away(got, upstream, tmp_path):
    upstream.files[f"/weights/{WANTED.file}"] = b"something else"
    with pytest.raises(BundleError, match="another file, and was discarded"):
        got()
    assert list(tmp_path.iterdir()) == []


def test_more_than_weights_can_be_is_refused(got, monkeypatch):
    monkeypatch.setattr(pull, "MAX_BYTES", 100_000)
    with pytest.raises(BundleError, match="at most 100,000 bytes"):
        got()


def test_only_http_is_spoken(tmp_path):
    with pytest.raises(BundleError, match="http or https"):
        fetch(WANTED, tmp_path, tmp_path.as_uri())


def test_the_sums_are_those_of_the_published_files(shared):
    listed = dict(line.split()[::-1] for line in (shared / "mesonet" / "SHA256SUMS").read_text().splitlines())
    assert {each.file: each.sha256 for each in PUBLISHED.values()}.items() <= listed.items()
    assert ORIGIN.endswith("/weights")
    assert len(ORIGIN.split("/")[-2]) == 40  # a commit, not a moving branch


def run(upstream, tmp_path, *options, **given):
    options = [*options, "--from", upstream.origin, "--cache", str(tmp_path / "cache"), "--to", str(tmp_path / "made")]
    return CliRunner().invoke(app, ["pull", *options], **given)


def test_the_licence_is_shown_and_asked_for(upstream, tmp_path):
    outcome = run(upstream, tmp_path, "meso4-df", input="n\n")
    assert outcome.exit_code == 1
    assert "Apache-2.0" in outcome.output
    assert upstream.asked == []


def test_a_name_that_is_not_published_is_refused_with_those_that_are(upstream, tmp_path):
    outcome = run(upstream, tmp_path, "meso5", "--yes")
    assert isinstance(outcome.exception, BundleError)
    assert "mesoinception4-f2f" in str(outcome.exception)


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pulled_weights_become_bundles_with_their_terms(upstream, tmp_path, shared):
    for each in PUBLISHED.values():
        upstream.files[f"/weights/{each.file}"] = (shared / "mesonet" / each.file).read_bytes()
    upstream.plan = [50_000]
    outcome = run(upstream, tmp_path, "mesoinception4-df", "meso4-f2f", "--yes")
    assert outcome.exit_code == 0, outcome.output
    card = Bundle.load(tmp_path / "made" / "mesoinception4-df").card
    assert card.architecture == "mesoinception4"
    assert card.output.means == "real"
    assert "Apache-2.0" in card.training.terms
    assert card.training.recipe == "stream-detect models pull mesoinception4-df"
    assert Bundle.load(tmp_path / "made" / "meso4-f2f").card.architecture == "meso4"
