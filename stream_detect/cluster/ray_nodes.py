"""Nodes and workers of Ray: starts Ray on this machine or joins a cluster, and calls actors.

Only this module imports Ray. It must be imported after `nodes.environment_of_ray` is in the environment.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from stream_detect.cluster.nodes import Node, NodeNames, WorkerLink, WorkerLostError
from stream_detect.cluster.worker import Worker
from stream_detect.errors import SettingsError

NAMESPACE = "stream-detect"

OBJECT_STORE_BYTES = 80_000_000
"""Of a Ray that we start: messages are small, and a snapshot or a clip passes now and then. Ray's least is 75 MB."""

MAX_CALLS = 64
"""Calls that a worker works on at once: exchanges, offers, snapshots. More wait in Ray."""

_log = logging.getLogger(__name__)


class RayNodes:
    """The nodes of Ray; made once in a process, closed at its end. Fits `Nodes`.

    Args:
        address: host:port of a cluster to join; empty: Ray is started on this machine, and ends with this process.
        cpus: processors that a Ray that we start counts with.

    Raises:
        SettingsError: no cluster answers at the address.
    """

    def __init__(self, address: str, cpus: int | None = None) -> None:
        self._names = NodeNames()
        options: dict[str, Any] = (
            {"address": address}
            if address
            else {
                "address": "local",
                "num_cpus": cpus,
                "object_store_memory": OBJECT_STORE_BYTES,
            }
        )
        try:
            ray.init(
                **options,
                namespace=NAMESPACE,
                include_dashboard=None if address else False,
                log_to_driver=True,
                logging_level=logging.WARNING,
                configure_logging=False,
            )
        except (RayError, ConnectionError, ValueError, RuntimeError, OSError) as error:
            first = str(error).strip().partition("\n")[0]
            raise SettingsError(
                f"expected a Ray cluster at {address or 'this machine'}, received {type(error).__name__}: {first}; "
                "start it (ray start --head) or correct cluster.address (docs/cluster.md)"
            ) from error

    def alive(self) -> Sequence[Node]:
        """See `Nodes`."""
        try:
            found = [one for one in ray.nodes() if one["Alive"]]  # type: ignore[no-untyped-call]
        except (RayError, RuntimeError, OSError) as error:
            raise WorkerLostError(f"Ray does not say which nodes there are: {type(error).__name__}") from error
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
        return _RayLink(made.remote())

    def close(self) -> None:
        """See `Nodes`."""
        ray.shutdown()


class _RayLink:
    """An actor. One whose answer did not come in time is asked nothing new by `call` until it came or failed."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """See `WorkerLink`."""
        try:
            reference = getattr(self._actor, method).remote(*arguments)
            return ray.get(reference, timeout=timeout_s)
        except GetTimeoutError:
            ray.cancel(reference)
            raise WorkerLostError(f"it did not answer within {timeout_s:g} s") from None
        except RayError as error:
            raise WorkerLostError(_short(error)) from error

    async def ask(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """See `WorkerLink`."""
        try:
            reference = getattr(self._actor, method).remote(*arguments)
            async with asyncio.timeout(timeout_s):
                return await reference
        except TimeoutError:
            ray.cancel(reference)
            raise WorkerLostError(f"it did not answer within {timeout_s:g} s") from None
        except RayError as error:
            raise WorkerLostError(_short(error)) from error

    def end(self) -> None:
        """See `WorkerLink`."""
        try:
            ray.kill(self._actor)
        except (RayError, ValueError):
            _log.info("a worker had ended already")


def _name(node: dict[str, Any]) -> str:
    return str(node.get("NodeName") or node["NodeManagerAddress"])


def _short(error: RayError) -> str:
    """The first line of what Ray says; the rest is a page of advice."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first[:160]}"
