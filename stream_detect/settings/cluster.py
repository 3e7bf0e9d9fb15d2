"""Settings of the cluster: whether cameras run in the server's process or on the workers of a Ray cluster."""

from typing import Annotated

from pydantic import Field

from stream_detect.settings.section import Section


class ClusterSettings(Section):
    """Workers that share the cameras."""

    workers: Annotated[int, Field(ge=0, le=64)] = Field(
        default=0, description="worker processes per node; 0: cameras run in the server's own process"
    )
    address: str = Field(
        default="",
        description="host:port of a Ray cluster to join; if empty, and workers are set, Ray is started for this server",
    )
    lease_s: Annotated[float, Field(ge=2, le=60)] = Field(
        default=4.0, description="a worker that is not heard from for this long loses its cameras to other workers"
    )

    @property
    def enabled(self) -> bool:
        """Whether cameras run on workers."""
        return self.workers > 0 or bool(self.address)

    @property
    def workers_a_node(self) -> int:
        """Worker processes on each node; one where only the address is given."""
        return max(self.workers, 1)
