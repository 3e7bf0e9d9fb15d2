"""What the page needs to know before a session: who judges, how, and whether there is a place."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter

from stream_detect import __version__
from stream_detect.api.schemas import IceServerBody, StatusBody
from stream_detect.app.judge import Judging
from stream_detect.settings import IceServer, Settings
from stream_detect.webrtc.check import CheckSessions


def router(
    judging: Judging, sessions: CheckSessions, settings: Settings, problems: Callable[[], tuple[str, ...]]
) -> APIRouter:
    """The route of the server's status.

    Args:
        judging: the model that judges.
        sessions: the live checks.
        settings: window, ICE servers, and whether addresses are taken for analyses.
        problems: what does not work now, in sentences.
    """
    routes = APIRouter(prefix="/api", tags=["status"])
    ice_servers = _ice_servers(settings.webrtc.ice_servers)

    @routes.get("/status")
    async def status() -> StatusBody:
        """Version, model, window, sessions, ICE servers, whether addresses are analysed, and what does not work."""
        return StatusBody(
            version=__version__,
            model=judging.judge,
            window_s=settings.window.length_s,
            needed=settings.window.min_scores,
            stale_s=settings.window.stale_s,
            sessions=sessions.count,
            max_sessions=sessions.limit,
            ice_servers=ice_servers,
            review_urls=settings.review.urls,
            problems=problems(),
        )

    return routes


def _ice_servers(servers: Sequence[IceServer]) -> tuple[IceServerBody, ...]:
    """The same for a browser. It must be told a TURN credential to use it: the token guards this route."""
    return tuple(
        IceServerBody(
            urls=server.urls,
            username=server.username,
            credential=server.credential.get_secret_value() if server.credential else None,
        )
        for server in servers
    )
