"""Looks for the programs that tests talk to; as root on Debian it installs those that are absent, else it names them.

With CI set they must be there; elsewhere the tests that need them are skipped.

python scripts/peers.py
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"
GSTREAMER = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; "
    "Gst.init(None); assert all(map(Gst.ElementFactory.find, ('rtph264pay', 'rtph265pay', 'h264parse', 'jpegparse')))"
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that tests talk to.

    Args:
        what: it is, for people.
        packages: of Debian that have it.
        is_here: looks.
    """

    what: str
    packages: tuple[str, ...]
    is_here: Callable[[], bool]


def _on_path(*names: str) -> Callable[[], bool]:
    path = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/sbin"  # daemons are not on everybody's PATH
    return lambda: any(shutil.which(name, path=path) for name in names)


def _all_on_path(*names: str) -> Callable[[], bool]:
    return lambda: all(_on_path(name)() for name in names)


def _gstreamer() -> bool:
    if not Path(SYSTEM_PYTHON).exists():
        return False
    return subprocess.run([SYSTEM_PYTHON, "-c", GSTREAMER], capture_output=True, check=False).returncode == 0


def _postgresql() -> bool:
    return shutil.which("initdb") is not None or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


PEERS = (
    Peer("Chromium", ("chromium",), _on_path("chromium", "chromium-browser", "google-chrome")),
    Peer("Firefox", ("firefox-esr",), _on_path("firefox-esr", "firefox")),
    Peer(
        "GStreamer's RTSP server",
        (
            "gir1.2-gst-rtsp-server-1.0",
            "python3-gi",
            "gstreamer1.0-plugins-good",
            "gstreamer1.0-plugins-bad",
            "gstreamer1.0-plugins-ugly",
            "gstreamer1.0-libav",
        ),
        _gstreamer,
    ),
    Peer("Mosquitto", ("mosquitto",), _on_path("mosquitto")),
    Peer("PostgreSQL", ("postgresql",), _postgresql),
    Peer("coturn", ("coturn",), _on_path("turnserver")),
    Peer("nginx", ("nginx-light",), _on_path("nginx")),
    Peer("Caddy", ("caddy",), _on_path("caddy")),
    Peer("iproute2, nftables and sysctl", ("iproute2", "nftables", "procps"), _all_on_path("ip", "nft", "sysctl")),
    Peer("systemd-analyze", ("systemd",), _on_path("systemd-analyze")),
    Peer("promtool", ("prometheus",), _on_path("promtool")),
)


def main() -> int:
    """Exit status: 0 when all are here, or where they need not be."""
    absent = [peer for peer in PEERS if not peer.is_here()]
    if not absent:
        return 0
    packages = [package for peer in absent for package in peer.packages]
    apt_get = shutil.which("apt-get")
    if apt_get is not None and os.geteuid() == 0:
        print(f"Installing what tests talk to: {', '.join(peer.what for peer in absent)} ...", flush=True)
        _install(apt_get, packages)
        absent = [peer for peer in absent if not peer.is_here()]
    if absent:
        names = ", ".join(peer.what for peer in absent)
        print(f"The tests need {names}. On Debian: apt-get install {' '.join(packages)}", file=sys.stderr)
    return 2 if absent and os.environ.get("CI") else 0


def _install(apt_get: str, packages: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *packages]):
        if subprocess.run([apt_get, *command], env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
            return


if __name__ == "__main__":
    sys.exit(main())
