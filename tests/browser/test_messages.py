"""Messages of the page when a check cannot start or continue, and automatic recovery."""

import pytest

TOKEN = "correct-horse-battery"


def code(opened) -> str | None:
    """Code of the visible message."""
    message = opened.page.get_by_test_id("message")
    return message.get_attribute("data-code") if message.count() else None


def test_permission_denied_says_how_to_give_it(visit):
    opened = visit(camera=False)
    opened.page.get_by_test_id("start").click()
    opened.until(lambda: code(opened) == "permission-denied")
    assert opened.page.get_by_role("alert").locator("li").count() >= 2
    assert opened.page.get_by_test_id("start").is_visible()


def test_a_full_server_is_named_and_asked_again(visit, webcam, start_server):
    server = start_server(WEBRTC__MAX_SESSIONS="1")
    first = visit(webcam("no_face"), server)
    first.start()
    second = visit(webcam("no_face"), server, expected="503")
    second.page.get_by_test_id("start").click()
    second.until(lambda: code(second) == "server-full")
    first.page.get_by_test_id("stop").click()
    second.until(lambda: second.results)
    assert code(second) is None


def test_a_server_with_a_token_is_entered_by_it(visit, webcam, start_server):
    server = start_server(SERVER__HOST="0.0.0.0", TOKEN=TOKEN)
    opened = visit(webcam("no_face"), server, expected="401")
    dialog = opened.page.get_by_test_id("token-dialog")
    opened.until(dialog.is_visible)
    dialog.locator("input").fill("wrong-horse-battery")
    dialog.get_by_role("button", name="Continue").click()
    opened.until(lambda: "refused that token" in dialog.inner_text())
    dialog.locator("input").fill(TOKEN)
    dialog.get_by_role("button", name="Continue").click()
    opened.until(lambda: not dialog.is_visible())
    opened.start()
    opened.page.reload()
    opened.settle()
    assert not dialog.is_visible(), "the token is kept for the tab"
    assert TOKEN not in "".join(server.log)


def test_a_lost_connection_is_restored(visit, webcam, start_server):
    server = start_server()
    opened = visit(webcam("no_face"), server, expected="ERR_CONNECTION")
    opened.start()
    server.stop()
    opened.until(lambda: code(opened) == "connection-lost")
    seen = len(opened.results)
    start_server(SERVER__PORT=server.url.rpartition(":")[2])
    opened.until(lambda: len(opened.results) > seen)
    assert code(opened) is None


@pytest.mark.parametrize("path", ["/docs"])
def test_the_routes_page_says_no_error(visit, server, path):
    opened = visit()
    opened.page.goto(f"{server.url}{path}")
    assert opened.page.get_by_role("heading", name="POST /webrtc/check", exact=True).is_visible()
