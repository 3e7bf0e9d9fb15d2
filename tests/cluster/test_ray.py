"""A server on a real Ray cluster of three nodes: a worker is killed, and its camera goes on elsewhere."""

import json
import signal
import sys
import time

import httpx
import psutil
import pytest
import yaml

from stream_detect.cluster.nodes import environment_of_ray
from tests.patience import PATIENCE_S, until

NODES = ("one", "two", "three")
START_S = 4 * PATIENCE_S
"""Ray's processes and three workers start; seconds, and minutes where others work beside."""


@pytest.fixture(scope="module")
def ray_cluster():
    """Three nodes of Ray on this machine, without a dashboard, by their names."""
    monkeypatch = pytest.MonkeyPatch()
    for name, value in environment_of_ray("").items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - Ray reads its environment while it is imported

    cluster = Cluster()
    try:
        nodes = {name: added(cluster, name) for name in NODES}
        yield cluster, nodes
    finally:
        cluster.shutdown()
        monkeypatch.undo()


def added(cluster, name):
    """A node; tried again where its processes took longer than the 30 s that Ray waits for them."""
    for left in (2, 1, 0):
        try:
            return cluster.add_node(
                node_name=name, num_cpus=1, object_store_memory=80_000_000, include_dashboard=False, wait=False
            )
        except Exception as error:  # Ray raises no class of its own
            if left == 0 or "timed out during startup" not in str(error):
                raise
    raise AssertionError


def workers_of(node):
    """Processes of workers that a node's raylet started."""
    (raylet,) = (info.process.pid for info in node.all_processes["raylet"])
    return [
        child for child in psutil.Process(raylet).children(recursive=True) if child.name().startswith("ray::Worker")
    ]


class Site:
    """What is asked of the server."""

    def __init__(self, server):
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=PATIENCE_S)

    def get(self, path):
        return self.http.get(path).raise_for_status().json()

    def camera(self, name):
        return self.get(f"/api/cameras/{name}")

    def nodes(self):
        return {node["id"]: node for node in self.get("/api/cluster")["nodes"]}

    def live(self, *names, but=""):
        """Once all of these are live, on another node than `but`."""

        def look():
            cameras = [self.camera(name) for name in names]
            return all(one["state"] == "live" and one["width"] and one["node"] != but for one in cameras)

        until(look, START_S, said=lambda: (self.get("/api/cluster"), "".join(self.server.log)[-3000:]))


def test_a_worker_is_killed_and_its_camera_goes_on_elsewhere(ray_cluster, start_server, rtsp_server, tmp_path):
    cluster, nodes = ray_cluster
    names = [f"c{index}" for index in range(3)]
    file = tmp_path / "settings.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "cameras": [{"name": name, "url": rtsp_server.url("small")} for name in names],
                "monitoring": {"offline_after_s": 1},
                "cluster": {"lease_s": 3},
            }
        )
    )
    serve = (
        "import sys; from stream_detect.cli import main; "
        f"main(['serve', '--workers', '1', '--ray', {cluster.address!r}])"
    )
    site = Site(start_server((sys.executable, "-c", serve), SETTINGS=str(file)))
    site.live(*names)
    until(lambda: {node["state"] for node in site.nodes().values()} == {"ready"}, START_S, said=site.nodes)
    assert set(site.nodes()) == set(NODES)
    assert sorted(camera for node in site.nodes().values() for camera in node["cameras"]) == names

    # A worker's process. Events of the start, while workers were waited for, are not meant.
    node, killed_at_s = site.camera("c0")["node"], time.time()
    (worker,) = workers_of(nodes[node])
    worker.send_signal(signal.SIGKILL)
    until(lambda: site.camera("c0")["state"] == "lost_node")
    site.live(*names)
    moves = site.get("/api/cluster")["moves"]
    assert any((move["camera"], move["from"]) == ("c0", node) for move in moves)
    until(lambda: site.nodes()[node]["state"] == "ready", START_S)  # Ray starts it anew
    events = site.get(f"/api/events?kind=offline&camera=c0&from={killed_at_s}")["items"]
    assert len(events) == 1
    assert "does not answer" in events[0]["reason"] or "has ended" in events[0]["reason"]
    until(lambda: site.get(f"/api/events/{events[0]['id']}")["ended_s"])

    assert json.loads(site.http.get("/readyz").text)["ready"] is True
    site.http.close()
    site.server.stop()
