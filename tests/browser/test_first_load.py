"""What a phone loads for the first page: little, and nothing of other pages."""

MOST_BYTES = 250_000
SIZES = """() => Object.fromEntries(
  [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter((entry) => !new URL(entry.name).pathname.startsWith("/api/"))
    .map((entry) => [new URL(entry.name).pathname, entry.encodedBodySize]))"""


def test_the_first_page_is_small_and_the_others_come_when_they_are_asked_for(visit):
    opened = visit()
    opened.settle()
    first = opened.page.evaluate(SIZES)
    assert any("/index-" in path and path.endswith(".js") for path in first)
    assert 0 < sum(first.values()) < MOST_BYTES
    assert not any("/Cameras-" in path for path in first)
    opened.page.evaluate("window.location.hash = '#/cameras'")
    opened.until(opened.page.get_by_test_id("empty").count)
    assert any("/Cameras-" in path for path in opened.page.evaluate(SIZES))
