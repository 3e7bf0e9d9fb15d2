"""The route of the cluster: its nodes with their cameras, and the newest moves."""

from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import Field

from stream_detect.api.schemas import Body
from stream_detect.cluster.membership import NodeState

if TYPE_CHECKING:
    from stream_detect.cluster.head import Head


class NodeBody(Body):
    """A node of the cluster."""

    id: str = Field(description="name of the node")
    address: str
    state: NodeState
    problem: str = Field(description="why the node has no cameras; empty if all is well")
    workers: int = Field(description="number of worker processes that respond")
    load: float = Field(description="load average divided by the number of processors; 1 = fully used")
    cores: float = Field(description="processor time of its workers, in processors")
    memory_bytes: int = Field(description="memory of its workers")
    cameras: tuple[str, ...] = Field(description="names of the cameras on this node")
    analyses: int = Field(description="analyses of uploads in progress on this node")
    live_checks: int = Field(description="live checks in progress on this node")


class MoveBody(Body):
    """A move of a camera from one node to another."""

    at: float = Field(description="Unix time in seconds")
    camera: str
    origin: str = Field(alias="from", serialization_alias="from")
    target: str = Field(alias="to", serialization_alias="to")
    why: str


class ClusterBody(Body):
    """The cluster; empty if the server runs without one."""

    nodes: tuple[NodeBody, ...]
    moves: tuple[MoveBody, ...] = Field(description="the newest hundred moves, newest first")


def router(head: "Head | None") -> APIRouter:
    """The route of the cluster.

    Args:
        head: head of the cluster; None without one.
    """
    routes = APIRouter(prefix="/api", tags=["cluster"])

    @routes.get("/cluster")
    def cluster() -> ClusterBody:
        """The nodes, by name, including those lost in the last ten minutes, and the newest moves of cameras."""
        if head is None:
            return ClusterBody(nodes=(), moves=())
        nodes = tuple(
            NodeBody(
                id=node.name,
                address=node.address,
                state=node.state,
                problem=node.problem,
                workers=node.workers,
                load=node.load,
                cores=node.cores,
                memory_bytes=node.rss_bytes,
                cameras=node.cameras,
                analyses=node.analyses,
                live_checks=node.checks,
            )
            for node in head.statuses()
        )
        moves = tuple(
            MoveBody(
                **{"at": move.at_s, "camera": move.camera, "from": move.origin, "to": move.target, "why": move.why}
            )
            for move in head.moves
        )
        return ClusterBody(nodes=nodes, moves=moves)

    return routes
