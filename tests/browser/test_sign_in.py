"""A real Chromium signs in, watches a camera, and sees nothing after signing out; a viewer can change nothing."""

import httpx
import pytest
import yaml

from tests.authority import jpeg
from tests.browser.axe import look
from tests.patience import PATIENCE_S, until

PASSWORD = "four random words here"
PLAYS = """() => {
  const video = document.querySelector("[data-testid=video]");
  return video !== null && video.videoWidth > 0 && video.currentTime > 0;
}"""
ANSWERED = "async () => (await fetch('api/status')).status"


@pytest.fixture
def guarded(start_server, clip, tmp_path):
    """A server with a camera, an admin and a viewer."""
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"cameras": [{"name": "door", "url": f"file:{clip}", "loop": True}]}), "utf-8")
    server = start_server(SETTINGS=str(file))
    with httpx.Client(base_url=server.url, headers={"Origin": server.url}, timeout=PATIENCE_S) as client:
        admin = {"name": "anna", "role": "admin", "password": PASSWORD}
        assert client.post("/api/users", json=admin).status_code == 201
        assert client.post("/api/session", json={"name": "anna", "password": PASSWORD}).status_code == 200
        viewer = {"name": "vera", "role": "viewer", "password": PASSWORD}
        assert client.post("/api/users", json=viewer).status_code == 201
        yield server, client


def sign_in(opened, name: str, password: str = PASSWORD) -> None:
    """Fills in the form."""
    opened.until(opened.page.get_by_test_id("sign-in").is_visible)
    opened.page.get_by_label("Name").fill(name)
    opened.page.get_by_label("Password").fill(password)
    opened.page.get_by_test_id("sign-in-submit").click()


def go(opened, address: str) -> None:
    """Follows a link."""
    opened.page.evaluate("address => { window.location.hash = address }", address)


def viewers(client: httpx.Client) -> int:
    """Number of viewers of the camera."""
    return client.get("/api/cameras/door").json()["viewers"]


def test_signing_in_watching_and_signing_out(axe, guarded):
    server, client = guarded
    opened = axe(None, server, expected="401")
    opened.until(opened.page.get_by_test_id("sign-in").is_visible)
    assert opened.errors == []  # the page requested nothing that the server refuses
    look(opened)
    sign_in(opened, "anna", "four wrong words here")
    opened.until(lambda: "is wrong" in opened.page.get_by_test_id("sign-in").inner_text())
    sign_in(opened, "anna")
    opened.until(lambda: opened.page.get_by_test_id("account").inner_text() == "anna · Admin")
    go(opened, "#/cameras/door")
    opened.until(lambda: opened.page.evaluate(PLAYS))
    assert viewers(client) == 1
    for address, shown in (("#/users", "user"), ("#/account", "tokens")):
        go(opened, address)
        opened.until(opened.page.get_by_test_id(shown).first.is_visible)
        look(opened)
    go(opened, "#/cameras/door")
    opened.until(lambda: opened.page.evaluate(PLAYS))
    client.delete("/api/sessions")  # in another browser: signs out everywhere
    opened.until(opened.page.get_by_test_id("sign-in").is_visible)
    assert opened.page.get_by_test_id("video").count() == 0
    assert "door" not in opened.page.locator("body").inner_text()
    assert opened.page.evaluate(ANSWERED) == 401
    client.post("/api/session", json={"name": "anna", "password": PASSWORD})
    until(lambda: viewers(client) == 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_access_are_accessible_at_every_width(axe, guarded, scheme):
    server, client = guarded
    client.post("/api/tokens", json={"name": "a recorder with a rather long name", "role": "viewer", "camera": None})
    client.post("/api/session", json={"name": "vera", "password": "wrong words here"})
    client.delete("/api/cameras/door", headers={"Origin": "https://evil.example"})
    opened = axe(None, server, expected="401", color_scheme=scheme, reduced_motion="reduce")
    opened.until(opened.page.get_by_test_id("sign-in").is_visible)
    look(opened)
    sign_in(opened, "anna")
    opened.until(opened.page.get_by_test_id("account").is_visible)
    for address, shown in (
        ("#/account", "token"),
        ("#/users", "user"),
        ("#/audit", "audit-entry"),
        ("#/audit?result=refused&action=request.", "audit-entry"),
        ("#/audit?who=nobody", "filter-audit"),
    ):
        go(opened, address)
        opened.until(opened.page.get_by_test_id(shown).first.is_visible)
        look(opened)
    opened.until(opened.page.get_by_text("No entry matches.").count)
    go(opened, "#/users")
    for button, dialog in (("user-sessions", "sessions-dialog"), ("reset-password", "password-dialog")):
        opened.page.get_by_test_id(button).first.click()
        opened.until(opened.page.get_by_test_id(dialog).is_visible)
        look(opened)
        opened.page.keyboard.press("Escape")


def test_sign_ins_are_seen_and_ended_one_by_one(visit, guarded):
    server, client = guarded
    opened = visit(None, server, expected="401")
    sign_in(opened, "vera")
    opened.until(opened.page.get_by_test_id("account").is_visible)
    other = {"Origin": server.url, "User-Agent": "curl/8.5.0"}
    with httpx.Client(base_url=server.url, headers=other, timeout=PATIENCE_S) as elsewhere:
        assert elsewhere.post("/api/session", json={"name": "vera", "password": PASSWORD}).status_code == 200
        go(opened, "#/account")
        rows = opened.page.get_by_test_id("session")
        opened.until(lambda: rows.count() == 2)
        assert "Chrome on Linux (this browser)" in rows.filter(has_text="this browser").inner_text()
        assert "127.0.0.1" in rows.filter(has_text="curl/8.5.0").inner_text()
        opened.page.get_by_test_id("end-session").click()
        opened.until(lambda: rows.count() == 1)
        assert elsewhere.get("/api/status").status_code == 401
    assert client.delete("/api/users/vera/sessions").status_code == 204
    go(opened, "#/events")  # by its next request: an idle page sends one per minute
    opened.until(opened.page.get_by_test_id("sign-in").is_visible)


def test_the_way_back_shows_no_picture_once_one_is_signed_out(visit, guarded):
    """Going back shows what a browser has kept, even with `no-cache`."""
    server, client = guarded
    opened = visit(None, server, expected="401")
    sign_in(opened, "vera")
    opened.until(opened.page.get_by_test_id("account").is_visible)
    (analysis,) = client.post("/api/analyses", files={"file": ("face.jpg", jpeg())}).json()["items"]
    until(lambda: client.get(f"/api/analyses/{analysis['id']}").json()["ended_s"])
    tab = opened.page.context.new_page()
    tab.goto(f"{server.url}/api/analyses/{analysis['id']}/media")
    assert tab.locator("img").count() == 1
    client.delete("/api/users/vera/sessions")
    tab.goto(f"{server.url}/healthz")
    tab.go_back()
    assert tab.locator("img").count() == 0
    assert "Sign-in needed" in tab.content()


def test_a_viewer_watches_and_changes_nothing(visit, guarded):
    server, _ = guarded
    opened = visit(None, server, expected="401")
    sign_in(opened, "vera")
    go(opened, "#/cameras")
    opened.until(opened.page.get_by_test_id("tile").is_visible)
    assert opened.page.get_by_test_id("add-camera").count() == 0
    names = opened.page.get_by_role("navigation", name="Pages").get_by_role("link").all_inner_texts()
    assert names == ["Cameras", "Events", "Analyses", "Models"]
    go(opened, "#/")
    assert opened.page.get_by_test_id("start").is_disabled()
    go(opened, "#/account")
    opened.page.get_by_test_id("sign-out").click()
    opened.until(opened.page.get_by_test_id("sign-in").is_visible)
    assert opened.page.evaluate(ANSWERED) == 401
    assert [cookie for cookie in opened.page.context.cookies() if cookie["name"].startswith("stream_detect")] == []
