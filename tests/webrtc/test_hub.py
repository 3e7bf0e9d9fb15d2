"""What a camera's viewers share, from the first to the last of them; nothing of it passes to those who come later."""

import threading
from types import SimpleNamespace

import pytest

from stream_detect.settings import VideoSettings
from stream_detect.types import Thresholds
from stream_detect.webrtc import hub as hub_module
from stream_detect.webrtc.annotated_track import Drawing
from stream_detect.webrtc.hub import Hub, OverlayStyle
from stream_detect.webrtc.offer import Codec
from tests.patience import PATIENCE_S, soon
from tests.webrtc.peers import numbered


class Viewer:
    """Takes all frames."""

    codec, bitrate_bps = Codec.H264, 1_000_000

    def __init__(self):
        self.frames = []

    async def take(self, frame):
        self.frames.append(frame)

    def failed(self):
        raise AssertionError


@pytest.fixture
async def hub(nothing_left):
    made = Hub("door", OverlayStyle(Thresholds(), 1.0), VideoSettings())
    yield made
    await made.close()


async def test_a_frame_that_was_still_drawn_when_the_last_viewer_left_is_not_the_next_ones(hub, monkeypatch):
    begun, go_on, draw = threading.Event(), threading.Event(), Drawing.draw

    def held(drawing, frame):
        begun.set()
        go_on.wait(PATIENCE_S)
        return draw(drawing, frame)

    viewers = [Viewer(), Viewer()]
    for _ in viewers:
        hub.enter()
    hub.attach(viewers[0])
    with monkeypatch.context() as patched:
        patched.setattr(Drawing, "draw", held)
        hub.show(numbered(500))
        await soon(begun.is_set)
        hub.detach(viewers[0])
        hub.leave()
    (stopped,) = hub._ending
    hub._held = None
    hub.attach(viewers[1])
    go_on.set()
    await soon(lambda: not stopped.is_running)
    hub.show(numbered(0))
    await soon(lambda: hub._renderer._encodings)
    hub.show(numbered(1))
    await soon(lambda: viewers[1].frames and viewers[1].frames[-1].timestamp == 3600)
    assert [(frame.timestamp, frame.keyframe) for frame in viewers[1].frames] == [(0, True), (3600, False)]
    assert viewers[0].frames == []
    hub.detach(viewers[1])
    hub.leave()


async def test_a_frame_that_comes_while_the_last_viewer_leaves_is_not_kept(hub, monkeypatch):
    hub.enter()
    monkeypatch.setattr(hub_module, "time", SimpleNamespace(monotonic=hub.leave))  # between the look and the keeping
    hub.show(numbered(0))
    assert hub._held is None
