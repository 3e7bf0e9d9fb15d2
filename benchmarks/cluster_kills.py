"""How long cameras are away when a worker, a node or the server is killed: a Ray cluster of three nodes, PostgreSQL."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster_load import database, films
from watch import Watch, watching

from tests.cluster.ray_cluster import NODES, RayCluster

START_S = 180.0
RECOVER_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Recoveries:
    """Seconds from each kill until all cameras were live; the server is killed once, and started again at once."""

    worker_s: Sequence[float]
    node_s: Sequence[float]
    head_s: float


def recoveries(count: int, kills: int, folder: Path, say: Callable[[str], None]) -> Recoveries:
    """Kill so many workers, so many nodes, and the server once, which watches so many cameras.

    Args:
        count: cameras.
        kills: of workers, and of nodes.
        folder: takes films and logs.
        say: is told of each kill.
    """
    with RayCluster() as ray, films(count, folder) as addresses, database() as written:
        environment = {"CLUSTER__WORKERS": "1", "CLUSTER__ADDRESS": ray.address, "STORAGE__DATABASE_URL": written.url}
        with watching(addresses, folder, environment=environment, max_cameras=count) as watch:
            taken: dict[str, list[float]] = {"worker": [], "node": []}
            for what, seconds in taken.items():
                for number in range(1, kills + 1):
                    _wait_ready(watch)
                    victim, killed_s = _victim(watch), time.monotonic()
                    ray.kill_worker(victim) if what == "worker" else ray.kill_node(victim)
                    seconds.append(_recovered_s(watch, killed_s))
                    say(f"kill {number} of {kills}, {what} {victim}: all cameras live after {seconds[-1]:.1f} s")
                    if what == "node":
                        ray.remove(victim)
                        ray.add(victim)
            _wait_ready(watch)
            killed_s = time.monotonic()
            watch.restart()
            watch.wait("live")
            head_s = time.monotonic() - killed_s
            say(f"kill of the server: all cameras live after {head_s:.1f} s")
    return Recoveries(taken["worker"], taken["node"], head_s)


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
    """Until all nodes are ready, and a camera is on another one than the first.

    Raises:
        RuntimeError: they are not in time.
    """
    deadline_s = time.monotonic() + START_S
    while sorted(node["id"] for node in watch.nodes() if node["state"] == "ready") != sorted(NODES):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"expected three nodes that are ready, received {watch.nodes()}")
        time.sleep(POLL_S)
    watch.wait("live")
