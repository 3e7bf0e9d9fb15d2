"""Firefox with its default settings, which hide addresses behind mDNS names: live check, camera, upload."""

import base64
import io

import numpy as np
import pytest
import skimage.data
import yaml
from PIL import Image

from tests.browser.conftest import GRAB, WATCH
from tests.browser.firefox import program, running_firefox
from tests.browser.review_site import film
from tests.browser.test_live_check import BADGE_PX, painted

FACE_CAMERA = """
const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = async () => {
  const face = await createImageBitmap(new Blob([bytes], {type: "image/jpeg"}));
  const canvas = Object.assign(document.createElement("canvas"), {width: 640, height: 480});
  const context = canvas.getContext("2d");
  let at = 0;
  const draw = () => context.drawImage(face, 60 + 6 * Math.sin(at / 7), 0 + 4 * Math.cos(at++ / 9), 480, 480);
  draw();
  window.drawing = setInterval(draw, 33);
  return canvas.captureStream(30);
};
"""
"""A webcam that shows the public-domain astronaut, moving slightly; Firefox's own fake webcam has no face."""

CONNECTIONS = """
window.offers = [];
const remember = RTCPeerConnection.prototype.setLocalDescription;
RTCPeerConnection.prototype.setLocalDescription = function (...given) {
  window.offers.push(this);
  return remember.apply(this, given);
};
"""


@pytest.fixture(scope="module")
def firefox():
    path = program()
    if path is None:
        pytest.skip("Firefox is not on the PATH: `make test` installs it as root, else put it there")
    with running_firefox(path) as started:
        yield started


@pytest.fixture
def open_page(firefox):
    """Opens pages; none may log an error or a warning."""
    pages = []

    def make(url, preload=""):
        pages.append(firefox.page(CONNECTIONS + WATCH + preload))
        pages[-1].open(url)
        return pages[-1]

    yield make
    for page in pages:
        assert page.errors == []


def face_camera() -> str:
    jpeg = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(jpeg, "JPEG", quality=92)
    return FACE_CAMERA % base64.b64encode(jpeg.getvalue()).decode()


def picture(page):
    data = page.evaluate(f"({GRAB})(document.querySelector('[data-testid=video]'))")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def has_badge(page) -> bool:
    """Whether the newest frame has a badge in the colour of the newest result's state."""
    result = page.evaluate("window.received.filter((one) => one.type === 'result').at(-1)?.value")
    if not result or not result["faces"]:
        return False
    return painted(picture(page), result["faces"][0], result["faces"][0]["state"]) > BADGE_PX


def test_the_live_check_connects_over_hidden_addresses_and_returns_the_badge(start_server, open_page):
    server = start_server(WINDOW__MIN_SCORES="3")
    page = open_page(server.url, face_camera())
    page.click("[data-testid=start]")
    page.until("window.received.some((one) => one.type === 'hello')")
    page.until("window.received.filter((one) => one.type === 'result' && one.value.faces.length).length > 10")
    offer = page.evaluate("window.offers.at(-1).localDescription.sdp")
    addresses = [line.split()[4] for line in offer.splitlines() if line.startswith("a=candidate:")]
    assert addresses
    assert all(address.endswith(".local") for address in addresses), "it hides nothing: this shows nothing"
    page.until(lambda: has_badge(page))
    page.until("window.received.some((one) => one.type === 'pong')")
    page.click("[data-testid=stop]")
    page.until(lambda: server.get("/api/status")["sessions"] == 0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A video of the astronaut, moving slightly."""
    face = skimage.data.astronaut()[:480]
    shifts = (round(6 * np.sin(number / 7)) for number in range(90))
    pictures = (np.roll(np.pad(face, ((0, 0), (64, 64), (0, 0))), shift, 1) for shift in shifts)
    return film(tmp_path_factory.mktemp("firefox") / "astronaut.mp4", "libx264", pictures)


def test_a_camera_is_watched(start_server, open_page, tmp_path, clip):
    settings = tmp_path / "settings.yaml"
    cameras = [{"name": "loop", "url": f"file:{clip}", "loop": True}]
    settings.write_text(yaml.safe_dump({"cameras": cameras}), encoding="utf-8")
    server = start_server(SETTINGS=str(settings))
    page = open_page(f"{server.url}/#/cameras/loop")
    plays = "[...document.querySelectorAll('video')].some((video) => video.videoWidth > 0 && video.currentTime > 1)"
    page.until(plays)
    page.until(lambda: server.get("/api/cameras/loop")["viewers"] == 1)
    page.evaluate("window.location.hash = '#/cameras'")
    page.until(lambda: server.get("/api/cameras/loop")["viewers"] == 0)


def test_a_file_is_uploaded_and_its_verdict_shown(start_server, open_page, clip):
    server = start_server(REVIEW__MIN_FREE_BYTES="0")
    page = open_page(f"{server.url}/#/analyses")
    page.choose_files("input[type=file]", clip)
    page.until("document.querySelector('[data-testid=analysis]')?.dataset.state === 'done'")
    page.click("[data-testid=analysis] a")
    page.until("document.querySelector('[data-testid=verdict]')?.dataset.state")
