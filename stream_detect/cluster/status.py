"""The status of a cluster: its nodes, and which cameras moved."""

from dataclasses import dataclass
from typing import Literal

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
