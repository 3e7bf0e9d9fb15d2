"""A server on a real Ray cluster of three nodes: cameras and viewers survive the loss of a worker and of a node."""

import os
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from tests.cluster.ray_cluster import NODES
from tests.cluster.site import PROGRAM, START_S, ClusterSite, cameras_at, serving
from tests.patience import in_time, until

CAMERAS = ("c0", "c1", "c2")
PUBLISHED = "street"


@pytest.fixture(scope="module")
def site(ray_cluster, postgresql, rtsp_server, tmp_path_factory):
    """A server with three cameras and a worker on each node."""
    folder, url = tmp_path_factory.mktemp("site"), rtsp_server.url("small")
    settings = {
        "cameras": cameras_at({**dict.fromkeys(CAMERAS, url), PUBLISHED: "whip:"}),
        "storage": {"database_url": postgresql.new()},
    }
    with serving(ClusterSite(ray_cluster.address, folder, settings)) as made:
        yield made


def test_each_node_watches_a_camera_and_shows_it(site):
    site.ready(*NODES)
    assert set(site.nodes()) == set(NODES)
    assert sorted(name for node in site.nodes().values() for name in node["cameras"]) == sorted([*CAMERAS, PUBLISHED])
    picture = site.http.get("/api/cameras/c1/snapshot.jpg").raise_for_status()
    assert cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR) is not None
    assert site.readiness()["ready"] is True


def test_a_publisher_sends_to_the_worker_that_has_the_camera(site):
    site.ready(*NODES)
    site.publish(PUBLISHED)
    site.live(PUBLISHED)
    site.watch(PUBLISHED)


def test_a_worker_is_killed_before_its_viewer(site, ray_cluster):
    site.ready(*NODES)
    site.watch("c0")
    # Ignores events from the start, when the server was waiting for workers.
    node, killed_at_s = site.node_of("c0"), time.time()
    ray_cluster.kill_worker(node)
    until(lambda: site.is_lost("c0", killed_at_s), describe=site.summary)
    site.live("c0")
    assert any((camera, origin) == ("c0", node) for camera, origin, _ in site.moves())
    site.watch("c0")  # answered by the worker that has it now
    until(lambda: site.states()[node] == "ready", START_S, describe=site.summary)  # Ray restarts it
    events = site.events(kind="offline", camera="c0", from_=str(killed_at_s))
    assert len(events) == 1
    assert "does not answer" in events[0]["reason"] or "has ended" in events[0]["reason"]
    until(lambda: site.get(f"/api/events/{events[0]['id']}")["ended_s"])


def test_a_node_is_drained_by_the_command_and_used_again(site):
    site.ready(*NODES)
    node = site.node_of("c1")
    assert node in site.cluster("leases")
    assert f"{node} is drained" in site.cluster("drain", node)
    site.live("c1", but=node)
    until(lambda: not site.nodes()[node]["cameras"] and site.states()[node] == "drained", describe=site.summary)
    assert ("c1", node, f"the node {node} is drained") in site.moves()
    assert f"drained: {node}" in site.cluster("leases")
    assert f"c1: {site.node_of('c1')}/" in site.cluster("leases")
    site.cluster("undrain", node)
    until(lambda: site.states()[node] == "ready", describe=site.summary)
    assert "drained" not in site.cluster("leases")


def test_a_node_is_killed_and_its_cameras_go_on_elsewhere(site, ray_cluster):
    site.ready(*NODES)
    # The first one has Ray's own head, and with it the server.
    node = next(one for one in map(site.node_of, CAMERAS) if one != NODES[0])
    there = [name for name in CAMERAS if site.node_of(name) == node]
    killed_at_s = time.time()
    with in_time():
        ray_cluster.kill_node(node)
        until(lambda: site.is_lost(there[0], killed_at_s), describe=site.summary)
        site.live(*there, but=node)
    ray_cluster.remove(node)
    until(lambda: site.states()[node] == "lost", START_S, describe=site.summary)
    site.live(*CAMERAS)
    for name in there:
        assert site.node_of(name) != node
        site.watch(name)
    metrics = site.http.get("/metrics").text
    assert f'stream_detect_cluster_node_state{{node="{node}",state="lost"}} 1.0' in metrics
    assert site.readiness()["ready"] is True
    ray_cluster.add(node)
    site.ready(*NODES)


def test_sqlite_is_refused_where_there_are_several_nodes(ray_cluster, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "serve", "--ray", ray_cluster.address],
        env={**os.environ, "STREAM_DETECT_STORAGE__FOLDER": str(tmp_path), "STREAM_DETECT_SERVER__PORT": "0"},
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "expected one node with SQLite" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
