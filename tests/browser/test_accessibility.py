"""axe-core finds nothing serious on any page, and no page is wider than its window: light and dark, phone to desk."""

import pytest

from tests.browser.axe import look
from tests.browser.camera_stub import CameraStub

HASHES = ("#/", "#/models")
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
        opened.page.wait_for_timeout(500)
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
        opened.page.wait_for_timeout(1500)
        for summary in opened.page.locator("summary").all():
            summary.click()
        look(opened)


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
    focus = "document.activeElement.dataset.testid"
    for _ in range(12):
        opened.page.keyboard.press("Tab")
        if opened.page.evaluate(focus) == "start":
            break
    opened.page.keyboard.press("Enter")
    opened.until(lambda: opened.results)
