"""A server process with its peers: a webhook receiver, an MQTT broker, PostgreSQL, a publisher and a viewer."""

import asyncio
import hashlib
import hmac
import signal
import tempfile
from pathlib import Path

import httpx
import pytest

from tests.alerts.conftest import PASSWORD, USER, Broker, Receiver, Watcher
from tests.patience import PATIENCE_S, soon
from tests.storage.conftest import Cluster
from tests.webrtc.conftest import Camera
from tests.webrtc.peers import Publisher, Screen

SDP = {"Content-Type": "application/sdp"}
KEY = "a key of this test"


@pytest.fixture
def broker(tmp_path):
    (tmp_path / "broker").mkdir()
    broker = Broker(tmp_path / "broker")
    broker.start()
    yield broker
    broker.stop(signal.SIGKILL)


@pytest.fixture
def postgresql():
    """Address of an empty database."""
    with tempfile.TemporaryDirectory(prefix="sd-pg-") as name:  # accessible to the user postgres
        Path(name).chmod(0o755)
        cluster = Cluster(Path(name))
        cluster.start()
        yield cluster.new()
        cluster.stop()


def test_a_dark_camera_is_kept_in_postgresql_and_reported_by_webhook_and_mqtt(
    site, own_rtsp_server, broker, postgresql
):
    with Receiver() as receiver, Watcher(broker) as watcher:
        site.write(
            {"name": "door", "title": "Front door", "url": own_rtsp_server.url("small")},
            storage={"database_url": postgresql},
            webhooks=[{"name": "ops", "url": receiver.url, "secret": KEY, "kinds": ["offline"]}],
            mqtt={"url": f"mqtt://127.0.0.1:{broker.port}", "username": USER, "password": PASSWORD},
            monitoring={"offline_after_s": 3, "backoff_last_s": 1},
            alerts={"min_interval_s": 0},
        )
        site.serve()
        site.is_live()
        state = watcher.last("stream-detect/cameras/door/state", lambda message: message.json["state"] == "live")
        assert state.json["title"] == "Front door"
        notifiers = site.comes(
            lambda: [way["state"] for way in site.http.get("/api/alerts").json()["items"]] == ["ok", "ok"]
        )
        assert notifiers
        for name in ("ops", "mqtt"):
            assert site.http.post(f"/api/alerts/{name}/test").json()["ok"]

        own_rtsp_server.stop(kill=True)
        request = site.comes(lambda: next((one for one in receiver.requests if one.json["event"]), None))
        assert (request.json["type"], request.json["event"]["camera"]) == ("event.began", "door")
        signed = request.headers["X-StreamDetect-Timestamp"].encode() + b"." + request.body
        expected = "sha256=" + hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
        assert request.headers["X-StreamDetect-Signature"] == expected
        published = watcher.last("stream-detect/cameras/door/event").json["event"]
        assert published["id"] == request.json["event"]["id"]
        (kept,) = site.events(kind="offline", open="true")
        assert kept["id"] == published["id"]

        site.server.stop()
        assert watcher.last("stream-detect/status", lambda message: message.payload == "offline")
        assert "hunter2" not in "".join(site.server.log)


async def post(client: httpx.AsyncClient, path: str, end: Publisher | Screen) -> str:
    """Opens a session over HTTP; returns its location."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await client.post(path, content=await end.offer(), headers=SDP)
            if answer.status_code != 409:
                break
    assert answer.status_code == 201, answer.text
    await end.accept(answer.text)
    return answer.headers["location"]


async def test_who_publishes_by_whip_is_watched_by_whep(site):
    site.write({"name": "street", "url": "whip:"})
    site.serve()
    publisher, screen = Publisher(Camera()), Screen()
    async with httpx.AsyncClient(base_url=site.server.url, timeout=PATIENCE_S) as client:
        try:
            published = await post(client, "/whip/street", publisher)
            await publisher.until(lambda: site.camera("street")["state"] == "live")
            watched = await post(client, "/whep/street", screen)
            await screen.more(5)
            camera = (await client.get("/api/cameras/street")).json()
            assert (camera["viewers"], camera["width"], camera["height"]) == (1, 320, 240)
            assert (await client.delete(watched)).status_code == 200
            assert (await client.delete(published)).status_code == 200
            await soon(lambda: site.camera("street")["state"] != "live")
        finally:
            await publisher.close()
            await screen.close()
