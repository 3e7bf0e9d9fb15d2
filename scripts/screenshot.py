"""Makes docs/images/live-check.png: the page in a real Chromium whose webcam is a public-domain photo.

    .venv/bin/python scripts/screenshot.py

It needs the built page, a model and Chromium; it starts a server of its own.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import sync_playwright

from scripts import webcam

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / "docs" / "images" / "live-check.png"
WATCH_S = 20
"""Long enough for a timeline that shows something."""


def main() -> None:
    """Take the picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("expected chromium or google-chrome on the PATH")
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, started_server(folder) as address:
        clip = Path(folder) / "astronaut.mjpeg"
        webcam.write(clip, webcam.astronaut(WATCH_S + 10, (2.6, 4.3, 7.1)))  # else the feed would be shown as looped
        _shoot(address, chromium, clip)


@contextlib.contextmanager
def started_server(folder: str) -> Iterator[str]:
    """The address of a server of this checkout, which keeps what it stores in a folder."""
    command = [sys.executable, "server.py"]
    with subprocess.Popen(command, cwd=ROOT, env=_environment(folder), stderr=subprocess.PIPE, text=True) as server:
        try:
            yield _address(server)
        finally:
            server.terminate()


def _environment(folder: str) -> dict[str, str]:
    return {**os.environ, "STREAM_DETECT_SERVER__PORT": "0", "STREAM_DETECT_STORAGE__FOLDER": folder}


def _address(server: subprocess.Popen[str]) -> str:
    line = server.stderr.readline() if server.stderr else ""
    address = re.search(r"serving at (\S+)", line)
    if address is None:
        sys.exit(f"expected a server that starts, received: {line}")
    return address[1]


def _shoot(address: str, chromium: str, clip: Path) -> None:
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 886}, color_scheme="light")
        page.goto(address)
        page.get_by_test_id("start").click()
        page.wait_for_timeout(WATCH_S * 1000)
        page.screenshot(path=IMAGE)
        browser.close()


if __name__ == "__main__":
    main()
