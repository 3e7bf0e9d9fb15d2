"""A real Chromium watches a camera by WHEP and publishes one by WHIP, from a minimal page."""

import asyncio
import base64
import io
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from PIL import Image

from stream_detect.api import whip_whep
from stream_detect.api.middleware import problems
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.settings.cameras import CameraSettings
from stream_detect.types import CameraState, Thresholds
from stream_detect.webrtc.hub import OverlayStyle
from stream_detect.webrtc.whep import Viewers
from stream_detect.webrtc.whip import Publishers
from tests.patience import PATIENCE_S, until
from tests.webrtc.peers import BIT_PX, BITS, ShownCamera

PAGE = """<!doctype html><title>bare</title><link rel="icon" href="data:,"><video muted autoplay playsinline></video>"""

EXCHANGE = """
async (connection, path) => {
  await connection.setLocalDescription();
  if (connection.iceGatheringState !== "complete")
    await new Promise((done) => connection.addEventListener("icegatheringstatechange",
      () => connection.iceGatheringState === "complete" && done()));
  const answer = await fetch(path, {method: "POST", headers: {"Content-Type": "application/sdp"},
                                    body: connection.localDescription.sdp});
  await connection.setRemoteDescription({type: "answer", sdp: await answer.text()});
  return answer.headers.get("location");
}"""
WATCH = f"""async (path) => {{
  const connection = window.watching = new RTCPeerConnection();
  connection.addTransceiver("video", {{direction: "recvonly"}});
  connection.addTransceiver("audio", {{direction: "recvonly"}});
  connection.addEventListener("track", (event) => {{
    if (event.track.kind === "video") document.querySelector("video").srcObject = new MediaStream([event.track]);
  }});
  return ({EXCHANGE})(connection, path);
}}"""
PUBLISH = f"""async (path) => {{
  const connection = window.publishing = new RTCPeerConnection();
  const stream = await navigator.mediaDevices.getUserMedia({{video: {{width: 640, height: 480}}}});
  connection.addTransceiver(stream.getVideoTracks()[0], {{direction: "sendonly"}});
  return ({EXCHANGE})(connection, path);
}}"""
GRAB = """() => {
  const video = document.querySelector("video");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  if (!canvas.width) return "";
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}"""


class PushedCamera:
    """A camera with a publisher and viewers."""

    def __init__(self, name, hub):
        self.settings = CameraSettings(name=name, url="whip:")
        self.sizes, self.gaps, self.left = [], 0, []
        self._hub = hub

    def status(self):
        return SimpleNamespace(change=SimpleNamespace(state=CameraState.LIVE))

    def push(self, frame, _codec, *, gap=False, **_about):
        self.sizes.append((frame.width, frame.height))
        self.gaps += gap
        self._hub.show(frame)

    def publisher_left(self, reason):
        self.left.append(reason)


@pytest.fixture
def site():
    """A server in this process: camera `door` has numbered frames, `street` a publisher."""
    viewers = Viewers(WebRtcSettings(), VideoSettings(), OverlayStyle(Thresholds(), 1.0), 4)
    publishers = Publishers(WebRtcSettings())
    cameras = {name: PushedCamera(name, viewers.viewing(name)) for name in ("door", "street")}
    fleet = SimpleNamespace(camera=cameras.__getitem__)
    application = FastAPI()
    problems.install(application)
    application.include_router(whip_whep.whep(viewers, fleet, tuple))
    application.include_router(whip_whep.whip(publishers, fleet, tuple))
    application.get("/", response_class=HTMLResponse)(lambda: PAGE)
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_config=None, lifespan="off"))

    async def run():
        await server.serve()
        await viewers.close_all()
        await publishers.close_all()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    until(lambda: server.started)
    shown = ShownCamera(viewers.viewing("door"))
    port = server.servers[0].sockets[0].getsockname()[1]
    yield SimpleNamespace(url=f"http://127.0.0.1:{port}/", viewers=viewers, street=cameras["street"])
    shown.stop()
    server.should_exit = True
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def number_seen(opened) -> int | None:
    """Number of the frame on the page; None before the first."""
    data = opened.page.evaluate(GRAB)
    if not data:
        return None
    luma = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"))
    row = luma.shape[0] - BIT_PX // 2
    return sum(int(luma[row, bit * BIT_PX + BIT_PX // 2] > 128) << bit for bit in range(BITS))


def test_a_browser_sees_a_camera_move(visit, site):
    opened = visit(at=site)
    location = opened.page.evaluate(WATCH, "/whep/door")
    assert location.startswith("/whep/door/")
    opened.until(lambda: number_seen(opened) is not None)
    first = number_seen(opened)
    opened.until(lambda: number_seen(opened) > first + 25)
    (playback,) = site.viewers._sessions.all()
    assert playback.codec == "video/H264"
    assert playback.left_out < playback.sent
    assert opened.page.evaluate("path => fetch(path, {method: 'DELETE'}).then((r) => r.status)", location) == 200
    assert site.viewers.count == 0


def test_a_browser_publishes_and_another_sees_it(visit, site, webcam):
    sending = visit(webcam("real"), site)
    location = sending.page.evaluate(PUBLISH, "/whip/street")
    sending.until(lambda: len(site.street.sizes) > 30)
    assert site.street.sizes[-1] == (640, 480)
    watching = visit(at=site)
    watching.page.evaluate(WATCH, "/whep/street")
    played = "() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames"
    watching.until(lambda: watching.page.evaluate(played) > 20)
    assert sending.page.evaluate("path => fetch(path, {method: 'DELETE'}).then((r) => r.status)", location) == 200
    assert site.street.left == ["the publisher left"]
