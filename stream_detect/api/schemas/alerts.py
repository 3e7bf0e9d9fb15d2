"""Bodies of the ways of telling."""

from typing import Literal, Self

from pydantic import Field

from stream_detect.alerts.messages import AlertWay
from stream_detect.api.schemas.body import Body


class AlertWayBody(Body):
    """A webhook, or the MQTT broker."""

    name: str
    kind: Literal["webhook", "mqtt"]
    state: Literal["ok", "failing", "connecting"]
    detail: str = Field(description="a sentence, without addresses")
    delivered: int = Field(description="messages of events that arrived since the start")
    failed: int = Field(description="messages that were given up or dropped")
    waiting: int = Field(description="messages that have yet to arrive")

    @classmethod
    def of(cls, way: AlertWay) -> Self:
        """The same as JSON."""
        return cls(
            name=way.name,
            kind=way.kind,
            state=way.state,
            detail=way.detail,
            delivered=way.delivered,
            failed=way.failed,
            waiting=way.waiting,
        )


class AlertWaysBody(Body):
    """All of them."""

    items: tuple[AlertWayBody, ...]


class TestedBody(Body):
    """What came of a test alert."""

    ok: bool
    detail: str
