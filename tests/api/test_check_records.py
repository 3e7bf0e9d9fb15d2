"""Records of checks over HTTP: pages, single records, deletion, and permissions."""

from dataclasses import replace

import pytest

from stream_detect.storage.checks import CheckRecord
from tests.scenes import CHECK


@pytest.fixture
def inside(make):
    return make()


def test_a_check_follows_the_protocol(inside):
    inside.monitoring.checks.add(CHECK)
    body = inside.client.get(f"/api/checks/{CHECK.id}").json()
    (_, second) = body.pop("challenges")
    assert (second["state"], second["done"][0]["followed"], second["done"][1]["seen"]) == ("stopped", True, None)
    assert body == {
        "id": CHECK.id, "camera": None, "who": "anna", "began_s": CHECK.began_s, "ended_s": CHECK.ended_s,
        "source_label": "OBS Virtual Camera", "virtual_camera": "OBS Studio", "state": "uncertain",
        "reason": "scores disagree", "fake_probability": 0.5, "challenges_ended": 40,
        "model": {"name": "meso4", "sha256": "ab" * 32, "thresholds": {
            "fake_enter": 0.9, "fake_leave": 0.7, "real_enter": 0.1, "real_leave": 0.3}},
    }  # fmt: skip


def test_checks_come_in_pages_of_all_or_of_one_camera(inside):
    for number in range(5):
        camera = "door" if number % 2 else None
        inside.monitoring.checks.add(CheckRecord(f"{number:032x}", camera, "", 1000.0 + number, 1001.0 + number))
    first = inside.client.get("/api/checks", params={"limit": 3}).json()
    assert [int(item["id"], 16) for item in first["items"]] == [4, 3, 2]
    rest = inside.client.get("/api/checks", params={"cursor": first["next"]}).json()
    assert ([int(item["id"], 16) for item in rest["items"]], rest["next"]) == ([1, 0], None)
    of_door = inside.client.get("/api/checks", params={"camera": "door"}).json()["items"]
    assert [int(item["id"], 16) for item in of_door] == [3, 1]
    assert inside.client.get("/api/checks", params={"cursor": "x"}).status_code == 400


def test_a_deleted_check_is_gone(inside):
    inside.monitoring.checks.add(replace(CHECK, challenges=()))
    assert inside.client.delete(f"/api/checks/{CHECK.id}").status_code == 204
    assert inside.client.get(f"/api/checks/{CHECK.id}").status_code == 404
    assert inside.client.delete(f"/api/checks/{CHECK.id}").status_code == 404
