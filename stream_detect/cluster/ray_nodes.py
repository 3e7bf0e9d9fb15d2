"""Nodes and workers of Ray: starts Ray on this machine or joins a cluster, and calls actors.

Only this module imports Ray. It must be imported after `nodes.environment_of_ray` is in the environment.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from stream_detect.cluster.nodes import Node, NodeNames, WorkerLink, WorkerLostError
from stream_detect.cluster.worker.worker import Worker
from stream_detect.errors import SettingsError

NAMESPACE = "stream-detect"

OBJECT_STORE_BYTES = 80_000_000
"""Size for a Ray that we start: messages are small, with a snapshot or a clip now and then. Ray's minimum is 75 MB."""

START_ATTEMPTS = 3
"""Attempts to start Ray: it waits at most 15 s for its agents, Python programs that start more slowly on a busy
machine."""

MAX_CALLS = 64
"""Calls that a worker handles at once: exchanges, offers, snapshots. More wait in Ray."""

SLICE_S = 0.5
"""How long a call waits before it checks whether the cluster is being left; answers take a fifth of a second."""

LEAVE_S = 1.0
"""Time limit for calls to end when the cluster is left."""

_log = logging.getLogger(__name__)


class RayNodes:
    """The nodes of Ray; created once per process, closed at its end. A `Nodes`.

    Args:
        address: host:port of a cluster to join; if empty, Ray is started on this machine, and ends with this process.
        cpus: number of processors for a Ray that we start.

    Raises:
        SettingsError: no cluster responds at the address, or Ray does not start here.
    """

    def __init__(self, address: str, cpus: int | None = None) -> None:
        self._names = NodeNames()
        self._connection = _Connection()
        options: dict[str, Any] = (
            {"address": address}
            if address
            else {
                "address": "local",
                "num_cpus": cpus,
                "object_store_memory": OBJECT_STORE_BYTES,
            }
        )
        attempts = 1 if address else START_ATTEMPTS
        while True:
            attempts -= 1
            try:
                ray.init(
                    **options,
                    namespace=NAMESPACE,
                    include_dashboard=None if address else False,
                    log_to_driver=True,
                    logging_level=logging.WARNING,
                    configure_logging=False,
                )
            except Exception as error:  # Ray has no error class for processes that do not start in time
                ray.shutdown()
                first = str(error).strip().partition("\n")[0]
                if attempts:
                    _log.warning("Ray did not start; trying again: %s", first)
                    continue
                cure = "start it (ray start --head) or correct cluster.address" if address else "see /tmp/ray"
                raise SettingsError(
                    f"expected a Ray cluster at {address or 'this machine'}, received {type(error).__name__}: {first}; "
                    f"{cure} (docs/cluster.md)"
                ) from error
            return

    def alive(self) -> Sequence[Node]:
        """See `Nodes`."""
        try:
            with self._connection:
                found = [one for one in ray.nodes() if one["Alive"]]  # type: ignore[no-untyped-call]
        except (RayError, RuntimeError, OSError) as error:
            raise WorkerLostError(f"Ray does not list its nodes: {type(error).__name__}") from error
        names = self._names.of([(one["NodeID"], _name(one)) for one in found])
        return [
            Node(
                key=one["NodeID"],
                name=name,
                address=one["NodeManagerAddress"],
                cpus=float(one["Resources"].get("CPU", 1.0)),
            )
            for one, name in zip(found, names, strict=True)
        ]

    def start_worker(self, node: Node, index: int) -> WorkerLink:
        """See `Nodes`."""
        strategy = NodeAffinitySchedulingStrategy(node_id=node.key, soft=False)
        made = ray.remote(Worker).options(
            num_cpus=0, max_restarts=-1, max_task_retries=0, max_concurrency=MAX_CALLS, scheduling_strategy=strategy
        )
        _log.info("worker %s/%d is started", node.name, index)
        with self._connection:
            return _RayLink(made.remote(), self._connection)

    def close(self) -> None:
        """See `Nodes`."""
        self._connection.close()
        ray.shutdown()


class _Connection:
    """The connection to the cluster, a context manager for each use. Thread-safe.

    A use after Ray's shutdown would end the process.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._users = 0
        self.closed = False

    def __enter__(self) -> None:
        """Starts a use.

        Raises:
            WorkerLostError: the cluster is being left.
        """
        with self._condition:
            if self.closed:
                raise WorkerLostError("the server is leaving the cluster")
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._users -= 1
            self._condition.notify_all()

    def close(self) -> None:
        """Prevents new uses; waits a moment for current ones."""
        with self._condition:
            self.closed = True
            self._condition.wait_for(lambda: self._users == 0, LEAVE_S)


class _RayLink:
    """Link to an actor.

    Args:
        actor: Ray's handle.
        connection: connection to the cluster.
    """

    def __init__(self, actor: Any, connection: _Connection) -> None:
        self._actor = actor
        self._connection = connection

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """See `WorkerLink`."""
        until_s = time.monotonic() + timeout_s
        with self._connection:
            try:
                reference = getattr(self._actor, method).remote(*arguments)
                while not self._connection.closed and (left_s := until_s - time.monotonic()) > 0:
                    with contextlib.suppress(GetTimeoutError):
                        return ray.get(reference, timeout=min(left_s, SLICE_S))
                ray.cancel(reference)
            except RayError as error:
                raise WorkerLostError(_short(error)) from error
        raise WorkerLostError(f"it did not answer within {timeout_s:g} s")

    async def ask(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """See `WorkerLink`."""
        try:
            with self._connection:
                reference = getattr(self._actor, method).remote(*arguments)
            async with asyncio.timeout(timeout_s):
                return await reference
        except TimeoutError:
            with self._connection:
                ray.cancel(reference)
            raise WorkerLostError(f"it did not answer within {timeout_s:g} s") from None
        except RayError as error:
            raise WorkerLostError(_short(error)) from error

    def end(self) -> None:
        """See `WorkerLink`."""
        try:
            with self._connection:
                ray.kill(self._actor)
        except (RayError, ValueError):
            _log.info("a worker had already ended")


def _name(node: dict[str, Any]) -> str:
    return str(node.get("NodeName") or node["NodeManagerAddress"])


def _short(error: RayError) -> str:
    """The first line of Ray's message; the rest is a page of advice."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first[:160]}"
