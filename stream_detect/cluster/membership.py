"""Membership of the cluster: finds nodes, starts workers on them, and reports their status."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stream_detect.cluster.nodes import Node, Nodes, WorkerLink
from stream_detect.cluster.placement import Host
from stream_detect.cluster.remote_worker import RemoteWorker, RemoteWorkerParts
from stream_detect.cluster.tasks import WorkerTasks
from stream_detect.errors import StreamDetectError

NODES_S = 1.0

LOST_NODE_S = 600.0
"""How long a node that left is listed."""

SETTLE_S = 5.0
"""At a start, how long cameras wait for the other workers once the first is ready, which would otherwise get all of
them."""

log = logging.getLogger(__name__)

NodeState = Literal["ready", "starting", "drained", "refused", "lost"]
"""ready: watches cameras. starting: its workers are loading. drained: watches none, by an operator's request. refused:
it has another version or model. lost: none of its workers responds, or it left."""


@dataclass(frozen=True, slots=True)
class Move:
    """A camera moved from one worker to another.

    Args:
        at_s: when the new worker got it, unix seconds.
        camera: name of the camera.
        origin: previous node.
        target: new node.
        why: reason, a sentence.
    """

    at_s: float
    camera: str
    origin: str
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Status of a node, for people and metrics.

    Args:
        name: name of the node.
        address: IP address.
        state: its state.
        workers: number of responding workers.
        load: load average / processors.
        cores: processors used by its workers.
        rss_bytes: resident memory of its workers.
        cameras: names of its cameras.
        analyses: number of analyses on its workers.
        checks: number of live checks on its workers.
        problem: why it watches nothing; empty if all is well.
    """

    name: str
    address: str
    state: NodeState
    workers: int
    load: float
    cores: float
    rss_bytes: int
    cameras: tuple[str, ...]
    analyses: int
    checks: int
    problem: str


class Membership:
    """The nodes; starts workers on each new one. Call `start` once, then `close`. Thread-safe.

    Args:
        nodes: nodes of the cluster; closed with it.
        workers_a_node: number of workers per node.
        parts: parts shared by all workers.
        changed: called when nodes joined or left.
    """

    def __init__(
        self, nodes: Nodes, workers_a_node: int, parts: RemoteWorkerParts, changed: Callable[[], None]
    ) -> None:
        self.problem = ""
        """Why nodes cannot be listed; empty if all is well."""
        self._source = nodes
        self._workers_a_node = workers_a_node
        self._parts = parts
        self._changed = changed
        self._lock = threading.Lock()
        self._workers: dict[str, list[RemoteWorker]] = {}  # by the node's key
        self._nodes: dict[str, Node] = {}
        self._gone: dict[str, tuple[Node, float]] = {}  # by name, with the time
        self._settled_at_s: float | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look_for_nodes, name="nodes", daemon=True)

    def start(self) -> None:
        """Starts to look for nodes; call once."""
        self._thread.start()

    def end_workers(self) -> None:
        """Stops looking for nodes and calling workers, within a second."""
        self._closing.set()
        workers = self.workers()
        for worker in workers:
            worker.close()
        for worker in workers:
            worker.join(0.3)

    def close(self) -> None:
        """Ends the processes of the workers."""
        self._source.close()

    def workers(self) -> list[RemoteWorker]:
        """All workers."""
        with self._lock:
            return [worker for workers in self._workers.values() for worker in workers]

    def hosts(self, costs: Mapping[RemoteWorker, float], drained: Collection[str]) -> list[Host]:
        """Workers that can accept cameras and analyses.

        Args:
            costs: current cost of each.
            drained: names of drained nodes.
        """
        return [
            Host(worker.name, worker.node.name, worker.node.cpus, costs.get(worker, 0.0))
            for worker in self.workers()
            if worker.ready and worker.node.name not in drained
        ]

    def settled(self, now_s: float) -> bool:
        """Whether all workers have started, or the wait for them is over; once True, always True.

        Args:
            now_s: monotonic seconds.
        """
        workers = self.workers()
        if self._settled_at_s is None:
            if any(worker.ready for worker in workers):
                self._settled_at_s = now_s + SETTLE_S
            return False
        if now_s < self._settled_at_s and all(worker.ready or worker.problem for worker in workers):
            self._settled_at_s = now_s
        return now_s >= self._settled_at_s

    def names(self) -> set[str]:
        """Names of the current nodes."""
        with self._lock:
            return {node.name for node in self._nodes.values()}

    def a_link_of_each_node(self) -> list[WorkerLink]:
        """Link to one worker of each responding node."""
        with self._lock:
            of_nodes = [[worker for worker in workers if worker.ready] for workers in self._workers.values()]
        return [ready[0].link for ready in of_nodes if ready]

    def statuses(
        self, drained: Collection[str], watched: Mapping[RemoteWorker, Sequence[str]], tasks: WorkerTasks
    ) -> list[NodeStatus]:
        """All nodes, by name, including those that left in the last ten minutes.

        Args:
            drained: names of drained nodes.
            watched: names of the cameras of each worker with any.
            tasks: tasks of all workers.
        """
        with self._lock:
            there = [(node, list(self._workers.get(key, ()))) for key, node in self._nodes.items()]
            gone = [node for node, _ in self._gone.values()]
        found = [_status_of(node, workers, drained, watched, tasks) for node, workers in there]
        names = {status.name for status in found}
        found += [
            NodeStatus(node.name, node.address, "lost", 0, 0.0, 0.0, 0, (), 0, 0, "it left the cluster")
            for node in gone
            if node.name not in names
        ]
        return sorted(found, key=lambda status: status.name)

    def _look_for_nodes(self) -> None:
        """Thread that looks for nodes."""
        while not self._closing.is_set():
            try:
                self._note_nodes(self._source.alive())
                self.problem = ""
            except StreamDetectError as error:
                self.problem = str(error)
            except Exception:  # top of the thread: a failure may not occur again in a second
                log.exception("the list of nodes could not be read")
            self._closing.wait(NODES_S)

    def _note_nodes(self, nodes: Sequence[Node]) -> None:
        there = {node.key: node for node in nodes}
        with self._lock:
            for key in [key for key in self._nodes if key not in there]:
                node = self._nodes.pop(key)
                self._gone[node.name] = node, time.monotonic()
                log.warning("node %s left the cluster", node.name)
                for worker in self._workers.pop(key, []):
                    worker.close()
            self._gone = {
                name: (node, at_s)
                for name, (node, at_s) in self._gone.items()
                if time.monotonic() - at_s < LOST_NODE_S and name not in {one.name for one in nodes}
            }
            new = [node for node in nodes if node.key not in self._nodes]
            for node in nodes:
                if node.key in self._nodes and node.name != self._nodes[node.key].name:
                    self._nodes[node.key] = node
                    for worker in self._workers.get(node.key, ()):
                        worker.rename(node)
        for node in new:
            log.info("node %s at %s joined the cluster", node.name, node.address)
            workers = [
                RemoteWorker(node, index, self._source.start_worker(node, index), self._parts)
                for index in range(self._workers_a_node)
            ]
            with self._lock:
                self._nodes[node.key], self._workers[node.key] = node, workers
            for worker in workers:
                worker.start()
        self._changed()


def _status_of(
    node: Node,
    workers: Sequence[RemoteWorker],
    drained: Collection[str],
    watched: Mapping[RemoteWorker, Sequence[str]],
    tasks: WorkerTasks,
) -> NodeStatus:
    ready = [worker for worker in workers if worker.ready]
    problem = next((worker.problem for worker in workers if worker.problem), "")
    begun = any(worker.current is not None for worker in workers)
    if node.name in drained:
        state: NodeState = "drained"
    elif ready:
        state = "ready"
    else:
        state = "refused" if problem else "lost" if begun else "starting"
    cameras = [name for worker in workers for name in watched.get(worker, ())]
    analyses, checks = tasks.analyses(), tasks.checks()
    return NodeStatus(
        name=node.name,
        address=node.address,
        state=state,
        workers=len(ready),
        load=max((worker.load.node for worker in ready), default=0.0),
        cores=round(sum(worker.load.cores for worker in ready), 3),
        rss_bytes=sum(worker.load.rss_bytes for worker in ready),
        cameras=tuple(sorted(cameras)),
        analyses=sum(analyses[worker] for worker in workers),
        checks=sum(checks[worker] for worker in workers),
        problem=problem,
    )
