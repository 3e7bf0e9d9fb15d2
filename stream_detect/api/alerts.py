"""Routes of the notifiers (webhooks and the MQTT broker): their status, and test alerts."""

from typing import Literal, Self

from fastapi import APIRouter
from pydantic import Field

from stream_detect.alerts.messages import NotifierStatus
from stream_detect.alerts.notifiers import Alerts
from stream_detect.api.requests import NO_STORAGE
from stream_detect.api.schemas import Body


class NotifierBody(Body):
    """A webhook, or the MQTT broker."""

    name: str
    kind: Literal["webhook", "mqtt"]
    state: Literal["ok", "failing", "connecting"]
    detail: str = Field(description="one sentence about the state, without addresses")
    delivered: int = Field(description="event messages delivered since the server started")
    failed: int = Field(description="event messages that were given up or dropped")
    waiting: int = Field(description="event messages not delivered yet")

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
    """All notifiers."""

    items: tuple[NotifierBody, ...]


class AlertTestBody(Body):
    """The outcome of a test alert."""

    ok: bool
    detail: str


def router(alerts: Alerts) -> APIRouter:
    """The routes of the notifiers.

    Args:
        alerts: the notifiers.
    """
    routes = APIRouter(prefix="/api/alerts", tags=["alerts"])

    # Both routes wait, for the database or a receiver, so they are plain functions, which run off the event loop.
    @routes.get("", responses=NO_STORAGE)
    def notifiers() -> NotifiersBody:
        """The webhooks and the MQTT broker, with their status."""
        return NotifiersBody(items=tuple(NotifierBody.of(status) for status in alerts.statuses()))

    @routes.post("/{name}/test", responses={404: {"description": "no notifier has this name"}})
    def test(name: str) -> AlertTestBody:
        """Sends a test alert through this notifier and reports within ten seconds whether it arrived."""
        outcome = alerts.test(name)
        return AlertTestBody(ok=outcome.ok, detail=outcome.detail)

    return routes
