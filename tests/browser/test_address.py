"""Analysis of a file by its address: entered on the page, fetched by the server, listed in the library."""

import functools
import http.server
import threading
from collections.abc import Iterator

import pytest

from tests.browser.axe import AXE, look
from tests.browser.review_site import go


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Does not log."""


@pytest.fixture
def shelf(clip) -> Iterator[str]:
    """The address of a web server with the clip."""
    handler = functools.partial(_Quiet, directory=str(clip.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_clip_is_fetched_from_its_address_and_analysed(visit, start_server, settings, clip, shelf):
    server = start_server(SETTINGS=str(settings), REVIEW__URLS="true", REVIEW__PRIVATE_URLS="true")
    opened = visit(at=server, bypass_csp=True)
    go(opened, "#/analyses")
    form = opened.page.get_by_test_id("address-form")
    opened.until(form.count)
    opened.page.add_script_tag(path=AXE)
    look(opened)
    form.get_by_role("textbox").fill(f"{shelf}/{clip.name}")
    opened.page.keyboard.press("Enter")
    fetched = opened.page.get_by_test_id("analysis")
    opened.until(lambda: fetched.count() and fetched.get_attribute("data-state") == "done")
    assert fetched.get_by_role("link", name=clip.name, exact=True).is_visible()
    assert form.get_by_role("textbox").input_value() == ""


def test_no_address_is_asked_for_where_none_is_fetched(visit, site):
    opened = visit(at=site)
    go(opened, "#/analyses")
    opened.until(opened.page.get_by_test_id("models").count)
    opened.settle()
    assert opened.page.get_by_test_id("address-form").count() == 0
