"""Uploads from the drop zone to the report: a real browser, a real server, a real clip, two models."""

import base64
import csv
import io
import json
import shutil
import time
from fractions import Fraction
from pathlib import Path

import av
import httpx
import pytest
import yaml

import scripts.webcam
from tests.browser.axe import look
from tests.browser.conftest import CLIPS, generated

SHIPPED = Path(__file__).parents[2] / "stream_detect" / "models" / "shipped" / "meso4-dfdc"
TOKEN = "correct-horse-battery"
SUSPICIOUS = {"fake_enter": 0.002, "fake_leave": 0.0015, "real_enter": 0.0005, "real_leave": 0.001}
"""Nearly every face is above them: what is tested here is the page."""
SHOWN = "image => image.complete && image.naturalWidth > 0"
TIME = "video => video.currentTime"
DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name));
  const zone = document.querySelector("[data-testid=drop-zone]");
  for (const type of ["dragenter", "dragover", "drop"])
    zone.dispatchEvent(new DragEvent(type, {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Path:
    """Settings of a server with a suspicious model and a calm one."""
    folder = tmp_path_factory.mktemp("analyses")
    for name, change in (("meso4-dfdc", {"thresholds": SUSPICIOUS}), ("calm", {"name": "calm", "title": "A calm one"})):
        shutil.copytree(SHIPPED, folder / "models" / name)
        card = folder / "models" / name / "card.json"
        card.write_text(json.dumps({**json.loads(card.read_text(encoding="utf-8")), **change}))
    content = {
        "window": {"min_scores": 3, "min_dwell_s": 0.2},
        "model": {"folder": str(folder / "models"), "name": "meso4-dfdc"},
        "review": {"min_free_bytes": 0},
    }
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def site(run_server, settings):
    """That server, open to this machine."""
    with run_server(SETTINGS=str(settings)) as server:
        yield server


def film(file: Path, codec: str, pictures) -> Path:
    """A video of RGB pictures (480, 640, 3)."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 640, 480, "yuv420p", Fraction(1, 30)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return file


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A film that browsers play: a clip of the test data, or one made of a photo."""
    clip = CLIPS / "AniPortrait__solo.mp4"
    return clip if clip.is_file() else film(tmp_path_factory.mktemp("clip") / clip.name, "libx264", generated("fake"))


def analysed(server, file: Path, token: str = "") -> str:
    """The id of an analysis by both models that has ended, submitted without a browser."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=server.url, headers=headers, timeout=20) as client:
        files = {"file": (file.name, file.read_bytes())}
        submitted = client.post("/api/analyses", files=files, data={"model": ["meso4-dfdc", "calm"]})
        assert submitted.status_code == 202, submitted.text
        (analysis,) = submitted.json()["items"]
        end_s = time.monotonic() + 60
        while client.get(f"/api/analyses/{analysis['id']}").json()["ended_s"] is None:
            assert time.monotonic() < end_s
            time.sleep(0.1)
    return analysis["id"]


@pytest.fixture(scope="module")
def looked_at(site, clip) -> str:
    """The id of the clip's analysis."""
    return analysed(site, clip)


def go(opened, address: str) -> None:
    opened.page.evaluate("address => { window.location.hash = address }", address)


def row(opened, name: str):
    return opened.page.get_by_test_id("analysis").filter(has=opened.page.get_by_role("link", name=name, exact=True))


@pytest.fixture
def review(visit, site, looked_at):
    """The clip's page, its player ready."""
    opened = visit(at=site)
    go(opened, f"#/analyses/{looked_at}")
    player = opened.page.get_by_test_id("player")
    opened.until(lambda: player.count() and player.evaluate("video => video.readyState") >= 1)
    return opened


def test_a_clip_is_dropped_followed_looked_at_found_again_and_deleted(visit, site, clip):
    opened = visit(at=site)
    opened.page.get_by_role("link", name="Analyses").click()
    opened.until(opened.page.get_by_test_id("models").count)
    ticks = opened.page.get_by_test_id("models").locator("input")
    assert {tick.input_value(): tick.is_checked() for tick in ticks.all()} == {"meso4-dfdc": True, "calm": False}
    opened.page.evaluate(DROP, ["dropped.mp4", base64.b64encode(clip.read_bytes()).decode()])

    dropped = row(opened, "dropped.mp4")
    seen = []

    def has_ended():
        bar = dropped.get_by_role("progressbar")
        if bar.count():
            seen.append(int(bar.get_attribute("aria-valuenow") or 0))
        return dropped.count() and dropped.get_attribute("data-state") == "done"

    opened.until(has_ended, 60)
    assert seen == sorted(seen)
    assert any(0 < share < 100 for share in seen), f"no progress was shown: {seen}"

    opened.page.get_by_test_id("search").fill("nothing of that name")
    opened.until(lambda: opened.page.get_by_text("No analysis matches.").count())
    opened.page.get_by_test_id("search").fill("DROPPED")
    opened.until(dropped.count)
    assert opened.page.url.endswith("#/analyses?search=DROPPED")
    opened.page.get_by_test_id("filter-state").select_option("failed")
    opened.until(lambda: dropped.count() == 0)
    opened.page.get_by_test_id("filter-state").select_option("done")
    opened.until(dropped.count)

    dropped.get_by_role("link").click()
    opened.until(opened.page.get_by_test_id("verdict").count)
    assert opened.page.get_by_test_id("verdict").get_attribute("data-state") == "fake"
    identity = opened.page.url.rpartition("/")[2]
    opened.page.get_by_test_id("delete-analysis").click()
    opened.page.get_by_test_id("confirm").click()
    opened.until(lambda: opened.page.url.endswith("#/analyses"))
    assert httpx.get(f"{site.url}/api/analyses/{identity}").status_code == 404


def test_files_are_chosen_several_at_once_and_what_is_no_film_says_so(visit, site, tmp_path):
    (tmp_path / "notes.mp4").write_text("no film at all")
    (tmp_path / "empty.mp4").touch()
    opened = visit(at=site)
    go(opened, "#/analyses")
    opened.until(opened.page.get_by_test_id("models").count)
    opened.page.get_by_test_id("file-input").set_input_files([tmp_path / "notes.mp4", tmp_path / "empty.mp4"])
    for name in ("notes.mp4", "empty.mp4"):
        opened.until(lambda name=name: row(opened, name).count())
        opened.until(lambda name=name: row(opened, name).get_attribute("data-state") == "failed", 60)
    row(opened, "notes.mp4").get_by_role("link").click()
    opened.until(lambda: opened.page.get_by_test_id("progress").count())
    assert "neither a picture nor a video" in opened.page.get_by_test_id("progress").inner_text().lower()


def test_an_upload_tells_how_far_it_is_and_can_be_broken_off(visit, site, tmp_path):
    (tmp_path / "long.mp4").write_bytes(bytes(3_000_000))
    opened = visit(at=site)
    go(opened, "#/analyses")
    opened.until(opened.page.get_by_test_id("models").count)
    network = opened.page.context.new_cdp_session(opened.page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000}
    network.send("Network.emulateNetworkConditions", slow)
    opened.page.get_by_test_id("file-input").set_input_files([tmp_path / "long.mp4"])
    upload = opened.page.get_by_test_id("upload")
    opened.until(lambda: upload.count() and "left" in upload.inner_text())
    assert upload.get_by_role("progressbar").get_attribute("aria-valuenow") != "100"
    opened.page.get_by_test_id("drop-upload").click()
    opened.until(lambda: upload.count() == 0)
    opened.page.wait_for_timeout(500)
    assert row(opened, "long.mp4").count() == 0
    assert httpx.get(f"{site.url}/api/analyses", params={"search": "long.mp4"}).json()["items"] == []


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
    results = httpx.get(f"{site.url}/api/analyses/{looked_at}/results").json()
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
    results = httpx.get(f"{site.url}/api/analyses/{looked_at}/results").json()
    verdict = review.page.get_by_test_id("verdict")
    assert verdict.get_attribute("data-state") == "fake"
    review.page.get_by_test_id("model-choice").get_by_role("radio").nth(1).check()
    assert verdict.get_attribute("data-state") == results["models"][1]["verdict"]["state"]
    assert "calm, sha256" in review.page.get_by_test_id("facts").inner_text()
    review.page.get_by_test_id("annotate").click()
    review.until(lambda: review.page.get_by_test_id("show-annotated").count(), 60)
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
    opened.until(lambda: opened.page.get_by_test_id("show-annotated").count(), 60)
    opened.page.get_by_test_id("show-annotated").click()
    player = opened.page.get_by_test_id("player")
    opened.until(lambda: player.count() and player.evaluate("video => video.videoWidth") > 0)


def test_with_a_token_player_pictures_and_reports_are_read_by_the_page(visit, start_server, settings, clip):
    server = start_server(SETTINGS=str(settings), TOKEN=TOKEN)
    identity = analysed(server, clip, token=TOKEN)
    opened = visit(at=server, expected="401")
    opened.until(opened.page.get_by_test_id("token-dialog").is_visible)
    opened.page.get_by_test_id("token-dialog").locator("input").fill(TOKEN)
    opened.page.keyboard.press("Enter")
    go(opened, f"#/analyses/{identity}")
    player = opened.page.get_by_test_id("player")
    opened.until(lambda: player.count() and player.evaluate("video => video.videoWidth") > 0)
    assert player.get_attribute("src").startswith("blob:")
    opened.page.get_by_test_id("flagged").first.click()
    opened.until(opened.page.get_by_test_id("flagged-map").count)
    opened.page.keyboard.press("Escape")
    with opened.page.expect_download() as download:
        opened.page.get_by_test_id("report-json").click()
    assert json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["id"] == identity
    go(opened, "#/analyses")
    opened.until(opened.page.get_by_test_id("models").count)
    opened.page.get_by_test_id("file-input").set_input_files({"name": "x.txt", "mimeType": "", "buffer": b"x"})
    opened.until(lambda: row(opened, "x.txt").count())


@pytest.fixture(scope="module")
def every_page(site, looked_at, clip, tmp_path_factory) -> list[str]:
    """The library, with and without entries, and an analysis of each kind."""
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
        opened.page.wait_for_timeout(1500)
        for summary in opened.page.locator("summary").all():
            summary.click()
        look(opened)
    go(opened, every_page[2])
    opened.until(opened.page.get_by_test_id("flagged").count)
    opened.page.get_by_test_id("flagged").first.click()
    opened.until(opened.page.get_by_test_id("flagged-picture").count)
    look(opened)
