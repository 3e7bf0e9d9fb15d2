"""Events over HTTP: pages, filters, evidence with ranges, deletion, and responses while the database is down."""

import time
from dataclasses import replace

import pytest

from stream_detect.errors import StorageError
from stream_detect.storage.records import Event, Evidence, Judge
from tests.patience import until

NOW = float(int(time.time()) - 1000)
JUDGED = Judge("scripted", "0" * 64, 0.8, 0.6, 0.2, 0.4)


def event(number: int, **different) -> Event:
    made = Event(f"{number:032x}", "door", "fake", NOW + number, NOW + number + 1, "a face looks fake", peak=0.98764)
    return replace(made, **different)


@pytest.fixture
def inside(make):
    made = make()
    until(lambda: made.monitoring.recorder._journal._recovered)  # starting the server ends events that are still open
    return made


def ids(client, **wanted) -> list[int]:
    answer = client.get("/api/events", params=wanted)
    assert answer.status_code == 200, answer.text
    return [int(item["id"], 16) for item in answer.json()["items"]]


def test_an_event_follows_the_protocol(inside):
    inside.monitoring.events.begin(
        event(1, ended_s=None, mean=0.9, track=3, judge=JUDGED, evidence=Evidence("a.jpg", None, "b.mkv", 7, "full"))
    )
    assert inside.client.get(f"/api/events/{1:032x}").json() == {
        "id": f"{1:032x}", "camera": "door", "kind": "fake", "began_s": NOW + 1, "ended_s": None, "interrupted": False,
        "reason": "a face looks fake", "peak": 0.9876, "mean": 0.9, "track": 3, "gaps_s": [],
        "model": {"name": "scripted", "sha256": "0" * 64, "thresholds": {
            "fake_enter": 0.8, "fake_leave": 0.6, "real_enter": 0.2, "real_leave": 0.4}},
        "evidence": {"picture": f"/api/events/{1:032x}/picture.jpg", "face": None,
                     "clip": f"/api/events/{1:032x}/clip.mp4", "bytes": 7, "problem": "full"},
    }  # fmt: skip


def test_events_come_in_pages_the_newest_first(inside):
    for number in range(7):
        inside.monitoring.events.begin(event(number))
    first = inside.client.get("/api/events", params={"limit": 4}).json()
    assert [int(item["id"], 16) for item in first["items"]] == [6, 5, 4, 3]
    rest = inside.client.get("/api/events", params={"limit": 4, "cursor": first["next"]}).json()
    assert ([int(item["id"], 16) for item in rest["items"]], rest["next"]) == ([2, 1, 0], None)


def test_events_are_filtered(inside):
    for made in (event(1), event(2, camera="yard"), event(3, kind="offline", peak=None), event(4, ended_s=None)):
        inside.monitoring.events.begin(made)
    client = inside.client
    assert ids(client, camera="yard") == [2]
    assert ids(client, kind="offline") == [3]
    assert ids(client, open="true") == [4]
    assert ids(client, open="false", kind="fake", camera="door") == [1]
    assert ids(client, **{"from": NOW + 2, "to": NOW + 4}) == [3, 2]


@pytest.mark.parametrize(
    "wanted", [{"kind": "odd"}, {"camera": "../x"}, {"limit": 0}, {"limit": 501}, {"cursor": "x"}, {"colour": "red"}]
)
def test_a_question_that_cannot_be_answered_is_a_problem(inside, wanted):
    answer = inside.client.get("/api/events", params=wanted)
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_evidence_is_read_completely_or_in_part_and_deleted_with_its_event(inside, tmp_path):
    evidence = Evidence(f"{1:032x}-picture.jpg", None, f"{1:032x}-clip.mkv", 30)
    inside.monitoring.events.begin(event(1, evidence=evidence))
    folder = tmp_path / "data" / "evidence"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((evidence.picture, b"jpeg"), (evidence.clip, bytes(range(26)))):
        (folder / name).write_bytes(content)
    client, path = inside.client, f"/api/events/{1:032x}"
    picture = client.get(f"{path}/picture.jpg")
    assert (picture.content, picture.headers["content-type"]) == (b"jpeg", "image/jpeg")
    assert picture.headers["cache-control"] == "no-store"
    clip = client.get(f"{path}/clip.mp4", headers={"Range": "bytes=10-12"})
    assert (clip.status_code, clip.content, clip.headers["content-type"]) == (206, b"\x0a\x0b\x0c", "video/x-matroska")
    assert clip.headers["content-range"] == "bytes 10-12/26"
    assert client.get(f"{path}/clip.mp4", headers={"Range": "bytes=26-"}).status_code == 416
    assert client.get(f"{path}/face.jpg").status_code == 404
    assert client.delete(path).status_code == 204
    assert list(folder.iterdir()) == []
    for gone in (path, f"{path}/picture.jpg"):
        assert client.get(gone).status_code == 404


def test_the_reason_for_deleted_evidence_is_reported(inside):
    inside.monitoring.events.begin(event(1, evidence=Evidence(problem="evidence was deleted: it was too old")))
    answer = inside.client.get(f"/api/events/{1:032x}/clip.mp4")
    assert answer.status_code == 404
    assert "too old" in answer.json()["detail"]


def test_an_ongoing_event_cannot_be_deleted(inside):
    inside.monitoring.events.begin(event(1, ended_s=None))
    assert inside.client.delete(f"/api/events/{1:032x}").status_code == 409
    assert ids(inside.client) == [1]


@pytest.mark.parametrize("name", ["absent", "0" * 31, "..%2f..%2fetc", f"{2:032x}"])
def test_there_is_nothing_under_other_names(inside, name):
    for path in (f"/api/events/{name}", f"/api/events/{name}/picture.jpg"):
        assert inside.client.get(path).status_code in {404, 422}
    assert inside.client.delete(f"/api/events/{name}").status_code in {404, 422}


def test_an_unavailable_database_is_reported_and_the_rest_works(make, monkeypatch):
    inside = make({"cameras": [{"name": "street", "url": "whip:"}]})
    client = inside.client

    def fail(*_arguments, **_named):
        raise StorageError("the database is away")

    monkeypatch.setattr(inside.monitoring.events, "page", fail)
    answer = client.get("/api/events")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the database is away")
    inside.monitoring.recorder._journal.problem = "the database is away"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"ready": False, "reasons": ["the database is away"]})
    assert client.get("/api/status").json()["problems"] == ["the database is away"]
    assert client.get("/api/cameras/street").json()["state"] == "connecting"
