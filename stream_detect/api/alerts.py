"""Routes of the notifiers (webhooks and the MQTT broker): their status, and test alerts."""

from fastapi import APIRouter

from stream_detect.alerts.notifiers import Alerts
from stream_detect.api.parameters import NO_STORAGE
from stream_detect.api.schemas.alerts import AlertTestBody, NotifierBody, NotifiersBody


def router(alerts: Alerts) -> APIRouter:
    """The routes of the notifiers.

    Args:
        alerts: sends to them.
    """
    routes = APIRouter(prefix="/api/alerts", tags=["alerts"])

    # Both wait, for the database or a receiver: plain functions, which run beside the event loop.
    @routes.get("", responses=NO_STORAGE)
    def notifiers() -> NotifiersBody:
        """The webhooks and the broker, and how each does."""
        return NotifiersBody(items=tuple(NotifierBody.of(status) for status in alerts.statuses()))

    @routes.post("/{name}/test", responses={404: {"description": "no notifier of that name"}})
    def test(name: str) -> AlertTestBody:
        """Sends a test alert by this notifier at once; answers within ten seconds whether it arrived."""
        outcome = alerts.test(name)
        return AlertTestBody(ok=outcome.ok, detail=outcome.detail)

    return routes
