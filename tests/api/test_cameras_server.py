"""A server process and a real RTSP server: cameras connect, are judged, are lost and return; the history is stored."""

import io
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import av
import httpx
from PIL import Image

from stream_detect.app.listeners import MAX_LISTENERS
from tests.patience import PATIENCE_S
from tests.rtsp.films import FILMS


def test_a_camera_is_live_judged_viewed_and_announced(site, rtsp_server):
    site.write({"name": "door", "title": "Front door", "url": rtsp_server.url("face"), "evidence": True})
    site.serve()
    camera = site.is_live()
    assert (camera["title"], camera["origin"], camera["codec"]) == ("Front door", "file", "h264")
    assert (camera["width"], camera["height"]) == (640, 480)
    verdict = site.comes(lambda: (site.camera()["verdict"] or {}).get("fake_probability"))
    assert 0 <= verdict <= 1
    assert site.news("/api/streams/door/results", "state")["state"] == "live"
    assert len(site.news("/api/streams/door/results", "result")["faces"]) == 1
    assert site.news("/api/streams/events", "camera")["name"] == "door"
    snapshot = site.http.get("/api/cameras/door/snapshot.jpg", params={"width": 320})
    assert snapshot.headers["cache-control"] == "no-store"
    assert Image.open(io.BytesIO(snapshot.content)).size == (320, 240)
    metrics = site.http.get("/metrics").text
    assert 'stream_detect_camera_state{camera="door",state="live"} 1.0' in metrics
    assert "stream_detect_result_latency_seconds_bucket{" in metrics
    scores = site.comes(lambda: site.http.get("/api/cameras/door/scores", params={"step": 1}).json()["items"])
    assert scores[-1][0] <= time.time()
    site.server.stop()


def test_a_fake_event_has_evidence_and_can_be_deleted(site, rtsp_server):
    began = site.fake_begins({"name": "door", "url": rtsp_server.url("face"), "evidence": True})
    assert (began["camera"], began["ended_s"]) == ("door", None)
    assert began["model"]["thresholds"]["fake_enter"] == 0.002

    def whole() -> dict[str, Any] | None:
        event = site.http.get(f"/api/events/{began['id']}").json()
        return event if event["evidence"] and event["evidence"]["clip"] else None

    evidence = site.comes(whole)["evidence"]
    assert Image.open(io.BytesIO(site.http.get(evidence["picture"]).content)).size == (640, 480)
    assert site.http.get(evidence["face"]).headers["content-type"] == "image/jpeg"
    clip = site.http.get(evidence["clip"])
    assert clip.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(clip.content)) as container:
        assert len(list(container.decode(video=0))) > 25
    part = site.http.get(evidence["clip"], headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")

    assert site.http.delete(f"/api/events/{began['id']}").status_code == 409
    assert site.http.post("/api/cameras/door/stop").json()["state"] == "stopped"
    site.comes(lambda: site.http.get(f"/api/events/{began['id']}").json()["ended_s"])
    assert site.http.delete(f"/api/events/{began['id']}").status_code == 204
    assert site.http.get(evidence["clip"]).status_code == 404


def test_a_full_disk_stops_evidence_and_nothing_else(site, rtsp_server):
    site.write({"name": "door", "url": rtsp_server.url("face"), "evidence": True}, evidence={"min_free_bytes": 10**16})
    site.serve()
    (event,) = site.comes(lambda: site.events(kind="fake"))
    kept = site.comes(lambda: site.http.get(f"/api/events/{event['id']}").json()["evidence"])
    assert (kept["picture"], kept["clip"]) == (None, None)
    assert "disk is full" in kept["problem"]
    (problem,) = site.comes(lambda: site.http.get("/api/status").json()["problems"])
    assert "disk is full" in problem
    assert "stream_detect_evidence_problem 1.0" in site.http.get("/metrics").text
    assert site.http.get("/readyz").status_code == 200
    assert site.camera()["verdict"]["state"] == "fake"


def test_a_lost_camera_is_an_event_until_it_returns(site, own_rtsp_server):
    site.write({"name": "door", "url": own_rtsp_server.url("small")})
    site.serve()
    site.is_live()
    own_rtsp_server.stop(kill=True)
    (event,) = site.comes(lambda: site.events(kind="offline", open="true"))
    assert event["camera"] == "door"
    assert site.camera()["state"] in {"connecting", "backing_off"}
    assert site.camera()["verdict"] is None
    own_rtsp_server.start()
    site.is_live()
    ended = site.comes(lambda: not site.events(open="true") and site.events(kind="offline", open="false"))
    assert event["id"] in {one["id"] for one in ended}
    assert all(one["ended_s"] > one["began_s"] for one in ended)

    def states():
        return [row["state"] for row in site.http.get("/api/cameras/door/states").json()["items"]]

    site.comes(lambda: states().count("live") == 2)  # written shortly after the change
    assert states()[0] == "connecting"


def test_a_reload_restarts_what_changed_and_nothing_else(site, rtsp_server):
    door = {"name": "door", "url": rtsp_server.url("small")}
    yard = {"name": "yard", "url": rtsp_server.url("small")}
    site.write(door, yard)
    site.serve()
    before = site.is_live(), site.is_live("yard")
    site.write(door, {**yard, "title": "Yard"}, {"name": "shed", "url": "whip:"}, webrtc={"max_sessions": 7})
    site.server.process.send_signal(signal.SIGHUP)
    site.comes(lambda: "added shed, changed yard, removed none" in "".join(site.server.log))
    assert "webrtc changed; the change takes effect after a restart" in "".join(site.server.log)
    assert site.camera()["since_s"] == before[0]["since_s"]
    assert site.is_live("yard")["since_s"] > before[1]["since_s"]
    site.file.write_text("cameras:\n  - nmae: door\n", encoding="utf-8")
    refused = site.http.post("/api/cameras/reload")
    assert refused.status_code == 422
    assert "line 2: cameras.0.nmae is not a setting; did you mean name?" in refused.json()["detail"]
    site.file.unlink()
    assert site.http.post("/api/cameras/reload").status_code == 422
    site.write(door)
    assert site.http.post("/api/cameras/reload").json() == {
        "added": [], "changed": [], "removed": ["shed", "yard"], "after_restart": [],
    }  # fmt: skip
    assert site.camera()["since_s"] == before[0]["since_s"]


def test_a_password_is_sent_to_the_camera_only(site, own_rtsp_server):
    own_rtsp_server.mount("locked", FILMS["small"], lock="digest", user="viewer", password="hunter2")
    right, wrong = (own_rtsp_server.url("locked", user="viewer", password=word) for word in ("hunter2", "hunter3"))
    site.write({"name": "door", "url": right}, {"name": "yard", "url": wrong})
    site.serve()
    site.is_live()
    refused = site.comes(lambda: camera if (camera := site.camera("yard"))["state"] == "refused" else None)
    assert refused["retry_at_s"] > time.time() + 60
    answers = [site.http.get(path).text for path in ("/api/cameras", "/metrics", "/api/status", "/api/events")]
    site.server.stop()
    assert "hunter" not in "".join([*answers, *site.server.log])


def test_an_event_outlives_a_kill(site, rtsp_server):
    announced = site.fake_begins({"name": "door", "url": rtsp_server.url("face")})
    site.server.process.kill()
    site.server.process.wait()
    site.serve()
    kept = site.http.get(f"/api/events/{announced['id']}").json()
    assert kept["interrupted"]
    assert kept["ended_s"] >= announced["began_s"]
    again = site.comes(lambda: site.events(kind="fake", open="true"))
    assert announced["id"] not in {event["id"] for event in again}


def test_a_frozen_camera_a_listener_and_a_trial_hold_up_no_stop(site, own_rtsp_server):
    url = own_rtsp_server.url("small")
    site.write({"name": "door", "url": url})
    site.serve()
    site.is_live()
    with site.http.stream("GET", "/api/streams/events", timeout=PATIENCE_S) as stream, ThreadPoolExecutor() as threads:
        next(stream.iter_lines())
        own_rtsp_server.freeze()
        trying = f"{site.server.url}/api/cameras/test-connection"
        trial = threads.submit(httpx.post, trying, json={"url": url}, timeout=PATIENCE_S)
        site.comes(lambda: site.connections_to(url) >= 2)  # of the camera and of the connection test
        site.server.stop()
        own_rtsp_server.thaw()
        assert trial.exception() or trial.result().status_code >= 500
    assert "Traceback" not in "".join(site.server.log)


def test_listeners_who_leave_give_their_places_back(site):
    site.write({"name": "street", "url": "whip:"})
    site.serve()
    for _ in range(MAX_LISTENERS + 10):
        assert site.news("/api/streams/events", "camera")["name"] == "street"
    assert site.http.get("/api/streams/absent/results").status_code == 404
