"""Nothing leaves the machine: all name look-ups and connections of a start and of every command are checked."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import FRESH

ROOT = Path(__file__).parents[1]
CI_MARKS = ("CI", "TF_BUILD", "JENKINS_URL")
"""Variables with which libraries send no telemetry anyway; they are unset, so that our own precautions are tested."""

WATCH = """
import os, sys

_LOCAL = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}

def _watch(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in _LOCAL:
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {host}\\n")
        raise OSError("no connection in this test")

sys.addaudithook(_watch)
"""


class Watched:
    """Runs commands whose connections are recorded, with their own home folder and without CI."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self._names = folder / "names"
        patch = folder / "patch"
        patch.mkdir()
        (patch / "sitecustomize.py").write_text(WATCH)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in CI_MARKS and not name.startswith("STREAM_DETECT_")
        }
        self.environment = {
            **inherited,
            "PYTHONPATH": f"{patch}{os.pathsep}{ROOT}",
            "HOME": str(self.home),
            "WATCHED": str(self._names),
            "STREAM_DETECT_SETTINGS": os.devnull,
            "STREAM_DETECT_STORAGE__FOLDER": str(folder / "data"),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )

    def asked(self) -> list[str]:
        """Names looked up and connections made elsewhere."""
        return self._names.read_text().splitlines() if self._names.exists() else []


@pytest.fixture
def watched(tmp_path) -> Watched:
    return Watched(tmp_path)


def test_the_watch_sees_what_leaves(watched):
    code = "import socket; socket.getaddrinfo('example.org', 80)"
    assert watched.run("-c", code).returncode == 1
    assert watched.asked() == ["socket.getaddrinfo example.org"]


def test_openvino_finds_no_telemetry_package_whether_it_is_installed_or_not(watched):
    code = (
        "import stream_detect, openvino, openvino.tools.ovc.utils as u; "
        "print(u.tm.__name__); openvino.Core().available_devices"
    )
    done = watched.run("-c", code)
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub"], done.stderr


@pytest.mark.parametrize("command", ["doctor", "models list", "analyze face.jpg", "purge --yes", "explain face.jpg"])
def test_no_command_connects_anywhere(watched, tmp_path, command):
    picture = tmp_path / "face.jpg"
    assert cv2.imwrite(str(picture), np.full((240, 320, 3), 128, np.uint8))
    watched.environment["STREAM_DETECT_SERVER__PORT"] = "0"
    arguments = command.replace("face.jpg", str(picture)).split()
    done = watched.run("-c", "from stream_detect.cli import main; main()", *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    assert watched.asked() == []
    assert list(watched.home.rglob("*")) == []


def test_a_server_connects_nowhere_from_its_start_to_its_end(watched, monkeypatch, start_server):
    for name in CI_MARKS:
        monkeypatch.delenv(name, raising=False)
    for name in ("PYTHONPATH", "HOME", "WATCHED"):
        monkeypatch.setenv(name, watched.environment[name])
    server = start_server(FRESH)
    assert server.get("/readyz") == {"ready": True}
    server.stop()
    assert watched.asked() == []
    assert list(watched.home.rglob("*")) == []
