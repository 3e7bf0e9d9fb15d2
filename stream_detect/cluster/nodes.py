"""The interface to what runs workers: nodes, and links to the workers on them (implemented by `ray_nodes.py`)."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stream_detect.errors import SettingsError, StreamDetectError


def environment_of_ray(address: str) -> Mapping[str, str]:
    """Environment variables that Ray reads while it is imported: to be set before.

    Nothing is sent anywhere, and a Ray that we start takes calls only of who knows a token of this very start: whoever
    may call Ray may run any code. Its agents are Python programs that a busy machine may start for a minute.

    Args:
        address: of the cluster to join, whose own token counts; empty when Ray is started here.
    """
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_agent_register_timeout_ms": "120000",
    }
    if address:
        return quiet
    return {**quiet, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


class WorkerLostError(StreamDetectError):
    """A worker does not answer: its process or its node has ended, or cannot be reached."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine, or what counts as one.

    Args:
        key: unique for ever; another one when the node comes back.
        name: that people call it by; of one node at a time.
        address: IP address, for people.
        cpus: processors.
    """

    key: str
    name: str
    address: str
    cpus: float


class WorkerLink(Protocol):
    """The way to a worker (worker.py has the methods). A call ends when the answer is there or the time is over."""

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """The answer; blocks.

        Raises:
            WorkerLostError: it does not answer; the message says why.
        """
        ...

    async def ask(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """The answer, on an event loop.

        Raises:
            WorkerLostError: it does not answer.
        """
        ...

    def end(self) -> None:
        """Ends the worker's process; returns at once."""
        ...


class Nodes(Protocol):
    """All nodes of a cluster."""

    def alive(self) -> Sequence[Node]:
        """Those that take part now.

        Raises:
            WorkerLostError: nobody knows now.
            SettingsError: there are more than may take part.
        """
        ...

    def start_worker(self, node: Node, index: int) -> WorkerLink:
        """Begins to start a worker on a node; it is started again there whenever its process ends."""
        ...

    def close(self) -> None:
        """Leaves the cluster: its workers end."""
        ...


class NodeNames:
    """Tells nodes of one name apart: the first one has it until it goes, others a part of their key behind it.

    So a node that was started again has its name back as soon as the cluster knows that the earlier one is lost.
    """

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}  # keys, by name

    def of(self, nodes: Sequence[tuple[str, str]]) -> list[str]:
        """Names of nodes.

        Args:
            nodes: key and wanted name of each that is there now.
        """
        there = {key for key, _ in nodes}
        self._holders = {name: key for name, key in self._holders.items() if key in there}
        return [name if self._holders.setdefault(name, key) == key else f"{name}-{key[:6]}" for key, name in nodes]


class OneNode:
    """Nodes of which there may be one: a database in a file (SQLite) is there for its own machine. Fits `Nodes`.

    Args:
        nodes: those that there are; closed with this.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def alive(self) -> Sequence[Node]:
        """The one that takes part.

        Raises:
            WorkerLostError: nobody knows now.
            SettingsError: there are more.
        """
        found = self._nodes.alive()
        if len(found) > 1:
            names = ", ".join(sorted(node.name for node in found))
            raise SettingsError(
                f"expected one node with SQLite, received {len(found)} ({names}): set storage.database_url to a "
                "PostgreSQL database, or take the other nodes out of the cluster (docs/cluster.md)"
            )
        return found

    def start_worker(self, node: Node, index: int) -> WorkerLink:
        """See `Nodes`."""
        return self._nodes.start_worker(node, index)

    def close(self) -> None:
        """See `Nodes`."""
        self._nodes.close()
