"""The tasks of workers besides cameras: analyses of uploads and live checks, and which sessions they still have."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from stream_detect.cluster.nodes import WorkerLink
from stream_detect.cluster.placement import ANALYSIS_COST, Host, choose
from stream_detect.cluster.remote_worker import CALL_S, Incarnation, RemoteWorker


@dataclass(frozen=True, eq=False, slots=True)
class WorkerTask:
    """An analysis or a live check on a worker.

    Args:
        worker: the worker.
        incarnation: its process.
        lease_s: after this time without an answer, a worker no longer does it.
    """

    worker: RemoteWorker
    incarnation: Incarnation
    lease_s: float

    @property
    def lost(self) -> str:
        """Why the worker no longer does it, in words; empty while it does."""
        if self.worker.closed or self.worker.current is not self.incarnation:
            return "it has ended"
        silent_s = time.monotonic() - self.incarnation.heard_s
        return f"it was not heard of for {silent_s:.1f} s" if silent_s > self.lease_s else ""


class WorkerTasks:
    """Assigns tasks to workers. Thread-safe.

    Args:
        workers: returns all workers.
        hosts: returns those that can accept tasks, with their cost.
        drained: returns the names of nodes that get no tasks.
        lease_s: duration of the cluster's leases.
    """

    def __init__(
        self,
        workers: Callable[[], Sequence[RemoteWorker]],
        hosts: Callable[[], Sequence[Host]],
        drained: Callable[[], frozenset[str]],
        lease_s: float,
    ) -> None:
        self._workers = workers
        self._hosts = hosts
        self._drained = drained
        self._lease_s = lease_s
        self._lock = threading.Lock()
        self._analyses: list[WorkerTask] = []
        self._checks: list[WorkerTask] = []

    @property
    def workers(self) -> int:
        """Number of workers that can accept tasks now. Cheap, because each analysis calls it often."""
        drained = self._drained()
        return sum(worker.ready and worker.node.name not in drained for worker in self._workers())

    @property
    def expects_workers(self) -> bool:
        """Whether a worker may soon be ready if none is now, because one starts or restarts."""
        workers, drained = self._workers(), self._drained()
        return not workers or any(not worker.problem and worker.node.name not in drained for worker in workers)

    def begin_analysis(self, at_once: int, unfit: Collection[RemoteWorker] = ()) -> WorkerTask | None:
        """Chooses a worker for an analysis: the least busy of those with fewer than `at_once`.

        Args:
            at_once: analyses per worker; if all have as many, one still gets another.
            unfit: workers that cannot do this one.

        Returns:
            The task, to be passed to `end`; None if no worker can accept it.
        """
        workers = {worker.name: worker for worker in self._workers()}
        hosts = [host for host in self._hosts() if host.worker in workers and workers[host.worker] not in unfit]
        with self._lock:
            counts = _counts(self._analyses)
            of_host = {host.worker: counts[workers[host.worker]] for host in hosts}
            free = [host for host in hosts if of_host[host.worker] < at_once] or hosts
            chosen = choose([replace(one, cost=one.cost + ANALYSIS_COST * of_host[one.worker]) for one in free])
            return self._begun(chosen, workers, self._analyses)

    def begin_check(self, unfit: Collection[RemoteWorker] = ()) -> WorkerTask | None:
        """Chooses a worker for a live check: the least busy; analyses do not count, because they give way.

        Args:
            unfit: workers that cannot accept this one.

        Returns:
            The task, to be passed to `end`; None if no worker can accept it.
        """
        workers = {worker.name: worker for worker in self._workers()}
        hosts = [host for host in self._hosts() if host.worker in workers and workers[host.worker] not in unfit]
        with self._lock:
            return self._begun(choose(hosts), workers, self._checks)

    def end(self, task: WorkerTask) -> None:
        """Called when a task is done, or continues elsewhere."""
        with self._lock:
            (self._analyses if task in self._analyses else self._checks).remove(task)

    def analyses(self) -> Counter[RemoteWorker]:
        """Number of analyses of each worker."""
        with self._lock:
            return _counts(self._analyses)

    def checks(self) -> Counter[RemoteWorker]:
        """Number of live checks of each worker."""
        with self._lock:
            return _counts(self._checks)

    def has_session(self, link: WorkerLink, session_id: str, opened_s: float) -> bool:
        """Whether a worker may still have a viewer's or publisher's session: until it reports that it has ended.

        Args:
            link: link to the worker.
            session_id: id of the session.
            opened_s: when it was opened, in the server's monotonic seconds.
        """
        incarnation = next((worker.current for worker in self._workers() if worker.link is link), None)
        if incarnation is None or time.monotonic() - incarnation.heard_s > self._lease_s:
            return False
        # An answer to a call that began before the session was opened does not list it.
        return session_id in incarnation.sessions or incarnation.heard_s - CALL_S <= opened_s

    def _begun(
        self, chosen: Host | None, workers: Mapping[str, RemoteWorker], tasks: list[WorkerTask]
    ) -> WorkerTask | None:
        """Starts a task; call with the lock held."""
        worker = None if chosen is None else workers[chosen.worker]
        if worker is None or worker.current is None:
            return None
        task = WorkerTask(worker, worker.current, self._lease_s)
        tasks.append(task)
        return task


def _counts(tasks: Sequence[WorkerTask]) -> Counter[RemoteWorker]:
    return Counter(task.worker for task in tasks if not task.lost)
