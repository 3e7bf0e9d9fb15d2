"""Publishes cameras' states, verdicts and events to an MQTT broker (topics: `mqtt_topics`).

The thread of the library connects to the broker, and reconnects by itself. States are retained and published again
after each reconnection. Up to `_MAX_WAITING` events wait while the broker is away; newer ones are dropped and counted.
"""

import logging
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from stream_detect.alerts.messages import AlertTest, NotifierStatus, What, event_message, trial_message
from stream_detect.alerts.mqtt_topics import CameraPicture, Topics
from stream_detect.backoff import Outage
from stream_detect.settings import MqttSettings
from stream_detect.storage.records import Event
from stream_detect.types import CameraState, Result, StateChange

_log = logging.getLogger(__name__)

_ONLINE, _OFFLINE = "online", "offline"
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEPALIVE_S = 30
_CONNECT_S = 4.0
_RECONNECT_S = (1, 60)
_MAX_WAITING = 1000
_EVERY_S = 1.0
_ACKNOWLEDGED_S = 5.0
_FAREWELL_S = 0.8
_CLOSE_S = 1.1


class MqttPublisher:
    """Publishes to one broker. An `Observer` and an `Announcer`; thread-safe.

    Args:
        settings: the broker and the topics; its `url` is set.
        title_of: returns a camera's title for people, by its name; must not block.
        clock: returns unix seconds.
    """

    def __init__(
        self, settings: MqttSettings, title_of: Callable[[str], str] = str, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._title_of = title_of
        self._clock = clock
        self._topics = Topics(settings.prefix, settings.discovery_prefix)
        self._lock = threading.Lock()  # never taken in `_acknowledge`, which the library calls under a lock of its own
        self._cameras: dict[str, CameraPicture] = {}
        self._titles: dict[str, str] = {}  # as in Home Assistant's discovery
        self._complete = False  # whether `_cameras` has all cameras
        self._said_s: dict[str, float] = {}
        self._gone: set[str] = set()
        self._waiting: set[int] = set()
        self._acknowledged: deque[int] = deque(maxlen=4 * _MAX_WAITING)
        self._delivered = self._dropped = self._connects_failed = 0
        self._connected = False
        self._problem: str | None = None
        self._outage = Outage(_log, "mqtt")
        self._address = urlsplit(settings.url.get_secret_value() if settings.url else "")
        self._client = self._made()

    def start(self) -> None:
        """Starts to connect, and reconnects whenever the connection is lost. Does not block."""
        host, port = self._address.hostname or "", self._address.port or _PORTS[self._address.scheme]
        self._client.connect_async(host, port, keepalive=_KEEPALIVE_S)
        self._client.loop_start()

    def close(self) -> None:
        """Publishes that this process is offline and disconnects, within three seconds even if the broker hangs."""
        if self._connected:
            farewell = self._client.publish(self._topics.status, _OFFLINE, qos=1, retain=True)
            _arrives(farewell, _FAREWELL_S)
        self._client.disconnect()
        # It joins its thread, which may be waiting for a broker: a daemon, abandoned if necessary.
        stopping = threading.Thread(target=self._client.loop_stop, name="mqtt-stop", daemon=True)
        stopping.start()
        stopping.join(_CLOSE_S)

    def state(self, change: StateChange) -> None:
        """Publishes at once that a camera entered a state."""
        with self._lock:
            before = self._cameras.get(change.camera)
            live = change.state is CameraState.LIVE
            picture = replace(
                before or CameraPicture(), change=change, result=before.result if before and live else None
            )
            self._cameras[change.camera] = picture
            if before is None or self._titles.get(change.camera) != self._title_of(change.camera):
                self._introduce(change.camera)
            self._say(change.camera)

    def result(self, camera: str, result: Result, at_s: float) -> None:
        """Publishes a result: at once when the verdict changed, otherwise once a second."""
        with self._lock:
            before = self._cameras.get(camera)
            if before is None or before.change is None or before.change.state is not CameraState.LIVE:
                return
            picture = self._cameras[camera] = replace(before, result=result, at_s=at_s)
            if picture.word != before.word or time.monotonic() - self._said_s[camera] >= _EVERY_S:
                self._say(camera)

    def clear_others(self) -> None:
        """Clears the retained messages of cameras that were removed while no server ran.

        Call it once the state of every camera has been published.
        """
        with self._lock:
            self._complete = True
            if self._connected:
                self._client.subscribe(self._topics.states)

    def removed(self, camera: str) -> None:
        """Clears all retained messages of the camera."""
        with self._lock:
            self._cameras.pop(camera, None)
            self._titles.pop(camera, None)
            self._said_s.pop(camera, None)
            self._gone.add(camera)
            if self._connected:
                self._forget_gone()

    def announce(self, event: Event, what: What) -> None:
        """Publishes that an event began or ended; the message waits while the broker is unreachable."""
        message = event_message(uuid.uuid4().hex, event, what, self._clock())
        with self._lock:
            self._settle()
            if len(self._waiting) >= _MAX_WAITING:
                self._dropped += 1
            else:
                self._waiting.add(self._client.publish(self._topics.event(event.camera), message, qos=1).mid)

    def status(self) -> NotifierStatus:
        """Status of the broker."""
        with self._lock:
            self._settle()
            problem = self._problem
            return NotifierStatus(
                name="mqtt",
                kind="mqtt",
                state="ok" if self._connected else "failing" if problem else "connecting",
                detail="connected" if self._connected else problem or "connecting",
                delivered=self._delivered,
                failed=self._dropped,
                attempts_failed=self._connects_failed,
                waiting=len(self._waiting),
            )

    def test(self) -> AlertTest:
        """Publishes a test alert and waits until the broker has received it."""
        if not self._connected:
            return AlertTest(ok=False, detail=self._problem or "the broker has not answered yet")
        message = trial_message(uuid.uuid4().hex, self._clock())
        if _arrives(self._client.publish(self._topics.trial, message, qos=1), _ACKNOWLEDGED_S):
            return AlertTest(ok=True, detail="the broker took it")
        return AlertTest(ok=False, detail=f"the broker did not acknowledge it within {_ACKNOWLEDGED_S:.0f} s")

    def _made(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id=f"stream-detect-{uuid.uuid4().hex[:12]}")
        if self._settings.username is not None:
            password = self._settings.password
            client.username_pw_set(self._settings.username, password.get_secret_value() if password else None)
        if self._address.scheme == "mqtts":
            client.tls_set_context(ssl.create_default_context())
        client.will_set(self._topics.status, _OFFLINE, qos=1, retain=True)
        client.max_queued_messages_set(4 * _MAX_WAITING)  # events, and space for the messages after connecting
        client.reconnect_delay_set(*_RECONNECT_S)
        client.connect_timeout = _CONNECT_S
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._acknowledge
        client.on_message = self._found
        return client

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._fails(f"the broker refused us: {reason}")
            return
        self._outage.ended()
        with self._lock:
            self._connected, self._problem = True, None
            self._client.publish(self._topics.status, _ONLINE, qos=1, retain=True)
            self._forget_gone()
            if self._complete:
                self._client.subscribe(self._topics.states)
            for camera in self._cameras:
                self._introduce(camera)
                self._say(camera)

    def _on_connect_fail(self, _client: Client, _data: Any) -> None:
        self._fails("no connection: the broker does not answer, or TLS failed")

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if self._connected and reason.is_failure:
            self._fails("the connection to the broker was lost")
        self._connected = False

    def _fails(self, problem: str) -> None:
        self._connects_failed += 1
        self._outage.failed(problem)
        self._problem = problem

    def _found(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        """A retained state. The first other one shows that there are no more: the broker sends those first."""
        if not message.retain:
            self._client.unsubscribe(self._topics.states)
            return
        camera = self._topics.camera_of(message.topic)
        with self._lock:
            if camera not in self._cameras:
                self._gone.add(camera)
                self._forget_gone()

    def _acknowledge(self, _client: Client, _data: Any, mid: int, _reason: ReasonCode, _properties: Any) -> None:
        self._acknowledged.append(mid)

    def _settle(self) -> None:
        """Counts the events that the broker acknowledged. Call with the lock held."""
        while self._acknowledged:
            mid = self._acknowledged.popleft()
            if mid in self._waiting:
                self._waiting.remove(mid)
                self._delivered += 1

    def _say(self, camera: str) -> None:
        self._said_s[camera] = time.monotonic()
        self._settle()
        if self._connected:
            payload = self._cameras[camera].payload(camera, self._title_of(camera))
            self._client.publish(self._topics.state(camera), payload, retain=True)

    def _introduce(self, camera: str) -> None:
        self._gone.discard(camera)
        title = self._titles[camera] = self._title_of(camera)
        if self._connected:
            for topic, payload in self._topics.discovery(camera, title).items():
                self._client.publish(topic, payload, qos=1, retain=True)

    def _forget_gone(self) -> None:
        for camera in self._gone:
            for topic in self._topics.retained(camera):
                self._client.publish(topic, None, qos=1, retain=True)
        self._gone.clear()


def _arrives(message: MQTTMessageInfo, within_s: float) -> bool:
    try:
        message.wait_for_publish(within_s)
        return message.is_published()
    except (RuntimeError, ValueError):  # it was not sent: the connection was just lost, or too many messages wait
        return False
