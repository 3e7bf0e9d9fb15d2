"""Placement: chooses the worker of a camera by measured cost. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from stream_detect.cameras.status import CameraStatus
from stream_detect.types import CameraState

SAMPLE_COST = 2.0
"""Cost of one analysed sample per second, in decoded megapixels per second: some 5 ms each, like 2 megapixels of H.264.
"""

ANALYSIS_COST = 100.0
"""Cost of an analysis of an upload: a quarter of a processor (`review.share_beside_live`) decodes 100 megapixels per
second; without live streams it uses more, and then affects nobody."""

CHECK_COST = 80.0
"""Cost of a live check of 480p at 30 fps, decoded, drawn, encoded and analysed: a fifth of a processor."""

UNKNOWN_MPX_S = 640 * 480 * 25 / 1e6
"""Assumed for a camera that has not sent anything yet: the usual one."""

OVERLOAD_CORES = 0.9
"""A worker that uses this many processors is at the limit of Python's global lock, whatever its node has."""

OVERLOAD_NODE = 1.5
"""Load average / processors from which a node is overloaded."""

OVERLOAD_S = 60.0
"""Time of overload before a camera is moved, because a move interrupts watching for seconds."""


def cost(status: CameraStatus, rate_hz: float) -> float:
    """Cost of watching a camera, in decoded megapixels per second.

    Args:
        status: its status.
        rate_hz: samples per second.
    """
    if status.change.state is CameraState.LIVE and status.wh is not None and status.fps > 0:
        return status.wh[0] * status.wh[1] * status.fps / 1e6 + SAMPLE_COST * rate_hz
    return UNKNOWN_MPX_S + SAMPLE_COST * rate_hz


@dataclass(frozen=True, slots=True)
class Host:
    """A worker that can accept cameras.

    Args:
        worker: name of the worker.
        node: name of its node.
        cpus: processors of the node.
        cost: cost of all its cameras.
    """

    worker: str
    node: str
    cpus: float
    cost: float


def choose(hosts: Sequence[Host], node: str = "") -> Host | None:
    """Chooses a place for a camera: the node with the lowest cost per processor, and its worker with the lowest cost.

    Args:
        hosts: possible workers.
        node: the only permitted node; empty for any.
    """
    fit = [host for host in hosts if not node or host.node == node]
    if not fit:
        return None
    of_node: dict[str, float] = {}
    for host in hosts:
        of_node[host.node] = of_node.get(host.node, 0.0) + host.cost
    return min(fit, key=lambda host: (of_node[host.node] / max(host.cpus, 0.1), host.cost, host.worker))


class Overload:
    """Detects that a worker is overloaded for a minute. Not thread-safe."""

    def __init__(self) -> None:
        self._since_s: float | None = None

    def look(self, cores: float, node: float, now_s: float) -> str:
        """Why it is overloaded, in words; empty if it is not, or not for long enough.

        Args:
            cores: processors used by the worker.
            node: load of the node / its processors.
            now_s: monotonic seconds.
        """
        if cores < OVERLOAD_CORES and node < OVERLOAD_NODE:
            self._since_s = None
            return ""
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s < OVERLOAD_S:
            return ""
        return f"overloaded: {cores:.2f} processors busy, load of the node {node:.2f}"

    def reset(self) -> None:
        """Called when a camera was moved away: the minute starts again."""
        self._since_s = None
