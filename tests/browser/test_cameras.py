"""Cameras, from the wall to the evidence, with a real browser, a server that requires a token, and an RTSP camera."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from stream_detect.settings import ModelSettings

SHIPPED = Path(__file__).parents[2] / "stream_detect" / "models" / "shipped" / ModelSettings().name
TOKEN = "correct-horse-battery"
SUSPICIOUS = {"fake_enter": 0.002, "fake_leave": 0.0015, "real_enter": 0.0005, "real_leave": 0.001}
"""Thresholds that nearly every face exceeds: these tests are about the page."""
QUICK = {
    "window": {"min_scores": 3, "min_dwell_s": 0.2},
    "monitoring": {"offline_after_s": 1, "fake_rest_s": 1, "backoff_last_s": 2},
    "evidence": {"clip_before_s": 2, "clip_after_s": 1, "min_free_bytes": 0},
}
PLAYS = "video => video.currentTime > 0.5 && video.videoWidth > 0"
SHOWN = "image => image.complete && image.naturalWidth > 0"


@pytest.fixture(scope="module")
def watching(run_server, rtsp_server, tmp_path_factory):
    """A server with the camera of a door, which shows a face, and an unreachable camera."""
    folder = tmp_path_factory.mktemp("watching")
    shutil.copytree(SHIPPED, folder / "models" / SHIPPED.name)
    card = folder / "models" / SHIPPED.name / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text(encoding="utf-8")), "thresholds": SUSPICIOUS}))
    door = {"name": "door", "title": "Front door", "url": rtsp_server.url("face"), "evidence": True}
    away = {"name": "away", "url": "rtsp://viewer:hush@127.0.0.1:9/stream"}
    settings = folder / "settings.yaml"
    content = {**QUICK, "model": {"folder": str(folder / "models")}, "cameras": [door, away]}
    settings.write_text(yaml.safe_dump(content), encoding="utf-8")
    with run_server(SETTINGS=str(settings), STORAGE__FOLDER=str(folder / "data"), TOKEN=TOKEN) as server:
        yield server


@pytest.fixture
def at(visit, watching):
    """Opens a page of that server, with the token entered."""

    def open_page(address: str):
        opened = visit(at=watching, expected="401")
        opened.until(opened.page.get_by_test_id("token-dialog").is_visible)
        opened.page.get_by_test_id("token-dialog").locator("input").fill(TOKEN)
        opened.page.keyboard.press("Enter")
        opened.until(lambda: not opened.page.get_by_test_id("token-dialog").is_visible())
        go(opened, address)
        return opened

    return open_page


def go(opened, address: str) -> None:
    opened.page.evaluate("address => { window.location.hash = address }", address)


def state(locator) -> str | None:
    return locator.get_attribute("data-state") if locator.count() else None


def test_the_wall_shows_a_live_camera_its_verdict_and_its_live_picture(at, watching):
    opened = at("#/cameras")
    door, away = (opened.page.locator(f"[data-camera={name}]") for name in ("door", "away"))
    opened.until(lambda: state(door) == "fake")
    opened.until(lambda: state(away) == "offline")
    assert "hush" not in opened.page.content()
    opened.until(lambda: door.locator("img").count() and door.locator("img").evaluate(SHOWN))

    live = opened.page.get_by_test_id("live-picture")
    door.locator("a").focus()
    opened.until(lambda: live.count() and live.evaluate(PLAYS))
    opened.page.keyboard.press("Escape")
    opened.until(lambda: live.count() == 0)
    opened.until(lambda: watching.get("/api/cameras/door", TOKEN)["viewers"] == 0)

    door.locator("a").evaluate("link => link.blur()")
    door.hover()
    opened.until(lambda: live.count() and live.evaluate(PLAYS))
    away.hover()
    opened.until(lambda: live.count() == 0)


def test_a_cameras_page_plays_it_and_has_its_last_hours(at):
    opened = at("#/cameras/door")
    opened.until(lambda: state(opened.page.get_by_test_id("verdict")) == "fake")
    video = opened.page.get_by_test_id("video")
    opened.until(lambda: video.evaluate(PLAYS))
    before = video.evaluate("video => video.currentTime")
    opened.until(lambda: video.evaluate("video => video.currentTime") > before + 1)
    scores = opened.page.get_by_test_id("scores")
    opened.until(lambda: scores.count() and int(scores.get_attribute("data-points")) > 0)
    assert scores.locator("canvas").is_visible()
    opened.page.get_by_test_id("span").select_option("1")
    opened.until(lambda: scores.count() and int(scores.get_attribute("data-points")) > 3)
    assert opened.page.get_by_test_id("states").locator("[data-state=live]").count() >= 1


def test_a_camera_that_is_away_says_why(at):
    opened = at("#/cameras/away")
    opened.until(lambda: state(opened.page.get_by_test_id("verdict")) == "offline")
    opened.page.get_by_test_id("facts").locator("summary").click()
    assert "viewer:***@127.0.0.1:9" in opened.page.get_by_test_id("facts").inner_text()


def test_a_camera_is_tried_added_stopped_and_removed(at, rtsp_server, watching):
    opened = at("#/cameras")
    opened.until(lambda: opened.page.get_by_test_id("tile").count() == 2)
    opened.page.get_by_test_id("add-camera").click()
    dialog = opened.page.get_by_test_id("camera-dialog")
    dialog.locator("[name=name]").fill("hall")
    dialog.locator("[name=title]").fill("Entrance hall")
    tested = opened.page.get_by_test_id("tested")
    for url, outcome in (("rtsp://127.0.0.1:9/nothing", "false"), (rtsp_server.url("small"), "true")):
        dialog.locator("[name=url]").fill(url)
        opened.page.get_by_test_id("test-connection").click()
        opened.until(lambda outcome=outcome: state(tested) == outcome)
    assert tested.locator("img").evaluate(SHOWN)
    assert "320 \u00d7 240" in tested.inner_text()
    opened.page.get_by_test_id("save-camera").click()

    opened.until(lambda: opened.page.get_by_test_id("video").count())
    assert opened.page.get_by_role("heading", level=1).inner_text() == "Entrance hall"
    opened.until(lambda: opened.page.get_by_test_id("video").evaluate(PLAYS))
    opened.page.get_by_test_id("turn-camera").click()
    opened.until(lambda: state(opened.page.get_by_test_id("verdict")) == "idle")
    assert watching.get("/api/cameras/hall", TOKEN)["state"] == "stopped"
    opened.page.get_by_test_id("turn-camera").click()
    opened.until(lambda: opened.page.get_by_test_id("video").evaluate(PLAYS))
    opened.settle()  # what the page still asks for a removed camera is not found
    opened.page.get_by_test_id("remove-camera").click()
    opened.page.get_by_test_id("confirm").click()
    opened.until(lambda: opened.page.get_by_test_id("tile").count() == 2)
    assert [one["name"] for one in watching.get("/api/cameras", TOKEN)["items"]] == ["away", "door"]


def test_an_event_is_listed_shown_with_its_evidence_and_deleted(at, watching):
    opened = at("#/events?camera=door&kind=fake")

    def whole() -> str | None:
        events = watching.get("/api/events?camera=door&kind=fake", TOKEN)["items"]
        return next((one["id"] for one in events if one["evidence"] and one["evidence"]["clip"]), None)

    row = opened.page.locator(f"[data-testid=event] a[href='#/events/{opened.until(whole)}']")
    opened.until(row.count)
    row.click()
    for name in ("event-picture", "event-face"):
        image = opened.page.get_by_test_id(name)
        opened.until(lambda image=image: image.count() and image.evaluate(SHOWN))
    clip = opened.page.get_by_test_id("clip")
    opened.until(clip.count)
    clip.evaluate("video => video.play()")
    opened.until(lambda: clip.evaluate(PLAYS))
    judgement = opened.page.get_by_test_id("judgement").inner_text()
    assert all(text in judgement for text in (SHIPPED.name, "0.002", "0.0015", "0.0005", "0.001"))
    scores = opened.page.get_by_test_id("scores")
    opened.until(lambda: scores.count() and int(scores.get_attribute("data-points")) > 0)

    go(opened, "#/cameras/door")
    opened.page.get_by_test_id("turn-camera").click()
    opened.until(lambda: watching.get("/api/cameras/door", TOKEN)["state"] == "stopped")
    opened.until(lambda: not watching.get("/api/events?camera=door&kind=fake&open=true", TOKEN)["items"])
    count = len(watching.get("/api/events?camera=door&kind=fake", TOKEN)["items"])
    go(opened, "#/events?camera=door&kind=fake")
    opened.until(lambda: opened.page.get_by_test_id("event").count() == count)
    opened.page.get_by_test_id("event").first.locator("a").click()
    opened.until(opened.page.get_by_test_id("delete-event").count)
    opened.settle()
    opened.page.get_by_test_id("delete-event").click()
    opened.page.get_by_test_id("confirm").click()
    opened.until(lambda: len(watching.get("/api/events?camera=door&kind=fake", TOKEN)["items"]) == count - 1)
    go(opened, "#/cameras/door")
    opened.page.get_by_test_id("turn-camera").click()
    opened.until(lambda: state(opened.page.get_by_test_id("verdict")) == "fake")


def test_a_lost_camera_is_shown_as_lost(visit, start_server, own_rtsp_server, tmp_path):
    settings = tmp_path / "settings.yaml"
    camera = {"name": "door", "url": own_rtsp_server.url("face")}
    settings.write_text(yaml.safe_dump({**QUICK, "cameras": [camera]}), encoding="utf-8")
    server = start_server(SETTINGS=str(settings))
    opened = visit(at=server)
    go(opened, "#/cameras")
    tile = opened.page.get_by_test_id("tile")
    opened.until(lambda: state(tile) not in {None, "offline"})
    own_rtsp_server.stop(kill=True)
    opened.until(lambda: state(tile) == "offline")
    assert tile.locator(".hatched").count() >= 1
    own_rtsp_server.start()
    opened.until(lambda: state(tile) != "offline")
