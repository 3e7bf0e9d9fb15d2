"""Shared fixtures: the test data, server processes, reproducible examples, and no silent skips in CI."""

import contextlib
import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

import scripts.peers
from stream_detect.models.registry import SHIPPED
from stream_detect.settings import ModelSettings
from tests.forked_server import ForkedServer
from tests.patience import PATIENCE_S
from tests.rtsp.peer import RtspServer

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
FRESH = (sys.executable, "server.py")
"""Command of a server in a fresh interpreter."""

START_S = 2 * PATIENCE_S
STOPPED_S = 30.0
"""Maximum time for a stop; anything that it must not wait for takes longer."""
# No deadline per example: on a busy machine, more than 200 ms does not mean a fault.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
SHARED_ABSENT = "../shared is absent"
TORCH_ABSENT = "PyTorch is a choice of whoever trains: pip install torch==2.13.0"
_FFMPEG_MAX_ALLOC = 2**31 - 1
"""FFmpeg's own limit on one allocation."""


@pytest.fixture(autouse=True)
def _allocations() -> Iterator[None]:
    """FFmpeg's limit on allocations applies to the process: a limit set by a test ends with it."""
    yield
    opening = sys.modules.get("stream_detect.sources.opening")
    if opening is not None:
        opening.limit_allocations(_FFMPEG_MAX_ALLOC)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with clips, faces and published weights; tests that need it are skipped if it is absent."""
    if not SHARED.is_dir():
        pytest.skip(SHARED_ABSENT)
    return SHARED


PEERS = {"rtsp_server", "own_rtsp_server", "broker", "cluster", "coturn", "field", "postgresql"}
"""Fixtures that start an installed program."""
SERVERS = {"start_server", "run_server", "ray_cluster"}
SLOW = {
    "alerts/test_webhooks.py",
    "analysis/test_challenge_control.py",
    "analysis/test_detector.py",
    "analysis/test_engine.py",
    "analysis/test_feed.py",
    "analysis/test_head.py",
    "analysis/test_pipeline.py",
    "analysis/test_quality.py",
    "analysis/test_search.py",
    "api/test_analysis_addresses.py",
    "api/test_analysis_routes.py",
    "api/test_camera_routes.py",
    "api/test_service.py",
    "api/test_whip_whep_routes.py",
    "app/test_service.py",
    "cameras/test_camera_stops.py",
    "cli/test_analyze.py",
    "cluster/test_analyses.py",
    "cluster/test_checks.py",
    "cluster/test_evidence.py",
    "cluster/test_head.py",
    "cluster/test_ray.py",
    "cluster/test_ray_cut_off.py",
    "cluster/test_ray_failures.py",
    "cluster/test_ray_tasks.py",
    "cluster/test_worker.py",
    "evaluation/test_calibration.py",
    "evaluation/test_dataset.py",
    "evaluation/test_evaluation.py",
    "evaluation/test_refind.py",
    "events/test_killed_recorder.py",
    "evidence/test_evidence.py",
    "evidence/test_ring_and_clip.py",
    "jobs/test_processes.py",
    "jobs/test_earlier_results.py",
    "jobs/test_review_jobs.py",
    "media/test_coded_size.py",
    "network/test_addresses.py",
    "network/test_ice_servers.py",
    "overlay/test_overlay.py",
    "review/test_annotated_video.py",
    "review/test_examination.py",
    "review/test_samples.py",
    "sources/test_fuzz_media.py",
    "sources/test_hls.py",
    "sources/test_opening.py",
    "sources/test_web_cameras.py",
    "test_deployment.py",
    "test_house.py",
    "test_packaging.py",
    "webrtc/test_live_check.py",
    "webrtc/test_places.py",
    "webrtc/test_sessions.py",
    "webrtc/test_whep.py",
    "webrtc/test_whip.py",
}
"""Files whose tests take two seconds or more in total: media, networks and processes (`--durations=0`)."""


LONGEST = (
    "cluster/test_ray.py",
    "cluster/test_ray_cut_off.py",
    "cluster/test_ray_failures.py",
    "cluster/test_ray_tasks.py",
    "api/test_analyses_server.py",
    "webrtc/test_soak.py",
    "training/test_backends.py",
    "browser/test_sign_in.py",
    "sources/test_rtsp.py",
    "browser/test_accessibility.py",
    "api/middleware/test_revoked.py",
    "sources/test_fuzz_media.py",
    "browser/test_live_check.py",
    "browser/test_analysis_page.py",
    "test_house.py",
    "cluster/test_head.py",
    "api/test_cameras_server.py",
    "sources/test_hls.py",
    "cli/test_analyze.py",
    "cluster/test_analyses.py",
    "webrtc/test_live_check.py",
    "cameras/test_camera_rtsp.py",
    "browser/test_messages.py",
    "test_packaging.py",
    "network/test_addresses.py",
    "training/test_train.py",
    "cluster/test_checks.py",
    "webrtc/test_sessions.py",
    "jobs/test_processes.py",
    "browser/test_many_cameras.py",
    "browser/test_cameras.py",
    "webrtc/test_whep.py",
)
"""The slowest files, half a minute to two minutes each; they run first, so that none runs alone at the end.

Those on Ray wait more than they compute, four minutes in all: they are first, beside others that compute.
"""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are no garbage: neither while they are collected (5 of 13 s), nor in a later collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Orders the files, and marks tests that `make test-fast` leaves out, by their fixtures and their file."""
    rank = {ROOT / "tests" / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if asked & PEERS or parameters.get("dialect") == "postgresql":
            item.add_marker(pytest.mark.peer)
        if asked & SERVERS:
            item.add_marker(pytest.mark.server)
        if item.path.relative_to(ROOT / "tests").as_posix() in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI set, a skip is a failure, unless it needs something that no lock file installs: test data, PyTorch."""
    report = yield
    absent = any(reason in str(report.longrepr) for reason in (SHARED_ABSENT, "../shared absent", TORCH_ABSENT))
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") and not absent:
        report.outcome = "failed"
        report.longrepr = f"skipped although CI is set: {report.longrepr}"
    return report


def is_on_ray(nodeid: str) -> bool:
    """Whether a test needs a Ray cluster."""
    return "/test_ray" in nodeid.partition("::")[0]


class _Files(LoadFileScheduling):  # type: ignore[misc]
    """Gives each worker a file at a time; the files on Ray, which share a cluster, are one."""

    def _split_scope(self, nodeid: str) -> str:
        return "Ray" if is_on_ray(nodeid) else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Files | None:
    """With `--dist loadfile`."""
    return _Files(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests that had one more turn failed with at first: the race that is to be found."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"{report.nodeid} failed at first")
        terminalreporter.write_line(report.longreprtext)


@dataclass
class Server:
    """A listening server process."""

    process: subprocess.Popen[str] | ForkedServer
    url: str
    log: list[str]

    def get(self, path: str, token: str | None = None) -> Any:
        """JSON of a route."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"{self.url}{path}", headers=headers)  # noqa: S310 - http, ours
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
            return json.load(answer)

    def stop(self) -> None:
        """Sends SIGTERM; the server has to end soon and cleanly."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOPPED_S) == 0, "".join(self.log)


@contextlib.contextmanager
def running_server(command: tuple[str, ...] | None = None, **settings: str) -> Iterator[Server]:
    """A server on a free port.

    Args:
        command: command that starts it, run in the checkout's root, such as `FRESH`; None for a `ForkedServer`.
        settings: environment overrides without the prefix, e.g. WEBRTC__MAX_SESSIONS="1".
    """
    with tempfile.TemporaryDirectory(prefix="stream-detect-") as folder:
        # Ignores a stream-detect.yaml in the checkout, and leaves nothing in it.
        given = {"SETTINGS": os.devnull, "SERVER__PORT": "0", "STORAGE__FOLDER": folder, **settings}
        with _running(command, given) as server:
            yield server


@contextlib.contextmanager
def _running(command: tuple[str, ...] | None, given: dict[str, str]) -> Iterator[Server]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_DETECT_")}
    environment |= {f"STREAM_DETECT_{name}": value for name, value in given.items()}
    process = (
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        if command
        else ForkedServer(environment)
    )
    stderr = process.stderr
    assert stderr is not None
    log: list[str] = []
    ready = threading.Event()

    def read() -> None:
        for line in stderr:
            log.append(line)
            if "serving at" in line:
                ready.set()
        ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert ready.wait(START_S)
        address = re.search(r"serving at (\S+)", "".join(log))
        assert address, "".join(log)
        yield Server(process, address[1].replace("0.0.0.0", "127.0.0.1"), log)
        if process.poll() is None:
            process.terminate()
            process.wait(STOPPED_S)
    finally:
        process.kill()
        process.wait()
        reader.join(PATIENCE_S)
        stderr.close()


@pytest.fixture(scope="session")
def run_server() -> Callable[..., AbstractContextManager[Server]]:
    """`running_server`, for fixtures that outlive a test."""
    return running_server


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """Starts servers that end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *command, **settings: stack.enter_context(running_server(*command, **settings))


@pytest.fixture(scope="session")
def suspicious_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped model, with thresholds that nearly every face exceeds."""
    name = ModelSettings().name
    copy = tmp_path_factory.mktemp("models") / name
    shutil.copytree(SHIPPED / name, copy)
    card = copy / "card.json"
    content = json.loads(card.read_text(encoding="utf-8"))
    content["thresholds"] = {"fake_enter": 0.002, "fake_leave": 0.0015, "real_enter": 0.0005, "real_leave": 0.001}
    card.write_text(json.dumps(content), encoding="utf-8")
    return copy.parent


@pytest.fixture(scope="session")
def gstreamer() -> None:
    """Skips the test if GStreamer, which the RTSP server needs, is absent."""
    peer = next(peer for peer in scripts.peers.PEERS if "RTSP" in peer.what)
    if not peer.is_here():
        pytest.skip(f"{peer.what} is absent: apt-get install {' '.join(peer.packages)}")


@pytest.fixture(scope="session")
def rtsp_server(gstreamer: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    """A real RTSP server shared by all tests, which must leave it running."""
    with RtspServer(tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture
def own_rtsp_server(gstreamer: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    """A real RTSP server for one test, to stop, freeze and restart."""
    with RtspServer(tmp_path_factory.getbasetemp()) as server:
        yield server
