"""Uploads, from the drop zone to the library, with a real browser, server and clip."""

import base64
import json
from pathlib import Path

import httpx

from tests.browser.review_site import analysed, go
from tests.patience import PATIENCE_S

TOKEN = "correct-horse-battery"
DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name));
  const zone = document.querySelector("[data-testid=drop-zone]");
  for (const type of ["dragenter", "dragover", "drop"])
    zone.dispatchEvent(new DragEvent(type, {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""


NOTE_SHARES = """() => {
  window.shares = [];
  new MutationObserver(() => {
    const bar = document.querySelector("[data-testid=analysis] [role=progressbar]");
    if (bar?.ariaValueNow) window.shares.push(bar.ariaValueNow);
  }).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""
"""Records progress values, however briefly they are shown."""


def row(opened, name: str):
    return opened.page.get_by_test_id("analysis").filter(has=opened.page.get_by_role("link", name=name, exact=True))


def test_a_clip_is_dropped_followed_looked_at_found_again_and_deleted(visit, site, clip):
    opened = visit(at=site)
    opened.page.get_by_role("link", name="Analyses").click()
    opened.until(opened.page.get_by_test_id("models").count)
    ticks = opened.page.get_by_test_id("models").locator("input")
    ticked = {tick.input_value(): tick.is_checked() for tick in ticks.all()}
    assert "calm" in ticked
    assert [name for name, chosen in ticked.items() if chosen] == ["meso4-dfdc"]
    opened.page.evaluate(NOTE_SHARES)
    opened.page.evaluate(DROP, ["dropped.mp4", base64.b64encode(clip.read_bytes()).decode()])

    dropped = row(opened, "dropped.mp4")
    opened.until(lambda: dropped.count() and dropped.get_attribute("data-state") == "done")
    seen = [int(share) for share in opened.page.evaluate("window.shares")]
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
    opened.until(lambda: opened.page.get_by_test_id("player").evaluate("video => video.readyState > 0"))
    opened.settle()  # what the page still asks for a deleted analysis is not found
    delete = opened.page.get_by_test_id("delete-analysis")
    delete.click()
    opened.page.get_by_role("button", name="Cancel", exact=True).click()
    opened.until(lambda: delete.evaluate("button => button === document.activeElement"))
    delete.click()
    opened.page.get_by_test_id("confirm").click()
    opened.until(lambda: opened.page.url.endswith("#/analyses"))
    assert httpx.get(f"{site.url}/api/analyses/{identity}", timeout=PATIENCE_S).status_code == 404


def test_several_files_are_chosen_at_once_and_a_file_without_video_is_reported(visit, site, tmp_path):
    (tmp_path / "notes.mp4").write_text("no film at all")
    (tmp_path / "empty.mp4").touch()
    opened = visit(at=site)
    go(opened, "#/analyses")
    opened.until(opened.page.get_by_test_id("models").count)
    opened.page.get_by_test_id("file-input").set_input_files([tmp_path / "notes.mp4", tmp_path / "empty.mp4"])
    for name in ("notes.mp4", "empty.mp4"):
        opened.until(lambda name=name: row(opened, name).count())
        opened.until(lambda name=name: row(opened, name).get_attribute("data-state") == "failed")
    row(opened, "notes.mp4").get_by_role("link").click()
    opened.until(lambda: opened.page.get_by_test_id("progress").count())
    assert "neither a picture nor a video" in opened.page.get_by_test_id("progress").inner_text().lower()


def test_an_upload_reports_its_progress_and_can_be_broken_off(visit, site, tmp_path):
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
    opened.until(lambda: [request.method for request in opened.broken_off] == ["POST"])
    opened.settle()
    assert row(opened, "long.mp4").count() == 0
    found = httpx.get(f"{site.url}/api/analyses", params={"search": "long.mp4"}, timeout=PATIENCE_S)
    assert found.json()["items"] == []


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
