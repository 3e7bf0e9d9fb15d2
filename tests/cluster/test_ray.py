"""A server on a real Ray cluster of three nodes: a worker and a node are killed, and cameras and viewers go on."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
import pytest
import yaml
from aiortc import VideoStreamTrack

from stream_detect.cluster.nodes import environment_of_ray
from tests.patience import PATIENCE_S, until
from tests.storage.conftest import Cluster as PostgreSQL
from tests.webrtc.peers import Publisher, Screen

NODES = ("one", "two", "three")
CAMERAS = ("c0", "c1", "c2")
PUBLISHED = "studio"
START_S = 4 * PATIENCE_S
"""Ray's processes and three workers start; seconds, and minutes where others work beside."""
FRAMES = 5
PROGRAM = "import sys; from stream_detect.cli import main; main(sys.argv[1:])"


@pytest.fixture(scope="module")
def ray_cluster():
    """Three nodes of Ray on this machine, without a dashboard, by their names; none of their processes is left."""
    monkeypatch = pytest.MonkeyPatch()
    for name, value in environment_of_ray("").items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - Ray reads its environment while it is imported

    cluster = Cluster()
    nodes = {}
    try:
        for name in NODES:
            nodes[name] = added(cluster, name)
        yield cluster, nodes
    finally:
        started = [one for node in nodes.values() for one in processes_of(node)]
        cluster.shutdown()
        _, left = psutil.wait_procs(started, PATIENCE_S)
        for process in left:
            process.kill()
        monkeypatch.undo()
    assert not left


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


def processes_of(node):
    """All processes of a node, with those that its raylet started."""
    own = [info.process.pid for infos in node.all_processes.values() for info in infos]
    found = [psutil.Process(pid) for pid in own if psutil.pid_exists(pid)]
    return [*found, *(child for one in found for child in one.children(recursive=True))]


def worker_of(node):
    """The process of the worker on a node."""
    (worker,) = (one for one in processes_of(node) if one.name().startswith("ray::Worker"))
    return worker


class Site:
    """What is asked of the server, and viewers of its cameras, as real connections."""

    def __init__(self, server, settings):
        self.server, self._settings = server, settings
        self.http = httpx.Client(base_url=server.url, timeout=PATIENCE_S)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._ends = []

    def get(self, path):
        return self.http.get(path).raise_for_status().json()

    def camera(self, name):
        return self.get(f"/api/cameras/{name}")

    def node_of(self, name):
        return self.camera(name)["node"]

    def nodes(self):
        return {node["id"]: node for node in self.get("/api/cluster")["nodes"]}

    def states(self):
        return {name: node["state"] for name, node in self.nodes().items()}

    def moves(self):
        return {(move["camera"], move["from"], move["why"]) for move in self.get("/api/cluster")["moves"]}

    def said(self):
        return self.get("/api/cluster"), "".join(self.server.log)[-3000:]

    def live(self, *names, but=""):
        """Once all of these are live, on another node than `but`."""

        def look():
            cameras = [self.camera(name) for name in names]
            return all(one["state"] == "live" and one["width"] and one["node"] not in {"", but} for one in cameras)

        until(look, START_S, said=self.said)

    def ready(self, *names):
        """Once these nodes can take cameras, and all cameras are live."""
        until(lambda: self.states() == dict.fromkeys(names, "ready"), START_S, said=self.said)
        self.live(*CAMERAS)

    def cluster(self, *arguments):
        """What `stream-detect cluster` says."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "cluster", *arguments],
            env={**os.environ, **{f"STREAM_DETECT_{name}": value for name, value in self._settings.items()}},
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def watch(self, camera):
        """Once a viewer has seen some frames."""
        asyncio.run_coroutine_threadsafe(self._watch(camera), self._loop).result(START_S)

    async def _watch(self, camera):
        screen = Screen()
        await self._open(screen, f"/whep/{camera}")
        await screen.more(FRAMES)

    def publish(self, camera):
        """A publisher, whose answer has come."""
        asyncio.run_coroutine_threadsafe(self._publish(camera), self._loop).result(START_S)

    async def _publish(self, camera):
        await self._open(Publisher(VideoStreamTrack()), f"/whip/{camera}")

    async def _open(self, end, path):
        self._ends.append(end)
        content, headers = await end.offer(), {"Content-Type": "application/sdp"}
        answer = await asyncio.to_thread(self.http.post, path, content=content, headers=headers)
        assert answer.status_code == httpx.codes.CREATED, (answer.text, self.said())
        await end.accept(answer.text)

    def close(self):
        for end in self._ends:
            asyncio.run_coroutine_threadsafe(end.close(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()
        self.http.close()


@pytest.fixture(scope="module")
def postgresql_url():
    with tempfile.TemporaryDirectory(prefix="sd-pg-") as name:
        Path(name).chmod(0o755)
        server = PostgreSQL(Path(name))
        server.start()
        try:
            yield server.new()
        finally:
            server.stop()


@pytest.fixture(scope="module")
def site(ray_cluster, postgresql_url, run_server, rtsp_server, tmp_path_factory):
    """A server with three cameras and a worker on each node."""
    cluster, _ = ray_cluster
    file = tmp_path_factory.mktemp("settings") / "settings.yaml"
    url = rtsp_server.url("small")
    settings = {
        "cameras": [*({"name": name, "url": url} for name in CAMERAS), {"name": PUBLISHED, "url": "whip:"}],
        "monitoring": {"offline_after_s": 1},
        "cluster": {"lease_s": 3},
    }
    file.write_text(yaml.safe_dump(settings))
    given = {"SETTINGS": str(file), "STORAGE__DATABASE_URL": postgresql_url}
    serve = (sys.executable, "-c", PROGRAM, "serve", "--workers", "1", "--ray", cluster.address)
    with run_server(serve, **given) as server:
        made = Site(server, given)
        try:
            yield made
        finally:
            made.close()
        server.stop()


def test_each_node_watches_a_camera_and_shows_it(site):
    site.ready(*NODES)
    assert set(site.nodes()) == set(NODES)
    assert sorted(name for node in site.nodes().values() for name in node["cameras"]) == sorted([*CAMERAS, PUBLISHED])
    picture = site.http.get("/api/cameras/c1/snapshot.jpg").raise_for_status()
    assert cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR) is not None
    assert json.loads(site.http.get("/readyz").text)["ready"] is True


def test_a_publisher_sends_to_the_worker_that_has_the_camera(site):
    site.ready(*NODES)
    site.publish(PUBLISHED)
    site.live(PUBLISHED)
    site.watch(PUBLISHED)


def test_a_worker_is_killed_before_its_viewer(site, ray_cluster):
    _, nodes = ray_cluster
    site.ready(*NODES)
    site.watch("c0")
    # Events of the start, while workers were waited for, are not meant.
    node, killed_at_s = site.node_of("c0"), time.time()
    worker_of(nodes[node]).send_signal(signal.SIGKILL)
    until(lambda: site.camera("c0")["state"] == "lost_node", said=site.said)
    site.live("c0")
    assert any((camera, origin) == ("c0", node) for camera, origin, _ in site.moves())
    site.watch("c0")  # answered by the worker that has it now
    until(lambda: site.states()[node] == "ready", START_S, said=site.said)  # Ray starts it anew
    events = site.get(f"/api/events?kind=offline&camera=c0&from={killed_at_s}")["items"]
    assert len(events) == 1
    assert "does not answer" in events[0]["reason"] or "has ended" in events[0]["reason"]
    until(lambda: site.get(f"/api/events/{events[0]['id']}")["ended_s"])


def test_a_node_is_drained_by_the_command_and_used_again(site):
    site.ready(*NODES)
    node = site.node_of("c1")
    assert node in site.cluster("leases")
    assert f"{node} is drained" in site.cluster("drain", node)
    site.live("c1", but=node)
    until(lambda: not site.nodes()[node]["cameras"] and site.states()[node] == "drained", said=site.said)
    assert ("c1", node, f"the node {node} is drained") in site.moves()
    assert f"drained: {node}" in site.cluster("leases")
    assert f"c1: {site.node_of('c1')}/" in site.cluster("leases")
    site.cluster("undrain", node)
    until(lambda: site.states()[node] == "ready", said=site.said)
    assert "drained" not in site.cluster("leases")


def test_a_node_is_killed_and_its_cameras_go_on_elsewhere(site, ray_cluster):
    """Last: the node does not come back."""
    cluster, nodes = ray_cluster
    site.ready(*NODES)
    # The first one has Ray's own head, and with it the server.
    node = next(one for one in map(site.node_of, CAMERAS) if one != NODES[0])
    there = [name for name in CAMERAS if site.node_of(name) == node]
    processes = processes_of(nodes[node])
    killed_s = time.monotonic()
    for process in processes:
        process.kill()
    until(lambda: site.camera(there[0])["state"] == "lost_node", said=site.said)
    site.live(*there, but=node)
    assert time.monotonic() - killed_s < PATIENCE_S
    cluster.remove_node(nodes.pop(node), allow_graceful=False)
    until(lambda: site.states()[node] == "lost", START_S, said=site.said)
    site.live(*CAMERAS)
    for name in there:
        assert site.node_of(name) != node
        site.watch(name)
    metrics = site.http.get("/metrics").text
    assert f'stream_detect_cluster_node_state{{node="{node}",state="lost"}} 1.0' in metrics
    assert json.loads(site.http.get("/readyz").text)["ready"] is True


def test_sqlite_is_refused_where_there_are_several_nodes(ray_cluster, tmp_path):
    cluster, _ = ray_cluster
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "serve", "--ray", cluster.address],
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
