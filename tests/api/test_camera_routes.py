"""Cameras over HTTP: add, change, stop and remove; they survive restarts. Those of the settings file are read-only."""

import asyncio
import contextlib
import io
import threading
import time

import av
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from stream_detect.api.schemas.cameras import ConnectionBody
from stream_detect.app import camera_trials
from stream_detect.errors import CapacityError, StorageError
from stream_detect.off_loop import off_loop
from stream_detect.settings import CameraSettings, MonitoringSettings
from stream_detect.sources.address import parse_address
from stream_detect.storage.records import Score, StateEntry
from tests.patience import PATIENCE_S, POLL_S

PUSHED = {"name": "street", "url": "whip:"}
OF_FILE = {"cameras": [{"name": "door", "url": "rtsp://viewer:hunter2@127.0.0.1:9/a", "enabled": False}]}
SECRET = "hunter2"


def names(client) -> list[str]:
    return [camera["name"] for camera in client.get("/api/cameras").json()["items"]]


def test_a_camera_is_added_changed_and_removed(make):
    client = make().client
    added = client.post("/api/cameras", json={**PUSHED, "title": "Street", "rate_hz": 4})
    assert (added.status_code, added.headers["location"]) == (201, "/api/cameras/street")
    assert added.json() == client.get("/api/cameras/street").json()
    assert added.json() == {
        "name": "street", "title": "Street", "origin": "api", "enabled": True,
        "settings": {"url": "whip:", "transport": "tcp", "loop": False, "rate_hz": 4.0,
                     "keyframes_only_when_idle": False, "evidence": False, "node": ""},
        "state": "connecting", "reason": "waiting for a publisher", "since_s": added.json()["since_s"],
        "retry_at_s": None, "width": None, "height": None, "codec": "", "fps": 0.0, "viewers": 0,
        "counts": {"pictures": 0, "analysed": 0, "dropped_samples": 0, "decode_errors": 0, "reconnects": 0,
                   "received_bytes": 0},
        "verdict": None, "node": None,
    }  # fmt: skip
    changed = client.put("/api/cameras/street", json={"title": "Stage", "evidence": True}).json()
    assert (changed["title"], changed["settings"]["url"], changed["settings"]["evidence"]) == ("Stage", "whip:", True)
    assert changed["settings"]["rate_hz"] == 5.0
    assert client.delete("/api/cameras/street").status_code == 204
    assert client.get("/api/cameras/street").status_code == 404
    assert names(client) == []


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"name": "a", "url": "file:/etc/passwd"}, 422, "settings file"),
        ({"name": "a", "url": "v4l2:/dev/video0"}, 422, "settings file"),
        ({"name": "a", "url": "ftp://example.org/a"}, 422, "rtsp"),
        ({"name": "Not A Name", "url": "whip:"}, 422, "body.name"),
        ({"name": "a"}, 422, "body.url"),
        ({"name": "a", "url": "rtsp://10.0.0.5/" + "x" * 10_000}, 422, "2000"),
        ({"name": "a", "url": "whip:", "title": "a\0b"}, 422, "body.title"),  # PostgreSQL does not keep the address
        ({"name": "a", "url": "whip:", "colour": "red"}, 422, "body.colour"),
        ({"name": "a", "url": "whip:", "rate_hz": 0.5}, 422, "rate"),
        ({"name": "door", "url": "whip:"}, 409, "door"),
    ],
)
def test_what_cannot_be_added_says_why_and_is_not_kept(make, body, status, words):
    client = make(OF_FILE).client
    answer = client.post("/api/cameras", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]
    assert names(client) == ["door"]


def test_a_body_has_an_end(make):
    assert make().client.post("/api/cameras", json={**PUSHED, "title": "x" * 200_000}).status_code == 413


def test_no_password_is_returned_and_the_shown_address_keeps_the_current_one(make):
    inside = make(OF_FILE)
    client = inside.client
    url = f"rtsp://viewer:{SECRET}@127.0.0.1:9/b?token={SECRET}"
    answers = [
        client.post("/api/cameras", json={"name": "yard", "url": url, "enabled": False}),
        client.get("/api/cameras"),
        client.put("/api/cameras/yard", json={"url": client.get("/api/cameras/yard").json()["settings"]["url"]}),
        client.put("/api/cameras/yard", json={"title": "Yard", "enabled": False}),
        client.put("/api/cameras/yard", json={"url": "rtsp://viewer:***@127.0.0.1:10/b"}),
        client.put("/api/cameras/yard", json={"url": f"rtsp://viewer:{SECRET}@:bad:port/"}),
        client.post("/api/cameras/test-connection", json={"url": f"rtsp://viewer:{SECRET}@127.0.0.1:9/a"}),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 422, 422, 200]
    assert not [answer.text for answer in answers if SECRET in answer.text]
    assert inside.monitoring.fleet.camera("yard").settings.url.get_secret_value() == url


def test_a_camera_of_the_file_is_changed_in_the_file_only(make):
    client = make(OF_FILE).client
    for answer in (client.put("/api/cameras/door", json={"title": "x"}), client.delete("/api/cameras/door")):
        assert answer.status_code == 409
        assert "settings file" in answer.json()["detail"]
    assert client.put("/api/cameras/absent", json={}).status_code == 404
    assert client.delete("/api/cameras/absent").status_code == 404


def test_added_cameras_and_their_rest_are_kept_over_a_restart(make):
    first = make()
    first.client.post("/api/cameras", json=PUSHED)
    first.client.post("/api/cameras", json={"name": "stage", "url": "whip:"})
    stopped = first.client.post("/api/cameras/stage/stop").json()
    assert (stopped["state"], stopped["enabled"]) == ("stopped", False)
    first.client.__exit__(None, None, None)
    again = make().client
    assert [(camera["name"], camera["state"]) for camera in again.get("/api/cameras").json()["items"]] == [
        ("stage", "stopped"), ("street", "connecting"),
    ]  # fmt: skip
    started = again.post("/api/cameras/stage/start").json()
    assert (started["state"], started["enabled"]) == ("connecting", True)


def test_starting_a_started_camera_does_not_interrupt_it(make):
    inside = make()
    inside.client.post("/api/cameras", json=PUSHED)
    watched = inside.monitoring.fleet.camera("street")
    again = inside.client.post("/api/cameras/street/start").json()
    assert (again["state"], again["enabled"]) == ("connecting", True)
    assert inside.monitoring.fleet.camera("street") is watched
    states = inside.client.get("/api/cameras/street/states").json()["items"]
    assert "stopped" not in [entry["state"] for entry in states]


def test_a_camera_that_this_version_does_not_know_is_skipped_until_it_is_removed_or_added_again(make, caplog):
    """As after the return to an earlier version."""
    first = make()
    for name in ("door", "street", "yard"):
        first.client.post("/api/cameras", json={**PUSHED, "name": name})
    with first.monitoring.database.writing() as session:
        session.execute(
            text("UPDATE cameras SET settings = :held WHERE name <> 'street'"), {"held": '{"colour": "red"}'}
        )
    first.client.__exit__(None, None, None)
    client = make().client
    assert names(client) == ["street"]
    assert {name for name in ("door", "yard") if f"settings of camera {name}" in caplog.text} == {"door", "yard"}
    assert client.post("/api/cameras/reload").status_code == 200
    assert client.post("/api/cameras", json={**PUSHED, "name": "door"}).status_code == 201
    assert [client.delete("/api/cameras/yard").status_code for _ in range(2)] == [204, 404]
    client.__exit__(None, None, None)
    assert names(make().client) == ["door", "street"]


def test_a_camera_of_the_file_rests_until_the_restart(make):
    client = make({"cameras": [{"name": "door", "url": "whip:"}]}).client
    assert client.post("/api/cameras/door/stop").json()["state"] == "stopped"
    assert client.post("/api/cameras/door/start").json()["state"] == "connecting"
    assert client.post("/api/cameras/absent/start").status_code == 404


def test_the_file_holds_where_it_names_an_added_camera(make):
    first = make()
    first.client.post("/api/cameras", json={**PUSHED, "title": "Added"})
    first.client.__exit__(None, None, None)
    named = {"cameras": [{**PUSHED, "title": "Of the file"}]}
    now: dict = {}
    inside = make(named, read_again=lambda: now)
    camera = inside.client.get("/api/cameras/street").json()
    assert (camera["title"], camera["origin"]) == ("Of the file", "file")


def test_an_added_camera_returns_when_the_file_no_longer_has_its_name(make):
    now: dict = {}
    client = make(read_again=lambda: now).client
    client.post("/api/cameras", json=PUSHED | {"title": "added"})
    name, titles = PUSHED["name"], []
    for now in ({"cameras": [{"name": name, "url": "whip:", "title": "of the file"}]}, {}):  # noqa: B007 - it is read
        assert client.post("/api/cameras/reload").status_code == 200
        camera = client.get(f"/api/cameras/{name}").json()
        titles.append((camera["title"], camera["origin"]))
    assert titles == [("of the file", "file"), ("added", "api")]


def test_a_reload_leaves_added_cameras_alone(make):
    now: dict = {"cameras": [{"name": "door", "url": "whip:"}]}
    client = make(read_again=lambda: now).client
    client.post("/api/cameras", json=PUSHED)
    assert client.post("/api/cameras/reload").json()["added"] == ["door"]
    assert names(client) == ["door", "street"]
    now = {"cameras": [{"name": "door", "url": "nonsense:"}]}
    refused = client.post("/api/cameras/reload")
    assert refused.status_code == 422
    assert "camera door of the settings file" in refused.json()["detail"]
    now = {}
    assert client.post("/api/cameras/reload").json()["removed"] == ["door"]
    assert names(client) == ["street"]


def test_a_removed_camera_is_left_even_if_the_rest_of_a_reload_fails(make, monkeypatch):
    inside = make({"cameras": [{"name": "door", "url": "whip:"}]}, read_again=lambda: {"cameras": []})
    left = []
    monkeypatch.setattr(inside.monitoring.cameras, "_leave", lambda _changed, removed: left.extend(removed))

    def fail():
        raise StorageError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(inside.access.directory, "refresh", fail)
        assert inside.client.post("/api/cameras/reload").status_code == 503
    assert names(inside.client) == []
    assert left == ["door"]


def test_what_cannot_be_kept_is_not_done(make, monkeypatch):
    inside = make()

    def fail(_settings):
        raise StorageError("the database is away")

    monkeypatch.setattr(inside.monitoring.cameras._stored, "put", fail)
    assert inside.client.post("/api/cameras", json=PUSHED).status_code == 503
    assert names(inside.client) == []


def test_the_snapshot_is_the_newest_picture_as_small_as_asked(make):
    inside = make({"cameras": [PUSHED]})
    client = inside.client
    assert client.get("/api/cameras/street/snapshot.jpg").status_code == 404
    assert client.get("/api/cameras/absent/snapshot.jpg").status_code == 404
    inside.monitoring.fleet.camera("street").push(
        av.VideoFrame.from_ndarray(np.full((96, 128, 3), 90, np.uint8)), "vp8"
    )
    whole = client.get("/api/cameras/street/snapshot.jpg")
    assert (whole.headers["content-type"], whole.headers["cache-control"]) == ("image/jpeg", "no-store")
    assert Image.open(io.BytesIO(whole.content)).size == (128, 96)
    assert Image.open(io.BytesIO(client.get("/api/cameras/street/snapshot.jpg?width=64").content)).size == (64, 48)
    assert client.get("/api/cameras/street/snapshot.jpg?width=4096").content[:2] == b"\xff\xd8"
    assert client.get("/api/cameras/street/snapshot.jpg?width=0").status_code == 422


def test_an_address_is_tried_by_itself_or_by_the_cameras_name(make, rtsp_server):
    url = rtsp_server.url("small")
    client = make({"cameras": [{"name": "door", "url": url, "enabled": False}, PUSHED]}).client
    for body in ({"url": url}, {"name": "door"}, {"name": "door", "url": url, "transport": "udp"}):
        tried = client.post("/api/cameras/test-connection", json=body).json()
        assert (tried["ok"], tried["codec"], tried["width"], tried["height"]) == (True, "h264", 320, 240), tried
        assert tried["picture"].startswith("data:image/jpeg;base64,")
    tried = client.post("/api/cameras/test-connection", json={"url": "rtsp://127.0.0.1:9/a"}).json()
    assert (tried["ok"], tried["picture"]) == (False, None)
    assert "refused" in tried["detail"]
    assert client.post("/api/cameras/test-connection", json={"name": "street"}).json()["ok"]
    assert client.post("/api/cameras/test-connection", json={"url": "file:/etc/passwd"}).status_code == 422
    assert client.post("/api/cameras/test-connection", json={"name": "absent"}).status_code == 404
    assert client.post("/api/cameras/test-connection", json={}).status_code == 404


def test_two_addresses_are_tried_at_once_and_no_more(make, monkeypatch):
    monkeypatch.setattr(camera_trials, "AT_ONCE", 0)
    refused = make().client.post("/api/cameras/test-connection", json={"url": "rtsp://127.0.0.1:9/a"})
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0


async def test_a_connection_test_cancelled_before_its_start_frees_its_place():
    url = "rtsp://127.0.0.1:9/a"
    settings, address = CameraSettings(name="door", url=url), parse_address(url, from_settings_file=False)
    trials = camera_trials.CameraTrials(MonitoringSettings())
    for _ in range(camera_trials.AT_ONCE):
        leaving = asyncio.create_task(trials.run(settings, address))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])

    async def tried() -> ConnectionBody | None:
        with contextlib.suppress(CapacityError):
            return await trials.run(settings, address)
        return None

    async with asyncio.timeout(PATIENCE_S):
        while (found := await tried()) is None:  # noqa: ASYNC110 - a thread gives it back
            await asyncio.sleep(POLL_S)
    assert not found.ok


def test_scores_and_states_are_those_asked_for(make):
    inside = make()
    client, history = inside.client, inside.monitoring.history
    now = int(time.time()) // 60 * 60
    history.add_scores([Score("door", now - 120 + second, 0.1, 0.2, 0.3, "real", 5) for second in range(3)])
    entered = ((now - 5000, "connecting"), (now - 100, "live"))
    history.add_states([StateEntry("door", at_s, state, "why") for at_s, state in entered])
    span = {"from": now - 300, "to": now}
    seconds = client.get("/api/cameras/door/scores", params=span).json()
    assert seconds == {"step_s": 1, "items": [[now - 120 + second, 0.1, 0.2, 0.3, "real"] for second in range(3)]}
    minutes = client.get("/api/cameras/door/scores").json()
    assert (minutes["step_s"], minutes["items"]) == (60, [[now - 120, 0.1, 0.2, 0.3, "real"]])
    assert client.get("/api/cameras/door/scores", params={**span, "step": 60}).json()["step_s"] == 60
    states = client.get("/api/cameras/door/states", params=span).json()["items"]
    assert [(row["state"], row["at_s"]) for row in states] == [("connecting", now - 5000), ("live", now - 100)]
    assert client.get("/api/cameras/door/scores", params={"from": now, "to": now - 1}).status_code == 400
    assert client.get("/api/cameras/door/scores", params={"from": 0, "to": now, "step": 1}).status_code == 400
    assert client.get("/api/cameras/door/scores", params={"step": 7}).status_code == 422


async def test_what_blocks_off_the_loop_gives_back_or_raises():
    assert await off_loop(lambda: 7, "works") == 7
    with pytest.raises(StorageError):
        await off_loop(lambda: (_ for _ in ()).throw(StorageError("away")), "fails")
    may_end = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await off_loop(lambda: may_end.wait(PATIENCE_S), "hangs")
    may_end.set()
