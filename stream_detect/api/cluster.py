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

    id: str = Field(description="its name")
    address: str
    state: NodeState
    problem: str = Field(description="why it watches nothing; empty when all is well")
    workers: int = Field(description="processes that answer")
    load: float = Field(description="load average by processors; 1 is busy")
    cores: float = Field(description="processors that its workers keep busy")
    memory_bytes: int = Field(description="of its workers")
    cameras: tuple[str, ...] = Field(description="names of those that it watches")
    analyses: int = Field(description="of uploads, that its workers do now")
    live_checks: int = Field(description="that its workers have now")


class MoveBody(Body):
    """A camera moved from one node to another."""

    at: float = Field(description="unix seconds")
    camera: str
    origin: str = Field(alias="from", serialization_alias="from")
    target: str = Field(alias="to", serialization_alias="to")
    why: str


class ClusterBody(Body):
    """The cluster; empty without one."""

    nodes: tuple[NodeBody, ...]
    moves: tuple[MoveBody, ...] = Field(description="the newest hundred, the newest first")


def router(head: "Head | None") -> APIRouter:
    """The route of the cluster.

    Args:
        head: head of the cluster; None without one.
    """
    routes = APIRouter(prefix="/api", tags=["cluster"])

    @routes.get("/cluster")
    def cluster() -> ClusterBody:
        """Nodes by name, including those that left in the last ten minutes, and moves."""
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
