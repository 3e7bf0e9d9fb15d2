"""The head: grants each camera to one worker, and watches nodes and workers.

nodes thread:      finds nodes, starts workers on each (membership.py)
leases thread:     renews in the database the server's own lease, and those of workers that answer
control thread:    grants cameras to workers, takes them back, declares workers lost
one per worker:    sends orders and renewals, receives states and results (remote_worker.py)
"""

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stream_detect.cameras.observer import Observer, Observers
from stream_detect.cluster.camera import Inbox, Placement, RemoteCamera
from stream_detect.cluster.leadership import Leadership
from stream_detect.cluster.membership import Membership, Move, NodeStatus
from stream_detect.cluster.messages import (
    Assignment,
    EvidenceRequest,
    ModelOrder,
    Orders,
)
from stream_detect.cluster.nodes import Nodes, WorkerLink
from stream_detect.cluster.placement import CHECK_COST, Host, choose, cost
from stream_detect.cluster.remote_worker import QUIET_S, Incarnation, RemoteWorker, RemoteWorkerParts
from stream_detect.cluster.tasks import WorkerTasks
from stream_detect.cluster.worker.hosting import WorkerSettings
from stream_detect.errors import CapacityError, ConflictError, StorageError
from stream_detect.settings import CameraSettings
from stream_detect.storage.leases import Leases
from stream_detect.storage.records import Event
from stream_detect.types import Result

STEP_S = 0.1
GRANT_AGAIN_S = 0.5

MAX_MOVES = 100
"""Number of moves kept for the page."""

RETRY_AFTER_S = 2
"""When a client may try again if its camera has no worker now."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeadParts:
    """Parts of the head.

    Args:
        nodes: nodes of the cluster; closed with the head.
        leases: table of leases.
        model: returns the current model.
        listened: returns the cameras whose results somebody follows.
        alone: no other server can use this database (SQLite in a locked folder).
    """

    nodes: Nodes
    leases: Leases
    model: Callable[[], ModelOrder]
    listened: Callable[[], frozenset[str]]
    alone: bool


class Head:
    """Assigns cameras to workers. Call `start` once, then `close`; `camera` makes the cameras of a fleet. Thread-safe.

    Args:
        settings: passed to each worker.
        parts: its parts.
    """

    def __init__(self, settings: WorkerSettings, parts: HeadParts) -> None:
        self._settings = settings.cluster
        self._parts = parts
        holder = f"{socket.gethostname()}:{settings.storage.folder}"
        self._leadership = Leadership(parts.leases, holder, settings.cluster.lease_s, self._holders, alone=parts.alone)
        self._lock = threading.RLock()
        self._active: list[RemoteCamera] = []  # those that are wanted or have a worker
        self.inbox = Inbox()
        """Processes the reports of workers."""
        self._not_before: dict[str, float] = {}
        self._moves: deque[Move] = deque(maxlen=MAX_MOVES)
        self._observer: Observer = Observers(())
        self._due = threading.Event()
        self._closing = threading.Event()
        self._grant_at_s = -1e9
        self._grant_problem = ""
        worker_parts = RemoteWorkerParts(
            settings.model_dump(),
            parts.model,
            lambda: self._leadership.holds,
            parts.listened,
            self.inbox.take,
            self._wake,
            self._end,
        )
        self._membership = Membership(parts.nodes, settings.cluster.workers_a_node, worker_parts, self._wake)
        self.tasks = WorkerTasks(
            self._membership.workers,
            lambda: self._hosts(list(self._active)),
            lambda: self._leadership.drained,
            settings.cluster.lease_s,
        )
        """Tasks of workers other than cameras."""
        self._thread = threading.Thread(target=self._run, name="cluster", daemon=True)

    def start(self) -> None:
        """Becomes the leading server, and starts workers.

        Raises:
            StorageError: another server leads, or the database cannot be used.
        """
        until_s = time.monotonic() + self._settings.lease_s
        self._not_before = dict.fromkeys(self._leadership.start(), until_s)
        self._membership.start()
        self._thread.start()

    def close(self) -> None:
        """Ends all workers within a second; cameras must be stopped before. Releases the leases."""
        self._closing.set()
        self._due.set()
        self._membership.end_workers()
        self._leadership.close([camera.name for camera in self._active])
        self._membership.close()

    def camera(self, settings: CameraSettings) -> RemoteCamera:
        """Makes a stopped camera; nothing happens before it is started.

        Args:
            settings: valid settings of the camera.
        """
        return RemoteCamera(settings, self._observer, self._note)

    def observe(self, observer: Observer) -> None:
        """Sets the observer of cameras made from now on."""
        self._observer = observer

    def keep(self, event: Event, result: Result) -> bool:
        """Lets the camera's worker keep evidence of an event that began, if it is enabled.

        Returns:
            False if the camera has no worker.
        """
        with self._lock:
            camera = next((one for one in self._active if one.name == event.camera), None)
        if camera is None or not camera.settings.evidence:
            return True
        placement = camera.placement
        if placement is None:
            return False
        self.inbox.request_evidence(placement.incarnation, EvidenceRequest(event, result))
        return True

    def link_of(self, camera: str) -> WorkerLink:
        """Link to the worker that has a camera.

        Raises:
            CapacityError: no worker has it now.
        """
        placement = self._placement_of(camera)
        if placement is None or placement.lost or placement.withdrawn:
            raise CapacityError(f"no worker has the camera {camera} at present; try again in a moment", RETRY_AFTER_S)
        return placement.worker.link

    @property
    def problems(self) -> tuple[str, ...]:
        """Current problems, in sentences."""
        workers = self._membership.workers()
        found = [self._leadership.problem, self._grant_problem, self._membership.problem]
        found += [f"worker {worker.name}: {worker.problem}" for worker in workers if worker.problem]
        if not any(worker.ready for worker in workers):
            found.append("no worker is ready")
        waiting = [camera.name for camera in list(self._active) if camera.wanted and camera.placement is None]
        pins = {
            camera.settings.node for camera in list(self._active) if camera.name in waiting and camera.settings.node
        }
        absent = sorted(pins - self._membership.names())
        found += [f"the node {pin} is not there, and cameras are pinned to it" for pin in absent]
        return tuple(one for one in found if one)

    @property
    def ice_problems(self) -> tuple[str, ...]:
        """Problems of STUN and TURN servers as seen by the nodes, in sentences that start with the server."""
        ready = [worker for worker in self._membership.workers() if worker.ready]
        found = [f"{problem}, from the node {worker.node.name}" for worker in ready for problem in worker.ice_problems]
        return tuple(dict.fromkeys(found))  # the workers of a node report the same

    @property
    def moves(self) -> tuple[Move, ...]:
        """The newest moves, newest first."""
        return tuple(reversed(self._moves))

    def a_link_of_each_node(self) -> list[WorkerLink]:
        """Link to one worker of each responding node."""
        return self._membership.a_link_of_each_node()

    def statuses(self) -> list[NodeStatus]:
        """All nodes, by name, including those that left in the last ten minutes."""
        watched: dict[RemoteWorker, list[str]] = {}
        for camera in list(self._active):
            placement = camera.placement
            if placement is not None and not placement.lost:
                watched.setdefault(placement.worker, []).append(camera.name)
        return self._membership.statuses(self._leadership.drained, watched, self.tasks)

    def _placement_of(self, camera: str) -> Placement | None:
        with self._lock:
            return next((one.placement for one in self._active if one.name == camera and one.placement), None)

    def _holders(self) -> list[str]:
        """Holders whose leases are to be renewed."""
        held = [worker.current for worker in self._membership.workers() if worker.quiet_s < self._settings.lease_s]
        return [one.holder for one in held if one is not None]

    def _note(self, camera: RemoteCamera) -> None:
        with self._lock:
            if camera not in self._active:
                self._active.append(camera)
        self._wake()

    def _wake(self) -> None:
        self._due.set()

    def _end(self, incarnation: Incarnation) -> None:
        if not self._closing.is_set():  # otherwise the next start of the server says which clips are lost
            self.inbox.end(incarnation)

    def _run(self) -> None:
        """The control thread."""
        while not self._closing.is_set():
            self._due.wait(STEP_S)
            self._due.clear()
            try:
                self._step()
            except Exception:  # top of the thread: a failure for one camera must not affect the others
                log.exception("cameras could not be assigned to workers")

    def _step(self) -> None:
        now_s = time.monotonic()
        with self._lock:
            cameras = list(self._active)
        for camera in cameras:
            if camera.placement is not None:
                self._follow(camera, camera.placement, now_s)
        self._hand_over(cameras, now_s)
        self._place(cameras, now_s)
        self.inbox.deliver_to(camera for camera in cameras if camera.placement is not None)
        self._order(cameras)
        self._not_before = {name: at_s for name, at_s in self._not_before.items() if at_s > now_s}
        with self._lock:
            self._active = [one for one in self._active if one.wanted or one.placement is not None]

    def _follow(self, camera: RemoteCamera, placement: Placement, now_s: float) -> None:
        """Marks a camera as lost or released if it is."""
        worker, incarnation = placement.worker, placement.incarnation
        if not camera.wanted and not placement.withdrawn:
            camera.withdraw("it was stopped")
        if placement.withdrawn and placement.revision == 0:  # before the worker was told about it
            self._release(camera, now_s)
            return
        is_current = worker.current is incarnation and not worker.closed
        over_s = incarnation.heard_s + self._settings.lease_s
        if not is_current or now_s - incarnation.heard_s > QUIET_S:
            camera.lose(
                f"the worker {worker.name} {'has ended' if not is_current else 'does not answer'}; "
                "another one watches it in a moment"
            )
            if now_s >= over_s:
                self._release(camera, over_s)
        elif incarnation.revision >= placement.revision > 0 and incarnation.hosted.get(camera.name) != placement.number:
            if not placement.withdrawn:
                log.warning("camera %s: the worker %s released it", camera.name, worker.name)
            self._release(camera, now_s)

    def _release(self, camera: RemoteCamera, free_at_s: float) -> None:
        camera.release()
        self._not_before[camera.name] = max(free_at_s, self._not_before.get(camera.name, free_at_s))

    def _hand_over(self, cameras: Sequence[RemoteCamera], now_s: float) -> None:
        """Moves cameras away from drained nodes, and one from an overloaded worker, if others have capacity."""
        drained = self._leadership.drained
        leaving = [
            (camera, at.worker.node.name)
            for camera in cameras
            if (at := camera.placement) and at.worker.node.name in drained and camera.wanted and not at.withdrawn
        ]
        ready = [worker for worker in self._membership.workers() if worker.ready]
        overloaded = [
            (worker, why)
            for worker in ready
            if (why := worker.overload.look(worker.load.cores, worker.load.node, now_s))
        ]
        # The cost of cameras is computed only here, because this runs ten times a second.
        hosts = self._hosts(cameras) if leaving or overloaded else []
        for camera, node in leaving:
            if choose(hosts, camera.settings.node) is not None:
                camera.withdraw(f"the node {node} is drained")
        for worker, why in overloaded:
            others = [host for host in hosts if host.worker != worker.name]
            if others:
                self._relieve(worker, [one for one in cameras if one.placement], others, why)

    def _relieve(self, worker: RemoteWorker, cameras: Sequence[RemoteCamera], others: Sequence[Host], why: str) -> None:
        """Moves the most expensive camera, if there is a worker that would still be less busy with it."""
        own = [one for one in cameras if one.placement and one.placement.worker is worker and not one.settings.node]
        if len(own) < 2:
            return
        costs = {one.name: cost(one.status(), one.settings.rate_hz) for one in own}
        heaviest = max(own, key=lambda one: costs[one.name])
        target = choose(others)
        if target is not None and target.cost + costs[heaviest.name] < sum(costs.values()):
            worker.overload.reset()
            heaviest.withdraw(f"the worker {worker.name} is {why}")

    def _hosts(self, cameras: Sequence[RemoteCamera]) -> list[Host]:
        """Workers that can accept cameras, with their load."""
        costs: dict[RemoteWorker, float] = {}
        for camera in cameras:
            if camera.placement is not None and not camera.placement.withdrawn:
                worker = camera.placement.worker
                costs[worker] = costs.get(worker, 0.0) + cost(camera.status(), camera.settings.rate_hz)
        for worker, count in self.tasks.checks().items():
            costs[worker] = costs.get(worker, 0.0) + CHECK_COST * count
        return self._membership.hosts(costs, self._leadership.drained)

    def _place(self, cameras: Sequence[RemoteCamera], now_s: float) -> None:
        """Grants leases to workers for cameras that nobody watches."""
        held = {camera.name for camera in cameras if camera.placement is not None}
        free = [
            camera
            for camera in cameras
            if camera.wanted and camera.name not in held and now_s >= self._not_before.get(camera.name, now_s)
        ]
        may_grant = now_s >= self._grant_at_s and self._leadership.holds
        if not free or not may_grant or not self._membership.settled(now_s):
            return
        workers = {worker.name: worker for worker in self._membership.workers()}
        hosts, chosen = self._hosts(cameras), {}
        for camera in free:
            host = choose(hosts, camera.settings.node)
            if host is not None:
                chosen[camera.name] = camera, workers[host.worker], workers[host.worker].current
                more = cost(camera.status(), camera.settings.rate_hz)
                hosts = [replace(one, cost=one.cost + more) if one.worker == host.worker else one for one in hosts]
        holders = {name: now.holder for name, (_, _, now) in chosen.items() if now is not None}
        if not holders:
            return
        try:
            granted = self._leadership.grant(holders)
        except (StorageError, ConflictError) as error:
            self._grant_problem = f"cameras wait for the database: {error}"
            self._grant_at_s = now_s + GRANT_AGAIN_S
            return
        self._grant_problem = ""
        for name, lease in granted.items():
            camera, worker, now = chosen[name]
            if now is not None and camera.place(Placement(worker, now, lease.number)):
                self._note_move(camera, worker)

    def _note_move(self, camera: RemoteCamera, worker: RemoteWorker) -> None:
        if camera.moved is not None:
            origin, why = camera.moved
            self._moves.append(Move(time.time(), camera.name, origin, worker.node.name, why))
            log.info("camera %s: from node %s to worker %s: %s", camera.name, origin, worker.name, why)
            camera.moved = None

    def _order(self, cameras: Sequence[RemoteCamera]) -> None:
        """Updates each worker's orders to its cameras."""
        model = self._parts.model()
        placed: dict[Incarnation, list[tuple[RemoteCamera, Placement]]] = {}
        for camera in cameras:
            if (at := camera.placement) is not None:
                placed.setdefault(at.incarnation, []).append((camera, at))
        for now in [worker.current for worker in self._membership.workers()]:
            if now is None:
                continue
            own = placed.get(now, [])
            stay = sorted(((one, at) for one, at in own if not at.withdrawn), key=lambda pair: pair[0].name)
            assignments = tuple(Assignment(one.settings, at.number) for one, at in stay)
            before = now.orders
            if before.revision and (assignments, model) == (before.assignments, before.model):
                continue
            now.orders = Orders(before.revision + 1, assignments, model)
            ordered = {one.number for one in before.assignments}
            given = {one.number for one in assignments}
            for _, placement in own:
                if (placement.number in ordered) != (placement.number in given):
                    placement.revision = now.orders.revision
