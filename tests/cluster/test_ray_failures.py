"""On a real Ray cluster: loss of the server, of its database, or of the worker whose camera's page is open."""

import time

import pytest

from tests.alerts.conftest import Receiver
from tests.cluster.ray_cluster import NODES
from tests.cluster.site import ClusterSite, cameras_at, serving
from tests.patience import until

pytestmark = pytest.mark.browser
CAMERAS = ("c0", "c1", "c2")
SAMPLES = 30
"""Six seconds: twice the lease of a worker."""
MOVES_ON = "video => video.videoWidth > 0 && video.currentTime > 1 ? video.srcObject.id : ''"


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture(scope="module")
def settings(rtsp_server, postgresql, suspicious_model, receiver):
    """Settings of a server that calls the faces of its three cameras fake."""
    return {
        "cameras": cameras_at(dict.fromkeys(CAMERAS, rtsp_server.url("small"))),
        "storage": {"database_url": postgresql.new()},
        "model": {"folder": str(suspicious_model)},
        "window": {"min_scores": 3, "min_dwell_s": 0.2},
        "webhooks": [{"name": "ops", "url": receiver.url}],
        "alerts": {"min_interval_s": 0},
    }


@pytest.fixture(scope="module")
def running(ray_cluster, settings, tmp_path_factory):
    """The server with these settings, and a worker on each node."""
    with serving(ClusterSite(ray_cluster.address, tmp_path_factory.mktemp("site"), settings)) as site:
        yield site


@pytest.fixture
def site(running):
    """It, once all is well again after the previous test."""
    running.ready(*NODES)
    return running


def fakes(site, **wanted):
    """Fake events, each with its camera."""
    return {event["id"]: event for event in site.events(kind="fake", **wanted)}


def open_fakes(site):
    """Waits until each camera has an ongoing fake event."""

    def look():
        found = fakes(site, open="true")
        return found if sorted(event["camera"] for event in found.values()) == sorted(CAMERAS) else None

    return until(look, describe=site.summary)


def announced(receiver):
    """Messages announced so far: type and event of each; one may come twice, with its id (docs/operations.md)."""
    messages = {request.json["id"]: request.json for request in receiver.requests}
    return [(message["type"], message["event"]["id"]) for message in messages.values() if message["event"]]


@pytest.mark.parametrize("end", [ClusterSite.kill, ClusterSite.stop], ids=["killed", "stopped"])
def test_the_server_ends_and_the_next_one_watches_all_cameras(site, receiver, end):
    before = open_fakes(site)
    until(lambda: {("event.began", name) for name in before} <= set(announced(receiver)))
    end(site)
    site.serve()
    site.live(*CAMERAS)
    after = open_fakes(site)
    assert not set(after) & set(before)
    kept = fakes(site)
    assert all(kept[name]["ended_s"] is not None for name in before)
    until(lambda: {("event.began", name) for name in after} <= set(announced(receiver)))
    begun = [message for message in announced(receiver) if message[0] == "event.began"]
    assert len(begun) == len(set(begun))


def test_the_database_is_away_and_cameras_wait_only_where_their_worker_is_killed(
    site, ray_cluster, postgresql, receiver
):
    open_fakes(site)
    postgresql.stop()
    until(lambda: any("PostgreSQL" in problem for problem in problems(site)), describe=site.summary)
    before = analysed(site)
    until(lambda: all(count > before[name] + SAMPLES for name, count in analysed(site).items()), describe=site.summary)
    assert all(site.camera(name)["state"] == "live" for name in CAMERAS)
    moves = site.moves()
    node = site.node_of("c0")
    there = [name for name in CAMERAS if site.node_of(name) == node]
    killed_at_s = str(time.time())
    ray_cluster.kill_worker(node)
    until(lambda: any("cameras wait for the database" in problem for problem in problems(site)), describe=site.summary)
    assert {site.camera(name)["state"] for name in there} == {"lost_node"}
    others = {name: count for name, count in analysed(site).items() if name not in there}
    until(lambda: all(analysed(site)[name] > count + SAMPLES for name, count in others.items()), describe=site.summary)
    assert site.moves() == moves
    postgresql.start()
    site.live(*CAMERAS)
    until(lambda: site.readiness()["ready"], describe=site.summary)
    (dark,) = until(lambda: site.events(kind="offline", camera="c0", from_=killed_at_s), describe=site.summary)
    until(lambda: site.get(f"/api/events/{dark['id']}")["ended_s"])
    until(lambda: ("event.ended", dark["id"]) in announced(receiver), describe=lambda: announced(receiver))
    assert len(announced(receiver)) == len(set(announced(receiver)))


def analysed(site):
    return {name: site.camera(name)["counts"]["analysed"] for name in CAMERAS}


def problems(site):
    return site.get("/api/status")["problems"]


def test_the_page_plays_on_when_the_worker_of_its_camera_is_killed(site, ray_cluster, visit):
    opened = visit(at=site.server, expected="the server responded with a status of")
    opened.page.evaluate("window.location.hash = '#/cameras/c0'")
    video = opened.page.get_by_test_id("video")
    before = opened.until(lambda: video.count() and video.evaluate(MOVES_ON))
    node = site.node_of("c0")
    ray_cluster.kill_worker(node)
    after = opened.until(lambda: video.count() and (now := video.evaluate(MOVES_ON)) != before and now)
    assert after
    site.live("c0")
