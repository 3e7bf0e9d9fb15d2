"""Bodies of the notifiers: webhooks and the MQTT broker."""

from typing import Literal, Self

from pydantic import Field

from stream_detect.alerts.messages import NotifierStatus
from stream_detect.api.schemas.body import Body


class NotifierBody(Body):
    """A webhook, or the MQTT broker."""

    name: str
    kind: Literal["webhook", "mqtt"]
    state: Literal["ok", "failing", "connecting"]
    detail: str = Field(description="a sentence, without addresses")
    delivered: int = Field(description="messages of events that arrived since the start")
    failed: int = Field(description="messages that were given up or dropped")
    waiting: int = Field(description="messages that have yet to arrive")

    @classmethod
    def of(cls, status: NotifierStatus) -> Self:
        """A notifier as JSON."""
        return cls(
            name=status.name,
            kind=status.kind,
            state=status.state,
            detail=status.detail,
            delivered=status.delivered,
            failed=status.failed,
            waiting=status.waiting,
        )


class NotifiersBody(Body):
    """All of them."""

    items: tuple[NotifierBody, ...]


class AlertTestBody(Body):
    """The outcome of a test alert."""

    ok: bool
    detail: str
