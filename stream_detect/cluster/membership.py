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
"""How long a node that has gone is listed."""

SETTLE_S = 5.0
"""At a start, cameras wait so long for the other workers once the first is ready: else it would get all of them."""

log = logging.getLogger(__name__)

NodeState = Literal["ready", "starting", "drained", "refused", "lost"]
"""ready: watches cameras. starting: its workers load. drained: watches none, as an operator asked. refused: it has
another version or model. lost: no worker of it answers, or it left."""


@dataclass(frozen=True, slots=True)
class Move:
    """A camera went from one worker to another.

    Args:
        at_s: when the new worker got it, unix seconds.
        camera: its name.
        origin: node that had it.
        target: node that has it.
        why: a sentence.
    """

    at_s: float
    camera: str
    origin: str
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node, for people and metrics.

    Args:
        name: of the node.
        address: IP address.
        state: what it is doing.
        workers: that answer.
        load: load average by processors.
        cores: processors that its workers keep busy.
        rss_bytes: memory of its workers.
        cameras: names of those that it watches.
        analyses: of uploads that its workers do now.
        checks: live checks that its workers have now.
        problem: why it watches nothing; empty when all is well.
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
    """Which nodes there are; workers are started on each that comes. `start` once, then `close`. Thread-safe.

    Args:
        nodes: of the cluster; closed with it.
        workers_a_node: to be started on each.
        parts: what all workers share.
        changed: is called when nodes came or went.
    """

    def __init__(
        self, nodes: Nodes, workers_a_node: int, parts: RemoteWorkerParts, changed: Callable[[], None]
    ) -> None:
        self.problem = ""
        """Why nodes cannot be looked for; empty when all is well."""
        self._source = nodes
        self._workers_a_node = workers_a_node
        self._parts = parts
        self._changed = changed
        self._lock = threading.Lock()
        self._workers: dict[str, list[RemoteWorker]] = {}  # by the node's key
        self._nodes: dict[str, Node] = {}
        self._gone: dict[str, tuple[Node, float]] = {}  # by name, with when
        self._settled_at_s: float | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look_for_nodes, name="nodes", daemon=True)

    def start(self) -> None:
        """Begins to look for nodes; once."""
        self._thread.start()

    def end_workers(self) -> None:
        """Looks for nodes no more, and calls no worker; within a second."""
        self._closing.set()
        workers = self.workers()
        for worker in workers:
            worker.close()
        for worker in workers:
            worker.join(0.3)

    def close(self) -> None:
        """Ends the workers' processes."""
        self._source.close()

    def workers(self) -> list[RemoteWorker]:
        """All workers."""
        with self._lock:
            return [worker for workers in self._workers.values() for worker in workers]

    def hosts(self, costs: Mapping[RemoteWorker, float], drained: Collection[str]) -> list[Host]:
        """Workers that can take cameras and analyses.

        Args:
            costs: of what each has.
            drained: names of nodes that are to watch nothing.
        """
        return [
            Host(worker.name, worker.node.name, worker.node.cpus, costs.get(worker, 0.0))
            for worker in self.workers()
            if worker.ready and worker.node.name not in drained
        ]

    def settled(self, now_s: float) -> bool:
        """Whether all workers have begun, or were waited for long enough; once true, always true.

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
        """Of the nodes that are there."""
        with self._lock:
            return {node.name for node in self._nodes.values()}

    def a_link_of_each_node(self) -> list[WorkerLink]:
        """The way to one worker of each node that answers."""
        with self._lock:
            of_nodes = [[worker for worker in workers if worker.ready] for workers in self._workers.values()]
        return [ready[0].link for ready in of_nodes if ready]

    def statuses(
        self, drained: Collection[str], watched: Mapping[RemoteWorker, Sequence[str]], tasks: WorkerTasks
    ) -> list[NodeStatus]:
        """All nodes, by name; those that went in the last ten minutes among them.

        Args:
            drained: names of nodes that are to watch nothing.
            watched: names of the cameras of each worker that has any.
            tasks: of all workers.
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
        """The nodes thread."""
        while not self._closing.is_set():
            try:
                self._note_nodes(self._source.alive())
                self.problem = ""
            except StreamDetectError as error:
                self.problem = str(error)
            except Exception:  # the thread's edge: what fails now may work in a second
                log.exception("the nodes could not be looked for")
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
            log.info("node %s at %s takes part", node.name, node.address)
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
