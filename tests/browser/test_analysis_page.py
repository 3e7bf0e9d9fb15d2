"""The page of an analysis: player, timeline, flagged frames, models and reports, with a real browser and server."""

import csv
import io
import json
from pathlib import Path

import av
import httpx
import pytest

import scripts.webcam
from tests.browser.axe import look
from tests.browser.review_site import analysed, film, go
from tests.patience import PATIENCE_S

SHOWN = "image => image.complete && image.naturalWidth > 0"
TIME = "video => video.currentTime"


@pytest.fixture
def review(visit, site, looked_at):
    """The clip's page, with its player ready."""
    opened = visit(at=site)
    go(opened, f"#/analyses/{looked_at}")
    player = opened.page.get_by_test_id("player")
    opened.until(lambda: player.count() and player.evaluate("video => video.readyState") >= 1)
    return opened


def test_timeline_and_player_seek_together(review):
    player, seek = review.page.get_by_test_id("player"), review.page.get_by_test_id("seek")
    marker = review.page.get_by_test_id("marker")
    length_s = player.evaluate("video => video.duration")
    seek.scroll_into_view_if_needed()
    plot = seek.locator(".u-over").bounding_box()

    def point(share: float) -> tuple[float, float]:
        return plot["x"] + share * plot["width"], plot["y"] + plot["height"] / 2

    review.page.mouse.click(*point(0.5))
    review.until(lambda: abs(player.evaluate(TIME) - length_s / 2) < 0.05 * length_s)
    middle = marker.bounding_box()["x"]
    assert abs(middle - point(0.5)[0]) < 0.02 * plot["width"]

    before_s = player.evaluate(TIME)
    seek.focus()
    review.page.keyboard.press("ArrowRight")
    review.until(lambda: 0.05 < player.evaluate(TIME) - before_s < 0.5)
    assert "face 1" in seek.get_attribute("aria-valuetext")

    def span_s() -> float:
        from_s, to_s = map(float, seek.get_attribute("data-range").split())
        return to_s - from_s

    review.page.mouse.move(*point(0.25))
    review.page.mouse.down()
    review.page.mouse.move(*point(0.6), steps=4)
    review.page.mouse.up()
    review.until(lambda: abs(span_s() - 0.35 * length_s) < 0.05 * length_s)
    review.page.mouse.wheel(0, -240)
    review.until(lambda: span_s() < 0.2 * length_s)
    review.page.keyboard.press("0")
    review.until(lambda: abs(span_s() - length_s) < 0.2)
    review.page.get_by_test_id("zoom-in").click()
    review.until(lambda: abs(span_s() - length_s / 2) < 0.2)
    review.page.get_by_test_id("zoom-reset").click()

    player.evaluate("video => { video.muted = true; video.currentTime = 0; return video.play() }")
    review.until(lambda: marker.bounding_box()["x"] > plot["x"] + 0.05 * plot["width"])


def test_a_flagged_frame_opens_with_its_heat_map_and_seeks_the_player(review, site, looked_at):
    results = httpx.get(f"{site.url}/api/analyses/{looked_at}/results", timeout=PATIENCE_S).json()
    flagged = results["models"][0]["flagged"]
    player, strip = review.page.get_by_test_id("player"), review.page.get_by_test_id("flagged")
    assert strip.count() == len(flagged) > 1
    strip.first.scroll_into_view_if_needed()
    review.until(lambda: strip.first.locator("img").count() and strip.first.locator("img").evaluate(SHOWN))
    strip.first.focus()
    review.page.keyboard.press("ArrowRight")
    review.page.keyboard.press("Enter")
    for name in ("flagged-picture", "flagged-map"):
        picture = review.page.get_by_test_id(name)
        review.until(lambda picture=picture: picture.count() and picture.evaluate(SHOWN))
    assert f"{flagged[1]['score']:.2f}" in review.page.get_by_test_id("flagged-caption").inner_text()
    review.until(lambda: abs(player.evaluate(TIME) - flagged[1]["time_s"]) < 0.05)
    review.page.keyboard.press("ArrowLeft")
    review.until(lambda: abs(player.evaluate(TIME) - flagged[0]["time_s"]) < 0.05)
    review.page.keyboard.press("Escape")
    review.until(lambda: review.page.get_by_test_id("flagged-dialog").count() == 0)


def test_the_reports_are_downloaded(review, looked_at):
    texts = {}
    for kind in ("html", "json", "csv"):
        with review.page.expect_download() as download:
            review.page.get_by_test_id(f"report-{kind}").click()
        texts[kind] = Path(download.value.path()).read_text(encoding="utf-8")
    results = json.loads(texts["json"])
    assert results["id"] == looked_at
    assert results["file"]["sha256"] in texts["html"]
    assert len(list(csv.reader(io.StringIO(texts["csv"])))) > results["sampled"]


def test_models_are_compared_and_the_annotated_video_is_made_and_played(review, site, looked_at):
    results = httpx.get(f"{site.url}/api/analyses/{looked_at}/results", timeout=PATIENCE_S).json()
    verdict = review.page.get_by_test_id("verdict")
    assert verdict.get_attribute("data-state") == "fake"
    review.page.get_by_test_id("model-choice").get_by_role("radio").nth(1).check()
    assert verdict.get_attribute("data-state") == results["models"][1]["verdict"]["state"]
    assert "calm, sha256" in review.page.get_by_test_id("facts").inner_text()
    review.page.get_by_test_id("annotate").click()
    review.until(lambda: review.page.get_by_test_id("show-annotated").count())
    review.page.get_by_test_id("show-annotated").click()
    player = review.page.get_by_test_id("player")
    review.until(lambda: "annotated.mp4" in (player.get_attribute("src") or ""))
    review.until(lambda: player.evaluate("video => video.videoWidth") > 0)
    with review.page.expect_download() as download:
        review.page.get_by_test_id("save-annotated").click()
    with av.open(download.value.path()) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_a_codec_of_no_browser_is_offered_as_annotated_video(visit, site, tmp_path):
    identity = analysed(site, film(tmp_path / "old.avi", "mpeg4", scripts.webcam.astronaut(3)))
    opened = visit(at=site)
    go(opened, f"#/analyses/{identity}")
    opened.until(opened.page.get_by_test_id("unplayable").count)
    assert "annotated video" in opened.page.get_by_test_id("unplayable").inner_text()
    opened.page.get_by_test_id("annotate").click()
    opened.until(lambda: opened.page.get_by_test_id("show-annotated").count())
    opened.page.get_by_test_id("show-annotated").click()
    player = opened.page.get_by_test_id("player")
    opened.until(lambda: player.count() and player.evaluate("video => video.videoWidth") > 0)


@pytest.fixture(scope="module")
def every_page(site, looked_at, clip, tmp_path_factory) -> list[str]:
    """The library, with and without entries, and an analysis of every kind."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "broken.mp4").write_text("no film")
    with av.open(str(clip)) as container:
        next(container.decode(video=0)).to_image().save(folder / "face.jpg")
    others = [analysed(site, folder / name) for name in ("broken.mp4", "face.jpg")]
    return ["#/analyses", "#/analyses?search=nowhere", *(f"#/analyses/{one}" for one in (looked_at, *others))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_every_page_fits(axe, site, every_page, scheme):
    opened = axe(at=site, color_scheme=scheme, reduced_motion="reduce")
    for address in every_page:
        go(opened, address)
        opened.settle()
        for summary in opened.page.locator("summary").all():
            summary.click()
        look(opened)
    go(opened, every_page[2])
    opened.until(opened.page.get_by_test_id("flagged").count)
    opened.page.get_by_test_id("flagged").first.click()
    opened.until(opened.page.get_by_test_id("flagged-picture").count)
    look(opened)
