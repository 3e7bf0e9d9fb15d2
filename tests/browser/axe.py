"""Runs axe-core on a page at every width, and checks whether the page is wider than its window."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Visit

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS_PX = (360, 768, 1440)


def draw(page: "Page") -> None:
    """Waits until the page has been drawn: for two frames, since the first may already be in progress."""
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")


def look(opened: "Visit") -> None:
    """Checks the current page at every width."""
    for width in WIDTHS_PX:
        opened.page.set_viewport_size({"width": width, "height": 900})
        draw(opened.page)
        found = opened.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [
            (violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in found["violations"]
            if violation["impact"] in {"serious", "critical"}
        ]
        assert serious == [], f"at {width} px"
        overhang = opened.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overhang <= 0, f"the page is wider than {width} px"
