"""A real receiver of webhooks, a real MQTT broker, and events to send."""

import json
import os
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from stream_detect.settings import StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.deliveries import Deliveries
from stream_detect.storage.records import Event, Evidence, Judge
from stream_detect.types import CameraState, Result, StateChange, Verdict, VerdictState
from tests.patience import PATIENCE_S, until
from tests.ports import free_port

JUDGE = Judge("meso4", "ab" * 32, 0.9, 0.7, 0.1, 0.3)
USER, PASSWORD = "detector", "hunter2-of-the-broker"


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """An HTTP server that follows `behaviours`, one per request; 200 when there are none left.

    A behaviour is a status, "hang" (no response), "flood" (an endless response) or "redirect:URL". A request whose
    sender was killed before its body had come is none.
    """

    behaviours: deque[int | str] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        receiver, self._stopping = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    return
                receiver.requests.append(Request(self.path, dict(self.headers), body))
                receiver._behave(self, receiver.behaviours.popleft() if receiver.behaviours else 200)

            def log_message(self, *_: object) -> None:
                """Does not log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=hunter2-in-the-url"

    def _behave(self, handler: BaseHTTPRequestHandler, behaviour: int | str) -> None:
        if behaviour == "hang":
            self._stopping.wait(10 * PATIENCE_S)
            return
        if isinstance(behaviour, str) and behaviour.startswith("redirect:"):
            handler.send_response(307)
            handler.send_header("Location", behaviour.removeprefix("redirect:"))
        else:
            handler.send_response(behaviour if isinstance(behaviour, int) else 200)
        handler.end_headers()
        try:
            while behaviour == "flood" and not self._stopping.is_set():
                handler.wfile.write(b"x" * 65536)
        except OSError:
            self.behaviours.append("flood was cut off")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def other_receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def open_outbox(tmp_path: Path) -> Callable[[], Any]:
    """A context manager that opens the outbox of the test's database; repeated calls act as restarts."""

    class Open:
        def __enter__(self) -> Deliveries:
            self._database = Database.open(StorageSettings(folder=tmp_path / "data"))
            return Deliveries(self._database.__enter__())

        def __exit__(self, *raised: object) -> None:
            self._database.__exit__(*raised)

    return Open


@pytest.fixture
def outbox(open_outbox: Callable[[], Any]) -> Iterator[Deliveries]:
    with open_outbox() as outbox:
        yield outbox


@pytest.fixture(scope="session")
def make_event() -> Callable[..., Event]:
    """Makes events with distinct ids; by default, ongoing fake events."""
    count = 0

    def make(**given: Any) -> Event:
        nonlocal count
        count += 1
        values: dict[str, Any]
        values = {"id": f"{count:032x}", "camera": "door", "kind": "fake", "began_s": 1000.5, "ended_s": None,
                  "reason": "a face looks fake", "peak": 0.97003, "mean": 0.9, "track": 3, "judge": JUDGE,
                  "gaps_s": (1001.0,), "evidence": Evidence("e/picture.jpg", "e/face.jpg", None, 120_000)}  # fmt: skip
        return Event(**(values | given))

    return make


def result(state: VerdictState = VerdictState.REAL, fake_probability: float | None = 0.08) -> Result:
    verdict = Verdict(state, f"it is {state}", fake_probability, 41, 12)
    return Result(1, 0.2, 0.0, None, (640, 480), verdict, (), 0.01, 0)


def change(camera: str = "door", state: CameraState = CameraState.LIVE) -> StateChange:
    return StateChange(camera, state, f"it is {state}", 1_795_300_000.0)


class Broker:
    """A mosquitto that requires a password and keeps retained messages across restarts."""

    def __init__(self, folder: Path) -> None:
        self.port, self.tls_port, self.folder = free_port(), free_port(), folder
        self.authority = folder / "ca.pem"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "store").mkdir()
        self._run("mosquitto_passwd", "-b", "-c", str(folder / "passwords"), USER, PASSWORD)
        self._run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key.pem"),
            "-out", str(self.authority),
        )  # fmt: skip
        (folder / "mosquitto.conf").write_text(
            f"user root\npersistence true\npersistence_location {folder}/store/\nallow_anonymous false\n"
            f"password_file {folder}/passwords\nlistener {self.port} 127.0.0.1\n"
            f"listener {self.tls_port} 127.0.0.1\ncertfile {self.authority}\nkeyfile {folder}/key.pem\n"
        )

    @staticmethod
    def _run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/usr/sbin/mosquitto", "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        until(self._answers)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the broker was not started"
        return self._process

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._running.send_signal(how)
        self._running.wait(PATIENCE_S)

    def freeze(self, *, frozen: bool) -> None:
        os.kill(self._running.pid, signal.SIGSTOP if frozen else signal.SIGCONT)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if not Path("/usr/sbin/mosquitto").exists():
        pytest.skip("mosquitto is absent: apt-get install mosquitto")
    (tmp_path / "broker").mkdir()
    broker = Broker(tmp_path / "broker")
    broker.start()
    yield broker
    broker._running.kill()
    broker._running.wait()


@dataclass(frozen=True)
class Message:
    topic: str
    payload: str
    retained: bool
    qos: int

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Watcher:
    """Another client, which subscribes to everything."""

    def __init__(self, broker: Broker) -> None:
        self.messages: list[Message] = []
        self.subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(USER, PASSWORD)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self.subscribed.set()
        self._client.on_message = lambda _, __, message: self.messages.append(
            Message(message.topic, message.payload.decode(), message.retain, message.qos)
        )
        self._client.connect("127.0.0.1", broker.port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self.subscribed.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, topic: str) -> list[Message]:
        return [message for message in list(self.messages) if message.topic == topic]

    def last(
        self, topic: str, where: Callable[[Message], Any] = lambda _: True, within_s: float = PATIENCE_S
    ) -> Message:
        """Waits until the newest message of a topic is the expected one, and returns it."""
        return until(lambda: next((m for m in self.of(topic)[-1:] if where(m)), None), within_s)


@pytest.fixture
def watch(broker: Broker) -> Callable[[], Watcher]:
    return lambda: Watcher(broker)
