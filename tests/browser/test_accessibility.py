"""axe-core finds nothing serious on any page, and no page is wider than its window: light, dark, phone to desktop."""

import pytest

from tests.authority import Authority, action, changed, jpeg, signed
from tests.browser.axe import look
from tests.browser.camera_stub import CameraStub
from tests.browser.review_site import analysed, go

HASHES = ("#/", "#/checks", "#/models")
WATCHING = {
    "the wall": "#/cameras",
    "a live camera": "#/cameras/camera-01",
    "a camera that is away": "#/cameras/camera-13",
    "no such camera": "#/cameras/nowhere",
    "the events": "#/events",
    "no event": "#/events?camera=nowhere",
    "a fake face": f"#/events/{1:032}",
    "an outage": f"#/events/{2:032}",
}

NODE = {
    "id": "node-a",
    "address": "10.0.0.1",
    "state": "ready",
    "problem": "",
    "workers": 2,
    "load": 0.51,
    "cores": 1.2,
    "memory_bytes": 400_000_000,
    "cameras": [f"camera-{n:02}" for n in range(12)],
    "analyses": 1,
    "live_checks": 2,
}
CLUSTER = {
    "nodes": [
        NODE,
        NODE | {"id": "a-node-with-a-rather-long-name.of.some.network.example", "state": "drained", "cameras": []},
        NODE | {"id": "node-c", "state": "refused", "problem": "its clock is 12 s off", "cameras": []},
    ],
    "moves": [
        {"at": 1795300000.0, "camera": "camera-03", "from": "node-c", "to": "node-a", "why": "it does not answer"}
    ],
}


@pytest.fixture(scope="module")
def cameras():
    """Cameras and events of every kind."""
    with CameraStub(25, events=30) as stub:
        yield stub


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_at_rest(axe, scheme):
    opened = axe(color_scheme=scheme, reduced_motion="reduce")
    for address in HASHES:
        opened.page.evaluate("address => { window.location.hash = address }", address)
        opened.settle()
        look(opened)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_running_check_with_everything_open(axe, webcam, scheme):
    opened = axe(webcam("fake"), color_scheme=scheme, reduced_motion="reduce")
    opened.start()
    opened.wait_for_state("real", "uncertain", "fake")
    for summary in opened.page.locator("summary").all():
        summary.click()
    look(opened)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_cameras_and_events(axe, cameras, scheme):
    opened = axe(at=cameras, expected="422", color_scheme=scheme, reduced_motion="reduce")
    for address in WATCHING.values():
        opened.page.evaluate("address => { window.location.hash = address }", address)
        opened.settle()
        for summary in opened.page.locator("summary").all():
            summary.click()
        look(opened)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_cluster(axe, scheme):
    """The responses of a server with several nodes are scripted here; tests/cluster has real ones."""
    opened = axe(color_scheme=scheme, reduced_motion="reduce")
    go(opened, "#/cluster")
    opened.until(lambda: "One process watches" in opened.page.locator("main").inner_text())
    look(opened)
    opened.page.route("**/api/cluster", lambda route: route.fulfill(json=CLUSTER))
    opened.until(opened.page.get_by_test_id("node").first.is_visible)
    look(opened)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_content_credentials_of_an_analysis(axe, site, tmp_path, scheme):
    holder = Authority().holder("Camera 7")
    whole = signed(jpeg(), holder, [action()])
    for name, content, state in (("whole", whole, "untrusted"), ("changed", changed(whole), "broken")):
        file = tmp_path / f"{name}.jpg"
        file.write_bytes(content)
        opened = axe(at=site, color_scheme=scheme, reduced_motion="reduce")
        go(opened, f"#/analyses/{analysed(site, file)}")
        shown = opened.page.get_by_test_id("credentials")
        opened.until(shown.is_visible)
        assert shown.get_attribute("data-state") == state
        assert "Camera 7" in shown.inner_text()
        look(opened)
        opened.close()


@pytest.mark.parametrize(("address", "button"), [("#/cameras", "add-camera"), ("#/cameras/camera-01", "edit-camera")])
def test_the_dialogs_of_cameras(axe, cameras, address, button):
    opened = axe(at=cameras, expected="422")
    opened.page.evaluate("address => { window.location.hash = address }", address)
    opened.until(opened.page.get_by_test_id(button).count)
    opened.page.get_by_test_id(button).click()
    look(opened)
    opened.page.keyboard.press("Escape")
    opened.until(lambda: not opened.page.get_by_test_id("camera-dialog").count())


def test_a_message(axe):
    opened = axe(camera=False)
    opened.page.get_by_test_id("start").click()
    opened.until(lambda: opened.page.get_by_test_id("message").count())
    look(opened)


def test_the_token_dialog(axe, start_server):
    server = start_server(TOKEN="correct-horse-battery")
    opened = axe(at=server, expected="401")
    opened.until(opened.page.get_by_test_id("token-dialog").is_visible)
    look(opened)


def test_the_check_can_be_started_by_keyboard(visit, webcam):
    opened = visit(webcam("no_face"))
    opened.until(opened.page.get_by_test_id("start").is_enabled)
    focus = "document.activeElement.dataset.testid"
    for _ in range(12):
        opened.page.keyboard.press("Tab")
        if opened.page.evaluate(focus) == "start":
            break
    opened.page.keyboard.press("Enter")
    opened.until(lambda: opened.results)
