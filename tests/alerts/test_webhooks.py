"""Webhooks with a real receiver that fails, hangs and recovers; the outbox is a real database."""

import hashlib
import hmac
import json
import logging
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from pydantic import SecretStr

from stream_detect.alerts.notifiers import Alerts
from stream_detect.alerts.webhook import pause_s
from stream_detect.alerts.webhook_sender import WebhookSender
from stream_detect.api.schemas.events import EventBody
from stream_detect.errors import NotFoundError, StorageError
from stream_detect.settings import AlertSettings, MqttSettings, WebhookSettings
from stream_detect.storage.records import Delivery
from tests.alerts.conftest import Receiver
from tests.patience import PATIENCE_S, in_time, until
from tests.ports import free_port

KEY = "correct-horse-battery"


def hook(receiver_or_url, name="house", **given) -> WebhookSettings:
    url = receiver_or_url if isinstance(receiver_or_url, str) else receiver_or_url.url
    return WebhookSettings(name=name, url=SecretStr(url), **given)


def message(webhook="house", at_s=None, identity="d" * 32, due_s=0.0) -> Delivery:
    body = json.dumps({"id": identity, "type": "event.began", "at_s": time.time() if at_s is None else at_s})
    return Delivery(identity, webhook, "e" * 32, body, 0, due_s)


class Running:
    """A sender with short pauses."""

    def __init__(self, outbox, *webhooks, pause=lambda _: 0.05, **given):
        self.sender = WebhookSender(webhooks, outbox, pause=pause, **given)

    def __enter__(self):
        self.sender.start()
        return self.sender

    def __exit__(self, *_):
        self.sender.close()


@pytest.fixture
def make_alerts(outbox):
    made = []

    def make(*webhooks, **given):
        made.append(Alerts(AlertSettings(**given), webhooks, MqttSettings(), outbox))
        made[-1].start()
        return made[-1]

    yield make
    for alerts in made:
        alerts.close()


def test_an_event_arrives_signed_and_as_the_api_has_it(make_alerts, receiver, outbox, make_event):
    alerts, event = make_alerts(hook(receiver, secret=SecretStr(KEY))), make_event()
    deliveries = alerts.deliveries_for(event, "began")
    for delivery in deliveries:
        outbox.put(delivery)
    alerts.announce(event, "began")
    request = until(lambda: receiver.requests)[0]
    body = request.json
    assert body["event"] == json.loads(EventBody.of(event).model_dump_json())
    assert (body["type"], body["id"]) == ("event.began", deliveries[0].id)
    assert body["at_s"] == pytest.approx(time.time(), abs=PATIENCE_S)
    assert set(body) == {"id", "type", "at_s", "event"}
    assert request.headers["X-StreamDetect-Delivery"] == body["id"]
    timestamp = request.headers["X-StreamDetect-Timestamp"]
    assert int(timestamp) == pytest.approx(time.time(), abs=PATIENCE_S)
    signed = hmac.digest(KEY.encode(), timestamp.encode() + b"." + request.body, hashlib.sha256).hex()
    assert request.headers["X-StreamDetect-Signature"] == f"sha256={signed}"
    assert request.headers["Content-Type"] == "application/json"
    until(lambda: outbox.waiting("house") == 0)
    status = until(lambda: next((one for one in alerts.statuses() if one.delivered), None))
    assert (status.name, status.kind, status.state, status.failed, status.waiting) == ("house", "webhook", "ok", 0, 0)


def test_without_a_key_nothing_is_signed(receiver, outbox):
    outbox.put(message())
    with Running(outbox, hook(receiver)):
        request = until(lambda: receiver.requests)[0]
    assert "X-StreamDetect-Signature" not in request.headers


def test_a_failing_webhook_is_retried_until_it_accepts_the_message(receiver, outbox):
    receiver.behaviours.extend([500, 503, 200])
    outbox.put(message())
    with Running(outbox, hook(receiver)) as sender:
        until(lambda: outbox.waiting("house") == 0)
        status = sender.statuses()[0]
    assert len(receiver.requests) == 3
    assert len({request.headers["X-StreamDetect-Delivery"] for request in receiver.requests}) == 1
    assert (status.state, status.delivered, status.failed, status.attempts_failed) == ("ok", 1, 0, 2)


def test_waiting_messages_survive_a_restart(open_outbox):
    port = free_port()
    with open_outbox() as outbox:
        outbox.put(message())
        with Running(outbox, hook(f"http://127.0.0.1:{port}/")) as sender:
            until(lambda: outbox.due(math.inf)[0].attempts >= 2)  # recorded, and not only counted
            assert sender.statuses()[0].state == "failing"
            assert sender.statuses()[0].detail == "no connection: the host does not respond, or TLS failed"
    with Receiver(port=port) as receiver, open_outbox() as outbox:
        (kept,) = outbox.due(time.time() + 60)
        assert kept.attempts >= 2
        assert kept.problem.startswith("no connection")
        with Running(outbox, hook(receiver)):
            until(lambda: outbox.waiting("house") == 0)
        assert [request.headers["X-StreamDetect-Delivery"] for request in receiver.requests] == [kept.id]


def test_a_stop_does_not_wait_for_a_receiver_that_hangs_and_loses_nothing(receiver, outbox, monkeypatch):
    monkeypatch.setattr("stream_detect.alerts.webhook.TIMEOUT_S", 5 * PATIENCE_S)
    receiver.behaviours.append("hang")
    outbox.put(message())
    with Running(outbox, hook(receiver)) as sender:
        until(lambda: receiver.requests)
        with in_time():
            sender.close()
            until(lambda: not sender._thread.is_alive())
    assert outbox.waiting("house") == 1
    with Running(outbox, hook(receiver)):
        until(lambda: outbox.waiting("house") == 0)
    assert len(receiver.requests) == 2


def test_a_stop_just_after_a_message_arrived_still_records_that(receiver, outbox, monkeypatch):
    due, may_record, threads = outbox.due, threading.Event(), ThreadPoolExecutor(1)

    def due_and_busy(*arguments):
        threads.submit(may_record.wait, PATIENCE_S)  # the only thread: the next write has to wait
        return due(*arguments)

    monkeypatch.setattr(outbox, "due", due_and_busy)
    outbox.put(message())
    running = Running(outbox, hook(receiver))
    running.sender._loop.set_default_executor(threads)
    with running as sender:
        until(lambda: sender.statuses()[0].delivered)
        threading.Timer(0.2, may_record.set).start()
    until(lambda: outbox.waiting("house") == 0)


def test_a_hanging_webhook_does_not_delay_others(receiver, other_receiver, outbox, monkeypatch):
    monkeypatch.setattr("stream_detect.alerts.webhook.TIMEOUT_S", 5 * PATIENCE_S)
    receiver.behaviours.extend(["hang"] * 100)
    for number in range(80):
        outbox.put(message("slow", identity=f"{number:032x}"))
    outbox.put(message("quick", due_s=1.0))
    with Running(outbox, hook(receiver, "slow"), hook(other_receiver, "quick")) as sender:
        until(lambda: other_receiver.requests)
        until(lambda: outbox.waiting("quick") == 0)
        assert {status.name: status.waiting for status in sender.statuses()} == {"slow": 80, "quick": 0}


def test_a_failing_webhook_is_probed_with_one_message_only(receiver, outbox):
    receiver.behaviours.extend([500] * 100)
    for number in range(50):
        outbox.put(message(identity=f"{number:032x}"))
    pauses = []  # drawn twice per failure: when the message is due again, and how long the webhook is left alone

    def pause(failures):
        pauses.append(failures)
        return 30.0

    with Running(outbox, hook(receiver), pause=pause):
        until(lambda: len(pauses) == 2)
        assert len(receiver.requests) == 1


def test_redirects_are_not_followed(receiver, other_receiver, outbox):
    receiver.behaviours.append(f"redirect:{other_receiver.url}")
    outbox.put(message())
    with Running(outbox, hook(receiver), pause=lambda _: 30.0) as sender:
        until(lambda: sender.statuses()[0].attempts_failed)
        assert sender.statuses()[0].detail == "expected a status 2xx, received 307"
    assert other_receiver.requests == []


def test_an_answer_without_an_end_is_not_read(receiver, outbox):
    receiver.behaviours.append("flood")
    outbox.put(message())
    with Running(outbox, hook(receiver)) as sender:
        until(lambda: sender.statuses()[0].delivered)
        until(lambda: "flood was cut off" in receiver.behaviours)


def test_after_a_day_a_message_is_given_up_counted_and_reported_without_the_address(receiver, outbox, caplog):
    caplog.set_level(logging.INFO)
    receiver.behaviours.extend([500] * 10)
    outbox.put(message(at_s=time.time() - 24 * 3600 - 1))
    with Running(outbox, hook(receiver)) as sender:
        until(lambda: outbox.waiting("house") == 0)
        until(lambda: "given up after a day" in caplog.text)
        assert sender.statuses()[0].failed == 1
        assert sender.statuses()[0].delivered == 0
    assert "127.0.0.1" not in caplog.text
    assert "hunter2" not in caplog.text


def test_after_a_jump_of_the_clock_no_message_is_given_up(receiver, outbox, monkeypatch):
    monkeypatch.setattr(outbox, "may_expire", lambda: False)
    receiver.behaviours.extend([500] * 3)
    outbox.put(message(at_s=time.time() - 24 * 3600 - 1))
    with Running(outbox, hook(receiver)) as sender:
        until(lambda: sender.statuses()[0].delivered)
        assert sender.statuses()[0].failed == 0


def test_a_clock_that_is_set_back_makes_no_message_wait(receiver, outbox):
    outbox.put(message(identity="a" * 32, due_s=time.time() + 3000))  # which is pausing before its next attempt
    outbox.put(message(identity="b" * 32, due_s=time.time() + 3600 + 1000))  # so was this, before the clock change
    with Running(outbox, hook(receiver)) as sender:
        until(lambda: [one.id for one in outbox.due(math.inf)] == ["a" * 32])
        assert sender.statuses()[0].delivered == 1


def test_messages_of_webhooks_that_are_no_more_are_dropped(receiver, outbox):
    outbox.put(message("gone", identity="a" * 32, due_s=time.time() + 3600))
    outbox.put(message(identity="b" * 32, due_s=time.time() + 3600))
    with Running(outbox, hook(receiver)):
        until(lambda: outbox.waiting("gone") == 0)
    assert outbox.waiting("house") == 1


def test_what_arrived_is_not_sent_again_when_the_database_could_not_be_updated(receiver, outbox, monkeypatch):
    done, calls = outbox.done, []

    def full(delivery_id):
        calls.append(delivery_id)
        if len(calls) == 1:
            raise StorageError("disk full")
        done(delivery_id)

    monkeypatch.setattr(outbox, "done", full)
    outbox.put(message())
    with Running(outbox, hook(receiver)):
        until(lambda: outbox.waiting("house") == 0)
    assert len(calls) == 2
    assert len(receiver.requests) == 1


def test_while_the_outbox_cannot_be_read_statuses_are_given_all_the_same(receiver, outbox, monkeypatch):
    outbox.put(message(due_s=time.time() + 3600))

    def away(_):
        raise StorageError("the database is away")

    with Running(outbox, hook(receiver)) as sender:
        assert sender.statuses()[0].waiting == 1
        with monkeypatch.context() as patched:
            patched.setattr(outbox, "waiting", away)
            assert sender.statuses()[0].waiting == 1


def test_a_defect_does_not_silence_a_webhook(receiver, outbox, monkeypatch, caplog):
    due, calls = outbox.due, []

    def broken(*arguments):
        calls.append(arguments)
        if len(calls) < 3:
            raise RuntimeError("hunter2")
        return due(*arguments)

    outbox.put(message())
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "due", broken)
        patched.setattr("stream_detect.alerts.webhook_sender._POLL_S", 0.05)
        with Running(outbox, hook(receiver)):
            until(lambda: receiver.requests)
    assert "RuntimeError" in caplog.text
    assert "hunter2" not in caplog.text


def test_an_outage_of_the_outbox_and_of_the_receiver_is_two_lines_each(receiver, outbox, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    due, calls = outbox.due, []

    def away(*arguments):
        calls.append(arguments)
        if len(calls) < 8:
            raise StorageError("the database is away")
        return due(*arguments)

    receiver.behaviours.extend([500] * 4)
    outbox.put(message())
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "due", away)
        patched.setattr("stream_detect.alerts.webhook_sender._POLL_S", 0.02)
        with Running(outbox, hook(receiver)):
            until(lambda: outbox.waiting("house") == 0)
    lines = [record.getMessage() for record in caplog.records if "webhook house" in record.getMessage()]
    outages = {"webhook house: the outbox": 0, "webhook house": 0}
    for line in lines:
        outages[line.rpartition(": works again")[0] or line.partition(": cannot")[0].partition(": expected")[0]] += 1
    assert outages == {"webhook house: the outbox": 2, "webhook house": 2}, lines


def test_pauses_double_up_to_an_hour_and_spread():
    assert [pause_s(attempts, lambda: 0.5) for attempts in (0, 1, 2, 30)] == [7.5, 15.0, 30.0, 2700.0]
    assert {pause_s(0, lambda: 0.0), pause_s(0, lambda: 1.0)} == {5.0, 10.0}


def test_the_button_sends_at_once_and_says_what_came_of_it(make_alerts, receiver, other_receiver, outbox):
    other_receiver.behaviours.append(403)
    alerts = make_alerts(hook(receiver, secret=SecretStr(KEY)), hook(other_receiver, "office"))
    assert alerts.test("house").ok
    request = receiver.requests[0]
    assert (request.json["type"], request.json["event"]) == ("test", None)
    assert "X-StreamDetect-Signature" in request.headers
    refused = alerts.test("office")
    assert (refused.ok, refused.detail) == (False, "expected a status 2xx, received 403")
    with pytest.raises(NotFoundError, match=r"expected one of the notifiers \(house, office\), received 'mqtt'"):
        alerts.test("mqtt")
    assert outbox.due(time.time() + 1e6) == []


def test_a_test_alert_has_a_time_limit(make_alerts, receiver, monkeypatch):
    monkeypatch.setattr("stream_detect.alerts.webhook.TIMEOUT_S", 0.5)
    receiver.behaviours.append("hang")
    tested = make_alerts(hook(receiver)).test("house")
    assert not tested.ok
    assert tested.detail.startswith("no answer within")


def test_each_webhook_receives_only_its_kinds(make_alerts, receiver, make_event):
    alerts = make_alerts(hook(receiver, "all"), hook(receiver, "dark", kinds=("offline",)))
    assert [delivery.webhook for delivery in alerts.deliveries_for(make_event(), "began")] == ["all"]
    dark = replace(make_event(kind="offline"), peak=None, mean=None, track=None, judge=None, evidence=None)
    deliveries = alerts.deliveries_for(dark, "began")
    assert [delivery.webhook for delivery in deliveries] == ["all", "dark"]
    assert json.loads(deliveries[0].body)["event"] == json.loads(EventBody.of(dark).model_dump_json())


def test_beyond_the_limit_neither_beginning_nor_end_is_reported(make_alerts, receiver, make_event):
    alerts, second = make_alerts(hook(receiver), min_interval_s=60), make_event()
    assert alerts.deliveries_for(make_event(), "began")
    assert alerts.deliveries_for(second, "began") == []
    assert alerts.deliveries_for(replace(second, ended_s=1010.0), "ended") == []
    assert alerts.suppressed == {"fake": 1, "offline": 0, "frozen": 0, "looped": 0}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"url": "ftp://house/"}, "expected an address http"),
        ({"url": "https:///path"}, "expected an address http"),
        ({"url": "https://house/", "name": "mqtt"}, "this one is used for the MQTT broker"),
    ],
)
def test_unusable_settings_are_refused(given, expected):
    with pytest.raises(ValueError, match=expected):
        WebhookSettings(**{"name": "house", **given})
