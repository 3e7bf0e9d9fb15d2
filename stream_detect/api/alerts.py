"""Who is told of events, how that goes, and the button that tries it."""

from fastapi import APIRouter

from stream_detect.alerts.notifiers import Alerts
from stream_detect.api.schemas.alerts import AlertWayBody, AlertWaysBody, TestedBody


def router(alerts: Alerts) -> APIRouter:
    """The routes of the ways of telling.

    Args:
        alerts: all of them.
    """
    routes = APIRouter(prefix="/api/alerts", tags=["alerts"])

    # Both wait, for the database or a receiver: plain functions, which run beside the event loop.
    @routes.get("")
    def ways() -> AlertWaysBody:
        """The webhooks and the broker, and how each does."""
        return AlertWaysBody(items=tuple(AlertWayBody.of(way) for way in alerts.ways()))

    @routes.post("/{name}/test", responses={404: {"description": "no way of that name"}})
    def test(name: str) -> TestedBody:
        """Sends a test alert that way at once; answers within ten seconds what came of it."""
        tested = alerts.test(name)
        return TestedBody(ok=tested.ok, detail=tested.detail)

    return routes
