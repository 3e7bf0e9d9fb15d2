"""MQTT with a real mosquitto, observed by a second client."""

import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from stream_detect.alerts.mqtt import MqttPublisher
from stream_detect.alerts.mqtt_topics import CameraPicture, Topics
from stream_detect.alerts.notifiers import Alerts
from stream_detect.api.schemas.events import EventBody
from stream_detect.errors import SettingsError
from stream_detect.settings import AlertSettings, MqttSettings
from stream_detect.settings.file import load_settings
from stream_detect.types import CameraState, VerdictState
from tests.alerts.conftest import PASSWORD, USER, Watcher, change, result
from tests.patience import PATIENCE_S, in_time, until
from tests.ports import free_port

STATE, EVENT, STATUS = "house/sd/cameras/door/state", "house/sd/cameras/door/event", "house/sd/status"
ROOT = Path(__file__).parents[3]
NOTICED_S = 40.0
"""Time within which the broker notices the end of a process; it drops a silent client after 45 s."""


def settings(broker, **given) -> MqttSettings:
    values = {"url": f"mqtt://127.0.0.1:{broker.port}", "username": USER, "password": SecretStr(PASSWORD)}
    return MqttSettings(**(values | {"prefix": "house/sd"} | given))


@pytest.fixture
def publish(broker):
    """Starts a publisher; it is closed with the test."""
    made = []

    def start(**given) -> MqttPublisher:
        made.append(MqttPublisher(settings(broker, **given), lambda name: f"The {name}"))
        made[-1].start()
        return made[-1]

    yield start
    for publisher in made:
        publisher.close()


def connected(publisher: MqttPublisher) -> MqttPublisher:
    until(lambda: publisher.status().state == "ok")
    return publisher


def later(watch, *topics: str) -> Watcher:
    """A client that connects once the broker has messages on these topics: it sees only retained ones."""
    with watch() as first:
        for topic in topics:
            first.last(topic)
    return watch()


def test_a_late_client_receives_the_current_state(publish, watch):
    publisher = publish()
    publisher.state(change())
    publisher.result("door", result(), 1_795_300_001.0)
    connected(publisher)
    with later(watch, STATE) as watcher:
        assert watcher.last(STATUS).payload == "online"
        state = watcher.last(STATE)
        assert state.retained
        assert state.json == {
            "camera": "door", "title": "The door", "state": "live", "reason": "it is live", "since_s": 1_795_300_000.0,
            "verdict": "real", "verdict_reason": "it is real", "fake_probability": 0.08, "feed": "live", "faces": 0,
            "at_s": 1_795_300_001.0,
        }  # fmt: skip


def test_home_assistant_finds_each_camera_as_a_device(publish, watch):
    connected(publish()).state(change())
    parts = {"fake": "binary_sensor", "live": "binary_sensor", "fake_probability": "sensor"}
    topics = {part: f"homeassistant/{kind}/house_sd/door_{part}/config" for part, kind in parts.items()}
    with later(watch, *topics.values()) as watcher:
        found = {part: watcher.last(topic) for part, topic in topics.items()}
    assert all(message.retained for message in found.values())
    assert {message.json["unique_id"] for message in found.values()} == {f"house_sd_door_{part}" for part in found}
    for message in found.values():
        assert message.json["device"]["identifiers"] == ["house_sd_door"]
        assert message.json["device"]["name"] == "The door"
        assert message.json["state_topic"] == STATE
        assert message.json["availability_topic"] == STATUS
    assert found["live"].json["device_class"] == "connectivity"
    assert found["fake"].json["device_class"] == "problem"


def test_discovery_can_be_off(publish, watch):
    connected(publish(discovery_prefix=None)).state(change())
    with watch() as watcher:
        watcher.last(STATE)
        assert not [message for message in watcher.messages if message.topic.startswith("homeassistant")]


def as_python(template: str) -> str:
    """Jinja's expressions are Python's, except for `none`."""
    return template.removeprefix("{{ ").removesuffix(" }}").replace("is none", "is None")


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ((VerdictState.FAKE, 0.93), ("ON", "ON", "93.0")),
        ((VerdictState.REAL, 0.08), ("OFF", "ON", "8.0")),
        ((VerdictState.GATHERING, None), ("OFF", "ON", "None")),
        (None, ("None", "OFF", "None")),
    ],
)
def test_what_home_assistant_reads_from_a_state(verdict, expected):
    state = CameraState.LIVE if verdict else CameraState.STALLED
    payload = CameraPicture(change(state=state), result(*verdict) if verdict else None, 1.0).payload("door", "Door")
    configurations = [json.loads(text) for text in Topics("sd", "homeassistant").discovery("door", "Door").values()]
    value = SimpleNamespace(**json.loads(payload))
    read = [str(eval(as_python(one["value_template"]), {"value_json": value})) for one in configurations]  # noqa: S307
    assert tuple(read) == expected


def test_a_change_is_reported_at_once_and_the_rest_once_a_second(publish, watch, monkeypatch):
    publisher = connected(publish())
    with watch() as watcher:
        with monkeypatch.context() as patched:
            patched.setattr("stream_detect.alerts.mqtt._EVERY_S", 1000.0)  # one second, enough even on a slow machine
            publisher.state(change())
            publisher.result("door", result(), 1.0)
            for number in range(50):
                publisher.result("door", result(fake_probability=0.01 * number), 2.0)
            publisher.result("door", result(VerdictState.FAKE, 0.95), 3.0)
        watcher.last(STATE, lambda message: message.json["verdict"] == "fake")
        assert [message.json["verdict"] for message in watcher.of(STATE)] == [None, "real", "fake"]
        until(
            lambda: (
                publisher.result("door", result(VerdictState.FAKE, 0.96), 4.0)
                or watcher.of(STATE)[-1].json["at_s"] == 4.0
            )
        )
        publisher.state(change(state=CameraState.STALLED))
        stalled = watcher.last(STATE, lambda message: message.json["state"] == "stalled").json
    assert (stalled["verdict"], stalled["fake_probability"], stalled["at_s"]) == (None, None, None)


def test_a_late_result_does_not_restore_a_verdict(publish, watch):
    publisher = connected(publish())
    with watch() as watcher:
        publisher.state(change(state=CameraState.BACKING_OFF))
        publisher.result("door", result(VerdictState.FAKE, 0.95), 3.0)
        publisher.result("nobody", result(), 3.0)
        publisher.state(change())
        assert watcher.last(STATE, lambda message: message.json["state"] == "live").json["verdict"] is None
        assert not watcher.of("house/sd/cameras/nobody/state")


def test_events_are_reported_once_as_the_api_has_them(publish, watch, make_event):
    publisher, event = connected(publish()), make_event()
    with watch() as watcher:
        publisher.announce(event, "began")
        message = watcher.last(EVENT)
    assert (message.qos, message.retained) == (1, False)
    assert message.json["type"] == "event.began"
    assert message.json["event"] == json.loads(EventBody.of(event).model_dump_json())
    status = until(lambda: publisher.status() if publisher.status().delivered else None)
    assert (status.delivered, status.waiting, status.failed) == (1, 0, 0)


def test_a_removed_camera_leaves_nothing_behind(publish, watch):
    publisher = connected(publish())
    publisher.state(change())
    publisher.state(change("yard"))
    topics = Topics("house/sd", "homeassistant").retained("door")
    assert STATE in topics
    with watch() as watcher:
        for topic in topics:
            watcher.last(topic)
        publisher.removed("door")
        for topic in topics:
            watcher.last(topic, lambda message: message.payload == "")
    with watch() as other:
        other.last("house/sd/cameras/yard/state")
        assert not [message for message in other.messages if "door" in message.topic]


def test_a_camera_that_was_removed_while_no_server_ran_leaves_nothing_behind(publish, watch):
    before = connected(publish())
    for camera in ("door", "yard", "gate"):
        before.state(change(camera))
    topics = Topics("house/sd", "homeassistant")
    gone = [topic for camera in ("door", "gate") for topic in topics.retained(camera)]
    with watch() as watcher:
        for topic in [*gone, *topics.retained("yard")]:
            watcher.last(topic)
        before.close()
        after = publish()
        after.state(change("yard", CameraState.STOPPED))
        after.clear_others()
        for topic in gone:
            watcher.last(topic, lambda message: message.payload == "")
        connected(after).state(change("yard"))
        assert watcher.last(topics.state("yard"), lambda message: message.json["state"] == "live")
        assert all(message.payload for topic in topics.retained("yard") for message in watcher.of(topic))


def test_a_camera_has_its_new_title_at_once(broker, watch):
    titles = {"door": "Door"}
    publisher = MqttPublisher(settings(broker), lambda name: titles[name])
    publisher.start()
    try:
        connected(publisher).state(change())
        (topic, *_) = Topics("house/sd", "homeassistant").discovery("door", "")
        with watch() as watcher:
            watcher.last(topic, lambda message: message.json["device"]["name"] == "Door")
            titles["door"] = "Back door"
            publisher.state(change(state=CameraState.CONNECTING))
            watcher.last(topic, lambda message: message.json["device"]["name"] == "Back door")
            publisher.state(change())
            watcher.last(STATE, lambda message: message.json["state"] == "live")
            assert len(watcher.of(topic)) == 2
    finally:
        publisher.close()


def test_the_last_will_of_a_killed_process(broker, watch):
    program = (
        "import sys, time\n"
        "from stream_detect.alerts.mqtt import MqttPublisher\n"
        "from stream_detect.settings import MqttSettings\n"
        "MqttPublisher(MqttSettings.model_validate_json(sys.argv[1])).start()\n"
        "time.sleep(600)\n"
    )
    settings_json = json.dumps(
        {"url": f"mqtt://127.0.0.1:{broker.port}", "prefix": "house/sd", "username": USER, "password": PASSWORD}
    )
    with watch() as watcher, subprocess.Popen([sys.executable, "-c", program, settings_json], cwd=ROOT) as process:
        try:
            watcher.last(STATUS, lambda message: message.payload == "online")
        finally:
            process.kill()
        watcher.last(STATUS, lambda message: message.payload == "offline", NOTICED_S)
    with watch() as other:
        assert other.last(STATUS).retained


def test_a_stop_says_so(publish, watch):
    publisher = connected(publish())
    with watch() as watcher:
        with in_time():
            publisher.close()
        watcher.last(STATUS, lambda message: message.payload == "offline")


def test_missed_messages_are_delivered_when_the_broker_returns(publish, watch, broker, make_event):
    publisher = connected(publish())
    publisher.state(change())
    publisher.state(change("yard"))
    with watch() as watcher:
        watcher.last("house/sd/cameras/yard/state")
    broker.stop()
    until(lambda: publisher.status().state == "failing")
    assert publisher.status().detail in {
        "the connection to the broker was lost",
        "no connection: the broker does not answer, or TLS failed",
    }
    publisher.state(change(state=CameraState.STALLED))
    publisher.announce(make_event(), "began")
    publisher.removed("yard")
    assert publisher.status().waiting == 1
    broker.start()
    with watch() as watcher:
        watcher.last(STATE, lambda message: message.json["state"] == "stalled")
        watcher.last(STATUS, lambda message: message.payload == "online")
    until(lambda: publisher.status().delivered == 1)
    assert publisher.status().state == "ok"
    with watch() as other:
        other.last(STATE)
        assert not [message for message in other.messages if "yard" in message.topic]


def test_a_killed_broker_receives_the_events_it_missed(publish, watch, broker, make_event):
    publisher = connected(publish())
    with watch() as watcher:
        broker.stop(signal.SIGKILL)
        until(lambda: publisher.status().state == "failing")
        publisher.announce(make_event(), "began")
        watcher.subscribed.clear()
        broker.start()
        assert watcher.subscribed.wait(PATIENCE_S)
        until(lambda: publisher.status().delivered == 1)
        publisher.announce(make_event(), "ended")
        watcher.last(EVENT, lambda message: message.json["type"] == "event.ended")
        until(lambda: publisher.status().delivered == 2)


def test_a_wrong_password_is_reported_and_never_shown(publish, caplog):
    caplog.set_level(logging.DEBUG)
    publisher = publish(password=SecretStr("wrong-horse-battery"))
    status = until(lambda: publisher.status() if publisher.status().state == "failing" else None)
    assert status.detail.startswith("the broker refused us: ")
    assert status.attempts_failed >= 1
    assert not publisher.test().ok
    assert "the broker refused us" in caplog.text
    assert "wrong-horse-battery" not in caplog.text + str(status) + str(publisher.test())


def test_only_so_many_events_wait_for_a_broker(publish, broker, make_event, monkeypatch):
    monkeypatch.setattr("stream_detect.alerts.mqtt._MAX_WAITING", 3)
    broker.stop()
    publisher = publish()
    for _ in range(5):
        publisher.announce(make_event(), "began")
    assert (publisher.status().waiting, publisher.status().failed) == (3, 2)
    broker.start()
    until(lambda: publisher.status().delivered == 3)


def test_many_states_between_do_not_hide_that_an_event_arrived(publish, make_event, monkeypatch):
    monkeypatch.setattr("stream_detect.alerts.mqtt._EVERY_S", 0.0)
    publisher = connected(publish())
    publisher.state(change())
    for _ in range(3):
        publisher.announce(make_event(), "began")
        for _ in range(3000):
            publisher.result("door", result(), 1.0)
    until(lambda: publisher.status().delivered == 3)


@pytest.mark.filterwarnings(
    "ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning"
)  # paho leaves closing it to the garbage collector
def test_by_tls_a_certificate_of_a_trusted_authority_is_needed(publish, broker, monkeypatch):
    stranger = publish(url=f"mqtts://localhost:{broker.tls_port}")
    until(lambda: stranger.status().state == "failing")
    monkeypatch.setenv("SSL_CERT_FILE", str(broker.authority))
    assert connected(publish(url=f"mqtts://localhost:{broker.tls_port}")).test().ok


def test_the_button_says_whether_the_broker_took_it(publish, watch, broker):
    publisher = publish()
    connected(publisher)
    with watch() as watcher:
        assert publisher.test().ok
        assert watcher.last("house/sd/test").json["type"] == "test"
    broker.stop()
    until(lambda: publisher.status().state == "failing")
    assert not publisher.test().ok


def test_a_stop_waits_for_no_broker(broker, publish):
    publisher = connected(publish())
    broker.freeze(frozen=True)
    with in_time():
        publisher.close()
    broker.freeze(frozen=False)


def test_a_stop_while_connecting_is_quick(monkeypatch):
    monkeypatch.setattr("stream_detect.alerts.mqtt._CONNECT_S", 5 * PATIENCE_S)
    monkeypatch.setattr("stream_detect.alerts.mqtt._RECONNECT_S", (5 * PATIENCE_S, 10 * PATIENCE_S))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, sends nothing
        silent.settimeout(PATIENCE_S)
        situations = {silent.getsockname()[1]: lambda _: silent.accept()[0], free_port(): fails}
        for port, come_about in situations.items():
            publisher = MqttPublisher(MqttSettings(url=f"mqtt://127.0.0.1:{port}"))
            publisher.start()
            with come_about(publisher), in_time():
                publisher.close()


def fails(publisher: MqttPublisher) -> contextlib.AbstractContextManager[None]:
    """Waits until the sender is pausing before its next attempt."""
    until(lambda: publisher.status().state == "failing")
    return contextlib.nullcontext()


def test_all_notifiers_keep_to_one_limit(broker, watch, outbox, make_event):
    alerts = Alerts(AlertSettings(min_interval_s=60), (), settings(broker), outbox)
    alerts.start()
    try:
        until(lambda: alerts.statuses()[0].state == "ok")
        first, second = make_event(), make_event()
        with watch() as watcher:
            for event in (first, second):
                assert alerts.deliveries_for(event, "began") == []
                alerts.announce(event, "began")
            alerts.announce(first, "ended")
            until(lambda: len(watcher.of(EVENT)) == 2)
            assert {message.json["event"]["id"] for message in watcher.of(EVENT)} == {first.id}
        assert alerts.suppressed["fake"] == 1
        assert alerts.test("mqtt").ok
    finally:
        alerts.close()


@pytest.mark.parametrize(
    "url", ["http://house:1883", "mqtt://", "mqtt://user:hunter2@house", "mqtt://house/topic", "mqtt://house:99999"]
)
def test_unusable_addresses_are_refused(url):
    with pytest.raises(ValueError, match="expected mqtt://host:port"):
        MqttSettings(url=url)


def test_a_password_in_the_address_is_not_repeated():
    with pytest.raises(SettingsError) as raised:
        load_settings(None, {"STREAM_DETECT_MQTT__URL": "mqtt://me:hunter2@house"})
    assert "mqtt.url" in str(raised.value)
    assert "hunter2" not in str(raised.value)
