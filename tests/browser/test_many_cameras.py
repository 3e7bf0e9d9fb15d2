"""Fifty cameras on one wall, with a counting stub: the browser requests only visible pictures, a few at a time."""

import pytest

from tests.browser.camera_stub import CameraStub

COUNT = 50
AT_ONCE = 3
ROUND_WORK_S = 0.5
"""Processor time of the page for one message of each camera, a second's worth; other work on the machine changes it
little. A page that draws all tiles with every message takes several seconds."""


@pytest.fixture
def wall(visit):
    """The wall of fifty cameras, and its server."""
    with CameraStub(COUNT, events=120) as stub:
        opened = visit(at=stub, expected="422", viewport={"width": 1440, "height": 900})
        opened.page.evaluate("window.location.hash = '#/cameras'")
        opened.until(lambda: opened.page.get_by_test_id("tile").count() == COUNT)
        yield opened, stub
        opened.page.context.browser.close()


def loaded(opened) -> int:
    return opened.page.locator("[data-testid=tile][data-snapshot=true]").count()


def test_pictures_are_asked_for_where_they_are_seen_few_at_a_time(wall):
    opened, stub = wall
    opened.until(lambda: loaded(opened) >= 12)
    opened.settle()
    seen = loaded(opened)
    assert seen < COUNT / 2, "only what is in the window"
    opened.page.get_by_test_id("tile").last.scroll_into_view_if_needed()
    opened.until(lambda: loaded(opened) > seen)
    assert stub.most_snapshots_at_once <= AT_ONCE
    assert stub.asked["feed"] == 1
    assert stub.asked["list"] == 1


def test_the_browser_stays_responsive(wall):
    opened, stub = wall
    metrics = opened.page.context.new_cdp_session(opened.page)
    metrics.send("Performance.enable", {"timeDomain": "threadTicks"})

    def work_s():
        found = {metric["name"]: metric["value"] for metric in metrics.send("Performance.getMetrics")["metrics"]}
        return found["TaskDuration"]

    before_s, first, asked = work_s(), stub.rounds, stub.asked["snapshot"]
    for seen in (2, 4, 6):
        opened.until(lambda seen=seen: stub.rounds >= first + seen)
        opened.page.mouse.wheel(0, 700)
    assert (work_s() - before_s) / (stub.rounds - first) < ROUND_WORK_S
    assert stub.asked["snapshot"] - asked < 2 * COUNT
    assert stub.asked["feed"] == 1


def test_what_wants_attention_is_found_at_once(wall):
    opened, stub = wall
    fakes = [name for name, (state, verdict, _) in stub.states.items() if (state, verdict) == ("live", "fake")]
    opened.page.get_by_role("button", name=f"Fake {len(fakes)}").click()
    tiles = opened.page.get_by_test_id("tile")
    opened.until(lambda: tiles.count() == len(fakes))
    assert sorted(tile.get_attribute("data-camera") for tile in tiles.all()) == fakes


def test_every_tile_is_reached_by_keyboard(wall):
    opened, _ = wall
    opened.page.get_by_test_id("add-camera").focus()
    reached = []
    for _ in range(COUNT):
        opened.page.keyboard.press("Tab")
        reached.append(opened.page.evaluate("document.activeElement.closest('[data-camera]')?.dataset.camera"))
    assert len(set(reached)) == COUNT
    opened.page.keyboard.press("Enter")
    opened.until(lambda: opened.page.get_by_test_id("verdict").count())


def test_a_camera_without_video_turns_grey_and_so_does_one_removed_on_the_server(wall):
    opened, stub = wall
    tile = opened.page.locator("[data-camera=camera-00]")
    opened.until(lambda: tile.get_attribute("data-state") == "real")
    stub.states["camera-00"] = ("stalled", "real", None)
    opened.until(lambda: tile.get_attribute("data-state") == "offline")
    assert "no picture for 5 s" in tile.inner_text()
    opened.expected = "ERR_"
    stub.__exit__()
    opened.until(lambda: opened.page.locator("[data-camera=camera-01]").get_attribute("data-state") == "stale")


def test_events_are_read_page_by_page_and_by_filter(wall):
    opened, stub = wall
    opened.page.evaluate("window.location.hash = '#/events'")
    events = opened.page.get_by_test_id("event")
    opened.until(lambda: events.count() == 50)
    opened.page.get_by_test_id("older").click()
    opened.until(lambda: events.count() == 100)
    opened.page.get_by_test_id("older").click()
    opened.until(lambda: events.count() == 120)
    assert opened.page.get_by_test_id("older").count() == 0
    opened.page.get_by_test_id("filter-kind").select_option("offline")
    opened.until(lambda: events.count() == sum(event["kind"] == "offline" for event in stub.events))
    opened.page.get_by_test_id("alerts").locator("summary").click()
    opened.page.get_by_test_id("test-alert").first.click()
    opened.until(lambda: stub.asked["alert mqtt"] == 1)
    opened.until(lambda: "It arrived." in opened.page.get_by_test_id("alerts").inner_text())
