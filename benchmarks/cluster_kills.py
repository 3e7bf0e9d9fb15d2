"""How long cameras are away when a worker or a node is killed, on a Ray cluster of three nodes with PostgreSQL."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from watch import Watch, watching

from stream_detect.cluster.nodes import environment_of_ray
from tests.rtsp.films import FILMS
from tests.rtsp.peer import RtspServer
from tests.storage.conftest import Cluster as PostgreSQL

NODES = ("one", "two", "three")
OBJECT_STORE_BYTES = 80_000_000
START_S = 180.0
RECOVER_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Recoveries:
    """Seconds from each kill until all cameras were live."""

    worker_s: Sequence[float]
    node_s: Sequence[float]


class RayCluster:
    """Three nodes of Ray on this machine."""

    def __init__(self) -> None:
        os.environ.update(environment_of_ray(""))
        from ray.cluster_utils import Cluster  # noqa: PLC0415 - Ray reads its environment while it is imported

        self._cluster: Any = Cluster()
        self._nodes: dict[str, Any] = {}
        for name in NODES:
            self.add(name)

    @property
    def address(self) -> str:
        """Where it is joined."""
        return str(self._cluster.address)

    def add(self, name: str) -> None:
        """A node joins."""
        self._nodes[name] = self._cluster.add_node(
            node_name=name, num_cpus=1, object_store_memory=OBJECT_STORE_BYTES, include_dashboard=False, wait=False
        )

    def processes(self, name: str) -> list[Any]:
        """Of a node, with those that they started."""
        own = [psutil.Process(info.process.pid) for infos in self._nodes[name].all_processes.values() for info in infos]
        return [*own, *(child for one in own for child in one.children(recursive=True))]

    def kill_worker(self, name: str) -> None:
        """The process that watches a node's cameras."""
        for one in self.processes(name):
            if one.name().startswith("ray::Worker"):
                one.kill()

    def kill_node(self, name: str) -> None:
        """All processes of a node."""
        for one in self.processes(name):
            one.kill()

    def replace(self, name: str) -> None:
        """A killed node's successor joins."""
        self._cluster.remove_node(self._nodes.pop(name), allow_graceful=False)
        self.add(name)

    def close(self) -> None:
        """Ends all of its processes."""
        self._cluster.shutdown()


def recoveries(count: int, kills: int, folder: Path) -> Recoveries:
    """Kill so many workers, and so many nodes, of a server that watches so many cameras."""
    with _ray() as ray, _database() as url, RtspServer(folder) as peer:
        addresses = [peer.mount(f"face{number}", FILMS["face"]) for number in range(count)]
        environment = {"CLUSTER__WORKERS": "1", "CLUSTER__ADDRESS": ray.address, "STORAGE__DATABASE_URL": url}
        with watching(addresses, folder, environment=environment) as watch:
            _wait_ready(watch)
            worker_s, node_s = [], []
            for _ in range(kills):
                victim = _victim(watch)
                killed_s = time.monotonic()
                ray.kill_worker(victim)
                worker_s.append(_recovered_s(watch, killed_s))
                _wait_ready(watch)
            for _ in range(kills):
                victim = _victim(watch)
                killed_s = time.monotonic()
                ray.kill_node(victim)
                node_s.append(_recovered_s(watch, killed_s))
                ray.replace(victim)
                _wait_ready(watch)
    return Recoveries(worker_s, node_s)


def _victim(watch: Watch) -> str:
    """The node with the most cameras, but never the first: Ray's own head is there."""
    nodes = [node for node in watch.nodes() if node["id"] != NODES[0]]
    return str(max(nodes, key=lambda node: len(node["cameras"]))["id"])


def _recovered_s(watch: Watch, killed_s: float) -> float:
    """Seconds from the kill until all cameras are live, once one was not.

    Raises:
        RuntimeError: nothing was lost, or it did not come back in a minute.
    """
    lost = False
    while (elapsed_s := time.monotonic() - killed_s) < RECOVER_S:
        live = all(camera.state == "live" for camera in watch.cameras())
        if lost and live:
            return elapsed_s
        lost = lost or not live
        time.sleep(POLL_S)
    raise RuntimeError(f"expected cameras to be lost and live again, received {watch.cameras()}")


def _wait_ready(watch: Watch) -> None:
    deadline_s = time.monotonic() + START_S
    while sorted(node["id"] for node in watch.nodes() if node["state"] == "ready") != sorted(NODES):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"expected three nodes that are ready, received {watch.nodes()}")
        time.sleep(POLL_S)
    watch.wait("live")


@contextmanager
def _ray() -> Iterator[RayCluster]:
    cluster = RayCluster()
    try:
        yield cluster
    finally:
        cluster.close()


@contextmanager
def _database() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="sd-pg-") as name:  # its user is another one than ours
        Path(name).chmod(0o755)
        server = PostgreSQL(Path(name))
        server.start()
        try:
            yield server.new()
        finally:
            server.stop()
