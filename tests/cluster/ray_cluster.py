"""A real Ray cluster with several nodes on this machine, whose workers and nodes can be killed."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import psutil  # type: ignore[import-untyped]

from stream_detect.cluster.nodes import environment_of_ray
from tests.patience import PATIENCE_S

NODES = ("one", "two", "three")
OBJECT_STORE_BYTES = 80_000_000
WORKER = "ray::Worker"
"""Ray's name for the process of an actor of our class."""


@contextmanager
def environment() -> Iterator[None]:
    """Environment variables of Ray's processes, and of those that join them."""
    for name, value in environment_of_ray("").items():
        os.environ.setdefault(name, value)  # kept: Ray reads the token once per process
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).with_name("quick_ray")), before)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


class RayCluster:
    """Ray nodes without a dashboard, by name; none of their processes remains at the end.

    Args:
        names: names of the nodes; the first is Ray's head.
    """

    def __init__(self, names: Sequence[str] = NODES) -> None:
        self._environment = ExitStack()
        self._environment.enter_context(environment())
        from ray.cluster_utils import Cluster  # noqa: PLC0415 - Ray reads its environment while it is imported

        self._cluster: Any = Cluster()
        self._nodes: dict[str, Any] = {}
        try:
            for name in names:
                self.add(name)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """Address for nodes that join."""
        return str(self._cluster.address)

    @property
    def names(self) -> list[str]:
        """Names of the nodes that were not removed."""
        return list(self._nodes)

    def add(self, name: str) -> None:
        """Adds a node; tries again if its processes take longer than the 30 s that Ray waits for them."""
        for left in (2, 1, 0):
            try:
                self._nodes[name] = self._cluster.add_node(
                    node_name=name,
                    num_cpus=1,
                    object_store_memory=OBJECT_STORE_BYTES,
                    include_dashboard=False,
                    wait=False,
                )
            except Exception as error:  # Ray does not raise its own class
                if left == 0 or "timed out during startup" not in str(error):
                    raise
            else:
                return

    def processes(self, name: str) -> list[Any]:
        """All processes of a node, including those started by its raylet."""
        own = [info.process.pid for infos in self._nodes[name].all_processes.values() for info in infos]
        found = [psutil.Process(pid) for pid in own if psutil.pid_exists(pid)]
        return [*found, *(child for one in found for child in one.children(recursive=True))]

    def worker(self, name: str) -> Any:
        """The process of the only worker on a node."""
        (worker,) = (one for one in self.processes(name) if one.name().startswith(WORKER))
        return worker

    def kill_worker(self, name: str) -> None:
        """Kills the worker on a node (SIGKILL); Ray restarts it."""
        self.worker(name).send_signal(signal.SIGKILL)

    def kill_node(self, name: str) -> None:
        """Kills all processes of a node (SIGKILL); Ray has not noticed yet."""
        for process in self.processes(name):
            process.kill()

    def remove(self, name: str) -> None:
        """Removes a killed node."""
        self._cluster.remove_node(self._nodes.pop(name), allow_graceful=False)

    def close(self) -> None:
        """Ends all processes; a second call does nothing.

        Raises:
            RuntimeError: some of them had to be killed.
        """
        started = [process for name in self._nodes for process in self.processes(name)]
        self._nodes.clear()
        self._cluster.shutdown()
        self._environment.close()
        _, left = psutil.wait_procs(started, PATIENCE_S)
        for process in left:
            process.kill()
        if left:
            raise RuntimeError(f"expected Ray to end its processes, received {left} a minute later")
