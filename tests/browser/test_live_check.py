"""The live check, from the webcam's frames to the badge in the returned pixels."""

from itertools import pairwise

import numpy as np
import pytest

from stream_detect.overlay.sprite import STATE_RGB
from stream_detect.types import VerdictState

PICTURES = """async () => {
  const stats = [...(await window.connection.getStats()).values()].filter((one) => one.kind === "video");
  const of = (type) => stats.find((one) => one.type === type) ?? {};
  return {sent: of("outbound-rtp").framesSent ?? 0, came: of("inbound-rtp").framesReceived ?? 0};
}"""
ON_THEIR_WAY = 30
"""Maximum number of frames, one second, before the badge is right."""

VERDICTS = ("real", "uncertain", "fake")
BADGE_PX = 1000
"""Minimum area in the state's colour: the badge's header is about 180x20 px at 640x480."""


def painted(picture, face, state: str) -> int:
    """Pixels in the state's colour in and around a face's box, where its badge is drawn.

    H.264 at half the chroma resolution moves a flat colour by about 10; the sides of the badge more.
    """
    left, top, right, bottom = (round(edge) for edge in face["box"])
    near = picture[max(top - 90, 0) : bottom + 90, max(left - 60, 0) : right + 60].astype(int)
    return int((np.abs(near - STATE_RGB[VerdictState(state)]).max(axis=2) < 28).sum())


def badge_matches(opened) -> bool:
    """Whether the newest frame has the badge of the newest result's state, and no other."""
    picture, result = opened.picture(), opened.results[-1]
    areas = {state: painted(picture, result["faces"][0], state) for state in VERDICTS}
    return areas.get(result["state"], 0) > BADGE_PX and max(areas, key=areas.get) == result["state"]


@pytest.mark.parametrize("name", ["real", "fake"])
def test_a_face_gets_a_verdict_and_its_badge_is_in_the_returned_pixels(visit, webcam, name):
    opened = visit(webcam(name))
    opened.start()
    verdict = opened.wait_for_state(*VERDICTS)
    assert verdict["admitted"] >= verdict["needed"]
    opened.until(lambda: badge_matches(opened))
    assert opened.states[0] in {"no_face", "gathering"}
    assert "gathering" in opened.states
    shown = opened.page.get_by_test_id("verdict")
    opened.until(lambda: shown.get_attribute("data-state") == opened.results[-1]["state"])
    opened.page.get_by_test_id("stop").click()
    opened.until(lambda: shown.get_attribute("data-state") == "idle")


def test_every_frame_is_returned_and_results_have_their_own_rate(visit, webcam):
    opened = visit(webcam("real"))
    opened.start()
    first, before = opened.results[-1], opened.page.evaluate(PICTURES)
    opened.until(lambda: opened.page.evaluate(PICTURES)["sent"] - before["sent"] > 100)
    now, last = opened.page.evaluate(PICTURES), opened.results[-1]
    came, sent = (now[way] - before[way] for way in ("came", "sent"))
    assert came + last["dropped"]["frames"] > sent - ON_THEIR_WAY
    sampled = last["sequence"] - first["sequence"] + last["dropped"]["samples"] - first["dropped"]["samples"]
    length_s = last["time_s"] - first["time_s"]
    assert 0.7 * min(10 * length_s, came) < sampled < 12 * length_s
    assert (last["width"], last["height"]) == (640, 480)
    assert last["error"] is None


def test_a_picture_without_a_face_never_says_fake(visit, webcam):
    opened = visit(webcam("no_face"))
    opened.start()
    opened.until(lambda: len(opened.results) > 50)
    assert opened.states == ["no_face"]
    assert all(result["fake_probability"] is None for result in opened.results)
    assert opened.page.get_by_test_id("verdict").get_attribute("data-state") == "no_face"


def test_a_new_face_starts_with_gathering(visit, webcam):
    opened = visit(webcam("face_comes"))
    opened.start()

    def since_no_face():  # after a slow start the face is already visible: wait for the clip to start again
        states = opened.states
        return states[states.index("no_face") :] if "no_face" in states else []

    # On a busy machine the face may be gone before its verdict; it comes again with the next turn of the clip.
    opened.until(lambda: set(since_no_face()) & set(VERDICTS))
    changes = list(pairwise(since_no_face()))
    assert {after for before, after in changes if before == "no_face"} == {"gathering"}
    assert next(before for before, after in changes if after in VERDICTS) == "gathering"


def test_stopping_gives_the_place_back(visit, webcam, start_server):
    server = start_server()
    opened = visit(webcam("real"), server)
    opened.start()
    assert server.get("/api/status")["sessions"] == 1
    opened.page.get_by_test_id("stop").click()
    opened.until(lambda: server.get("/api/status")["sessions"] == 0)
    opened.page.get_by_test_id("start").click()
    opened.until(lambda: server.get("/api/status")["sessions"] == 1)


def test_a_shared_window_is_checked_like_a_camera(visit):
    opened = visit()
    opened.page.get_by_test_id("source").select_option("screen")
    opened.start()
    assert opened.results[-1]["error"] is None
    assert opened.results[-1]["width"] > 0


def test_a_virtual_camera_is_named_as_a_hint_and_in_the_servers_log(visit, webcam, start_server):
    server = start_server()
    opened = visit(webcam("real"), server)
    label = "Object.defineProperty(MediaStreamTrack.prototype, 'label', {get: () => 'OBS Virtual Camera'})"
    opened.page.add_init_script(label)
    opened.page.reload()
    opened.start()
    hint = opened.page.get_by_test_id("virtual-camera")
    opened.until(hint.is_visible)
    assert "does not affect the verdict" in hint.inner_text()
    opened.until(lambda: any("the camera's name is 'OBS Virtual Camera'" in line for line in server.log))
    opened.page.get_by_test_id("stop").click()
    opened.until(lambda: not hint.is_visible())


def test_a_challenge_prompts_counts_and_is_closed(visit, webcam):
    opened = visit(webcam("real"))
    opened.start()
    opened.wait_for_state(*VERDICTS)
    panel = opened.page.get_by_test_id("challenge")
    opened.page.get_by_test_id("start-challenge").click()
    opened.until(lambda: panel.get_attribute("data-state") in {"baseline", "running"})
    assert opened.results[-1]["challenge"]["id"]
    assert "no more than that" not in panel.inner_text()
    opened.until(lambda: opened.page.get_by_test_id("prompt").inner_text().endswith("."))
    # It may already have failed, or fails now: the clip does not follow the prompts.
    opened.page.evaluate("document.querySelector('[data-testid=stop-challenge]')?.click()")
    opened.until(lambda: panel.get_attribute("data-state") in {"stopped", "failed"})
    panel.get_by_text("Close").click()
    opened.until(lambda: panel.get_attribute("data-state") == "none")
