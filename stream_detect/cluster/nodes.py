"""The interface to what runs workers: nodes, and links to the workers on them (implemented by `ray_nodes.py`)."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stream_detect.errors import SettingsError, StreamDetectError


def environment_of_ray(address: str) -> Mapping[str, str]:
    """Environment variables that Ray reads while it is imported; set them before.

    Usage statistics are disabled. A Ray that we start accepts only calls with a token of this start, because anybody
    who can call Ray can run any code. Its agents are Python programs, whose start may take a minute on a busy machine.

    Args:
        address: address of the cluster to join, whose own token is used; empty to start Ray here.
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
    """A worker does not respond: its process or its node has ended, or cannot be reached."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node, usually a machine.

    Args:
        key: unique for ever; a node that comes back has a new one.
        name: name for people; unique at any time.
        address: IP address, for people.
        cpus: number of processors.
    """

    key: str
    name: str
    address: str
    cpus: float


class WorkerLink(Protocol):
    """Link to a worker (worker.py has the methods). A call ends with the answer or at the time limit."""

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """Calls a method and returns the answer; blocks.

        Raises:
            WorkerLostError: it does not respond; the message says why.
        """
        ...

    async def ask(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """Calls a method on an event loop and returns the answer.

        Raises:
            WorkerLostError: it does not respond.
        """
        ...

    def end(self) -> None:
        """Ends the worker's process; returns at once."""
        ...


class Nodes(Protocol):
    """All nodes of a cluster."""

    def alive(self) -> Sequence[Node]:
        """The current nodes.

        Raises:
            WorkerLostError: they cannot be listed now.
            SettingsError: there are more than allowed.
        """
        ...

    def start_worker(self, node: Node, index: int) -> WorkerLink:
        """Starts a worker on a node; it is restarted there whenever its process ends."""
        ...

    def close(self) -> None:
        """Leaves the cluster: its workers end."""
        ...


class NodeNames:
    """Distinguishes nodes with one name: the first has it until it leaves, others get part of their key appended.

    So a restarted node gets its name back as soon as the cluster knows that the previous one is lost.
    """

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}  # keys by name

    def of(self, nodes: Sequence[tuple[str, str]]) -> list[str]:
        """Names of nodes.

        Args:
            nodes: key and wanted name of each current node.
        """
        there = {key for key, _ in nodes}
        self._holders = {name: key for name, key in self._holders.items() if key in there}
        return [name if self._holders.setdefault(name, key) == key else f"{name}-{key[:6]}" for key, name in nodes]


class OneNode:
    """At most one node, because a database in a file (SQLite) belongs to its own machine. A `Nodes`.

    Args:
        nodes: the nodes; closed with this.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def alive(self) -> Sequence[Node]:
        """The only node.

        Raises:
            WorkerLostError: it cannot be listed now.
            SettingsError: there are more.
        """
        found = self._nodes.alive()
        if len(found) > 1:
            names = ", ".join(sorted(node.name for node in found))
            raise SettingsError(
                f"expected one node with SQLite, received {len(found)} ({names}): set storage.database_url to a "
                "PostgreSQL database, or remove the other nodes from the cluster (docs/cluster.md)"
            )
        return found

    def start_worker(self, node: Node, index: int) -> WorkerLink:
        """See `Nodes`."""
        return self._nodes.start_worker(node, index)

    def close(self) -> None:
        """See `Nodes`."""
        self._nodes.close()
