"""The tasks of workers besides cameras: assigns analyses of uploads and live checks to workers that have room."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from stream_detect.cluster.placement import ANALYSIS_COST, Host, choose
from stream_detect.cluster.remote_worker import Incarnation, RemoteWorker


@dataclass(frozen=True, eq=False, slots=True)
class WorkerTask:
    """An analysis or a live check on a worker, as the server knows it.

    Args:
        worker: that does it.
        incarnation: its process.
        lease_s: a worker that was not heard of for so long does it no more.
    """

    worker: RemoteWorker
    incarnation: Incarnation
    lease_s: float

    @property
    def lost(self) -> str:
        """Why the worker does it no more, in words; empty while it does."""
        if self.worker.closed or self.worker.current is not self.incarnation:
            return "it has ended"
        silent_s = time.monotonic() - self.incarnation.heard_s
        return f"it was not heard of for {silent_s:.1f} s" if silent_s > self.lease_s else ""


class WorkerTasks:
    """Which worker does what. Thread-safe.

    Args:
        workers: all workers.
        hosts: those that can take work, with the cost of what they have.
        drained: names of nodes that get no work.
        lease_s: of the cluster.
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
        """Workers that can take work now. Cheap: it is asked often, and by each analysis."""
        drained = self._drained()
        return sum(worker.ready and worker.node.name not in drained for worker in self._workers())

    @property
    def expects_workers(self) -> bool:
        """Whether one may be ready in a moment where none is now: it starts, or starts anew."""
        workers, drained = self._workers(), self._drained()
        return not workers or any(not worker.problem and worker.node.name not in drained for worker in workers)

    def begin_analysis(self, at_once: int, unfit: Collection[RemoteWorker] = ()) -> WorkerTask | None:
        """Chooses a worker for an analysis: of those that do fewer than so many, the one with the least to do.

        Args:
            at_once: analyses of one worker; where all have as many, one gets another all the same.
            unfit: workers that cannot do this one.

        Returns:
            to be given to `end`; None where no worker can take it.
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
        """Chooses a worker for a live check: the one with the least to do; analyses do not count, they give way.

        Args:
            unfit: workers that cannot take this one.

        Returns:
            to be given to `end`; None where no worker can take it.
        """
        workers = {worker.name: worker for worker in self._workers()}
        hosts = [host for host in self._hosts() if host.worker in workers and workers[host.worker] not in unfit]
        with self._lock:
            return self._begun(choose(hosts), workers, self._checks)

    def end(self, task: WorkerTask) -> None:
        """It is done, or goes on elsewhere."""
        with self._lock:
            (self._analyses if task in self._analyses else self._checks).remove(task)

    def analyses(self) -> Counter[RemoteWorker]:
        """How many analyses each worker has."""
        with self._lock:
            return _counts(self._analyses)

    def checks(self) -> Counter[RemoteWorker]:
        """How many live checks each worker has."""
        with self._lock:
            return _counts(self._checks)

    def _begun(
        self, chosen: Host | None, workers: Mapping[str, RemoteWorker], tasks: list[WorkerTask]
    ) -> WorkerTask | None:
        """Under the lock."""
        worker = None if chosen is None else workers[chosen.worker]
        if worker is None or worker.current is None:
            return None
        task = WorkerTask(worker, worker.current, self._lease_s)
        tasks.append(task)
        return task


def _counts(tasks: Sequence[WorkerTask]) -> Counter[RemoteWorker]:
    return Counter(task.worker for task in tasks if not task.lost)
