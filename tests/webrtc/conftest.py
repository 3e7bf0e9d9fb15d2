"""A real peer in the same process, a server with a scripted analysis, and checks that neither leaves anything."""

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import is_rtcp

from stream_detect.analysis.engine import Engine
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector, upright_face
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.settings import VideoSettings, WebRtcSettings, WindowSettings
from stream_detect.storage.checks import CheckRecord
from stream_detect.types import Thresholds
from stream_detect.webrtc.aiortc_private.connection import close
from stream_detect.webrtc.check_sessions import CheckSessions
from stream_detect.webrtc.live_check import Client
from stream_detect.webrtc.results_channel import Introduction
from tests.patience import PATIENCE_S, soon

FACE = (110.0, 60.0, 210.0, 180.0)
BIT_PX = 16
BITS = 10

ABOUT = Introduction("scripted", "Scripted", "0" * 64, Thresholds(), 10.0, 2)

QUICK = AnalysisSettings(window=WindowSettings(min_scores=2, score_rate_hz=10.0, min_dwell_s=0.0))


def pattern(number: int, wh: tuple[int, int], pixel_format: str = "yuv420p") -> av.VideoFrame:
    """A moving grey chequered frame, with its number in black and white squares along the lower edge."""
    width, height = wh
    rows, columns = np.mgrid[:height, :width]
    luma = np.where(((columns + number) // 8 + rows // 8) % 2, 60, 200).astype(np.uint8)
    for bit in range(BITS):
        luma[-BIT_PX:, bit * BIT_PX : (bit + 1) * BIT_PX] = 235 if number >> bit & 1 else 16
    frame = av.VideoFrame.from_ndarray(luma, format="gray")
    return frame.reformat(format=pixel_format)


def number_in(frame: av.VideoFrame) -> int:
    """The number drawn by `pattern`."""
    luma = frame.reformat(format="gray").to_ndarray()
    row = frame.height - BIT_PX // 2
    return sum(int(luma[row, bit * BIT_PX + BIT_PX // 2] > 128) << bit for bit in range(BITS))


class Camera(MediaStreamTrack):
    """A webcam with numbered frames; size, rate and presence may change while it runs."""

    kind = "video"

    def __init__(self, wh: tuple[int, int] = (320, 240), fps: float = 15.0) -> None:
        super().__init__()
        self.wh, self.fps = wh, fps
        self.silent = False
        self.sent: dict[int, int] = {}  # number -> pts
        self._number = 0
        self._pts = 0
        self._due_s: float | None = None

    async def recv(self) -> av.VideoFrame:
        while self.silent:  # noqa: ASYNC110 - a test flips it whenever it likes
            await asyncio.sleep(0.05)
        now_s = time.monotonic()
        self._due_s = max(now_s, (self._due_s or now_s) + 1 / self.fps)
        await asyncio.sleep(self._due_s - now_s)
        frame = pattern(self._number % (1 << BITS), self.wh)
        frame.pts, frame.time_base = self._pts, Fraction(1, 90_000)
        self.sent[self._number] = self._pts
        self._number += 1
        self._pts += round(90_000 / self.fps)
        return frame


class Peer:
    """A client: a camera, the returned video, and the messages of the data channel."""

    def __init__(
        self,
        camera: Camera | None = None,
        codecs: frozenset[str] = frozenset({"H264"}),
        audio: MediaStreamTrack | None = None,
        label: str | None = "results",
    ) -> None:
        self.camera = camera or Camera()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.frames: list[av.VideoFrame] = []
        self.arrivals_s: list[float] = []
        self.messages: list[dict[str, Any]] = []
        self.lost_packets = 0
        self._was_connected = asyncio.Event()
        self.connection.on("connectionstatechange", self._on_state)
        if audio is not None:
            self.connection.addTransceiver(audio, "sendrecv")
        self.video = self.connection.addTransceiver(self.camera, "sendrecv")
        self.video.setCodecPreferences(
            [c for c in RTCRtpSender.getCapabilities("video").codecs if c.name in codecs | {"rtx"}]
        )
        if label is not None:
            self.channel = self.connection.createDataChannel(label)
            self.channel.on("message", lambda text: self.messages.append(json.loads(text)))
        self._readers: list[asyncio.Task[None]] = []
        self.connection.on("track", self._on_track)

    def _on_state(self) -> None:
        if self.connection.connectionState == "connected":
            self._was_connected.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._readers.append(asyncio.create_task(self._read(track)))

    async def _read(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame)
                self.frames.append(frame)
                self.arrivals_s.append(time.monotonic())
        except MediaStreamError:
            pass

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))

    def reaching(self, state: str) -> asyncio.Event:
        """Set once a transport has reached a state, such as "ICE checking" or "DTLS connected"."""
        dtls, there = self.video.sender.transport, asyncio.Event()
        for name, transport in (("DTLS", dtls), ("ICE", dtls.transport)):
            transport.on(
                "statechange",
                lambda name=name, transport=transport: there.set() if state == f"{name} {transport.state}" else None,
            )
        return there

    async def connect(self, sessions: CheckSessions, client: Client | None = None) -> str:
        """Opens a session and waits until it is connected; returns its id."""
        answer = await sessions.answer(await self.offer(), client)
        await self.accept(answer.sdp)
        async with asyncio.timeout(PATIENCE_S):
            await self._was_connected.wait()
        return answer.session_id

    async def until(self, holds: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        """Waits for something to become true."""
        await soon(holds, within_s)

    async def more_frames(self, count: int) -> list[av.VideoFrame]:
        """The next returned frames."""
        seen = len(self.frames)
        await self.until(lambda: len(self.frames) >= seen + count)
        return self.frames[seen:]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message["value"] for message in self.messages if message["type"] == kind]

    def lose(self, share: float, seed: int = 7) -> None:
        """Drops this share of the media packets in both directions from now on."""
        transport = self.video.sender.transport.transport
        dice = random.Random(seed)  # noqa: S311
        send, receive = transport._send, transport._recv

        def lost(data: bytes) -> bool:
            media = 127 < data[0] < 192 and not is_rtcp(data)
            if media and dice.random() < share:
                self.lost_packets += 1
                return True
            return False

        async def lossy_send(data: bytes) -> None:
            if not lost(data):
                await send(data)

        async def lossy_receive() -> bytes:
            while lost(data := await receive()):
                pass
            return data

        transport._send, transport._recv = lossy_send, lossy_receive

    async def vanish(self) -> None:
        """Disappears without notice, like a closed laptop."""
        transport: Any = self.video.sender.transport.transport

        async def nothing(_data: bytes) -> None:
            return

        transport._send = nothing
        transport._connection.send = nothing

    async def close(self) -> None:
        await close(self.connection)
        self.camera.stop()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


def scripted_engine(
    classifier: Callable[[], ScriptedClassifier] = lambda: ScriptedClassifier(0.99), settings: AnalysisSettings = QUICK
) -> Engine:
    return Engine(settings, lambda: ScriptedDetector([upright_face(FACE)]), classifier)


def tasks_and_threads() -> set[str]:
    tasks = {f"task {task!r}" for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    # asyncio's own executor (aiortc's VP8 encoder, to_thread) ends with the loop.
    threads = {t.name for t in threading.enumerate() if t is not threading.main_thread() and "asyncio_" not in t.name}
    return tasks | threads


@pytest.fixture
def lasting_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions end only on request: a silent peer loses consent (RFC 7675) only after minutes."""
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 2 * PATIENCE_S)


@pytest.fixture
async def nothing_left() -> AsyncIterator[None]:
    """Checks that all tasks and threads of the test have ended."""
    before = tasks_and_threads()
    yield
    deadline_s = time.monotonic() + PATIENCE_S
    while left := {name for name in tasks_and_threads() - before if "fixture" not in name and "pytest" not in name}:
        assert time.monotonic() < deadline_s, f"left behind: {left}"
        await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def seldom_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No frame is repeated because a busy machine was late with the next: tests count frames."""
    for module in ("annotated_track", "renderer"):
        monkeypatch.setattr(f"stream_detect.webrtc.{module}.SILENT_S", 2 * PATIENCE_S)


class SessionClock:
    """The clock of sessions: real time plus what a test adds."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._looks = 0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def time(self) -> float:
        return time.time() + self.ahead_s

    def looked_at(self) -> float:
        self._looks += 1
        return self.monotonic()

    async def passes(self, seconds: float) -> None:
        """Advances the clock, and waits until all links have checked their peers."""
        self.ahead_s += seconds
        looks = self._looks
        await soon(lambda: self._looks > looks + 2)

    async def passes_until(self, holds: Callable[[], object]) -> None:
        """Advances the clock repeatedly, because a frame may have been in flight."""

        def later() -> object:
            self.ahead_s += 100.0
            return holds()

        await soon(later)


@pytest.fixture
def session_clock(monkeypatch: pytest.MonkeyPatch) -> SessionClock:
    """Request this fixture before there are sessions."""
    clock = SessionClock()
    for module in ("live_check", "video_receiver"):
        monkeypatch.setattr(f"stream_detect.webrtc.{module}.time", clock)
    monkeypatch.setattr("stream_detect.webrtc.peer_connection.time", SimpleNamespace(monotonic=clock.looked_at))
    monkeypatch.setattr("stream_detect.webrtc.peer_connection.WATCH_S", 0.02)
    return clock


@pytest.fixture
async def open_sessions(nothing_left: None) -> AsyncIterator[Callable[..., CheckSessions]]:
    """Makes servers that are closed after the test."""
    opened: list[CheckSessions] = []

    def make(
        engine: Engine | None = None,
        *,
        video: VideoSettings | None = None,
        keep: Callable[[CheckRecord], None] = lambda _record: None,
        **webrtc: Any,
    ) -> CheckSessions:
        settings = WebRtcSettings(**webrtc)
        opened.append(CheckSessions(engine or scripted_engine(), settings, video or VideoSettings(), ABOUT, keep=keep))
        return opened[-1]

    yield make
    for sessions in opened:
        await sessions.close_all()
        assert sessions.count == 0


@pytest.fixture
async def make_peer(nothing_left: None) -> AsyncIterator[Callable[..., Peer]]:
    """Makes peers that are closed after the test."""
    peers: list[Peer] = []

    def make(*args: Any, **kwargs: Any) -> Peer:
        peers.append(Peer(*args, **kwargs))
        return peers[-1]

    yield make
    for peer in peers:
        await peer.close()


@pytest.fixture
def camera() -> type[Camera]:
    return Camera


@pytest.fixture
def engine_of() -> Callable[..., Engine]:
    return scripted_engine


@pytest.fixture
def read_number() -> Callable[[av.VideoFrame], int]:
    return number_in


@pytest.fixture
def about() -> Introduction:
    return ABOUT
