"""Routes of the server's status: what the page needs before a session, and the health probes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from stream_detect import __version__
from stream_detect.analysis.worker import Health
from stream_detect.api.schemas.status import IceServerBody, ReadyBody, StatusBody
from stream_detect.settings import IceServer, WindowSettings
from stream_detect.webrtc.check_sessions import CheckSessions

if TYPE_CHECKING:
    from stream_detect.app.model_in_use import ModelInUse

LIVE_PATH = "/healthz"


@dataclass(frozen=True, slots=True)
class StatusSettings:
    """Settings in the status.

    Args:
        window: length, scores needed, age of a stale result.
        ice_servers: returns the current ICE servers for clients.
        review_urls: whether analyses accept addresses.
    """

    window: WindowSettings
    ice_servers: Callable[[], Sequence[IceServer]]
    review_urls: bool


def router(
    model: "ModelInUse", sessions: CheckSessions, settings: StatusSettings, problems: Callable[[], tuple[str, ...]]
) -> APIRouter:
    """The route of the server's status.

    Args:
        model: the model in use.
        sessions: the live checks.
        settings: settings for clients.
        problems: returns the current problems, one sentence each.
    """
    routes = APIRouter(prefix="/api", tags=["status"])

    @routes.get("/status")
    async def status() -> StatusBody:
        """Version, model, window, sessions, ICE servers, whether addresses are accepted, and current problems."""
        return StatusBody(
            version=__version__,
            model=model.judge,
            window_s=settings.window.length_s,
            needed=settings.window.min_scores,
            stale_s=settings.window.stale_s,
            sessions=sessions.count,
            max_sessions=sessions.limit,
            ice_servers=_ice_servers(settings.ice_servers()),
            review_urls=settings.review_urls,
            problems=problems(),
        )

    return routes


def probes(health: Health, problems: Callable[[], Sequence[str]] = tuple) -> APIRouter:
    """The routes for a supervisor.

    Args:
        health: health of the analysis.
        problems: returns why cameras are not watched or events not written, one sentence each.
    """
    routes = APIRouter(tags=["health"])

    @routes.get(LIVE_PATH)
    async def live() -> dict[str, str]:
        """Reports that the process is alive. Requires no access token."""
        return {"status": "alive"}

    @routes.get(
        "/readyz",
        response_model_exclude_unset=True,
        responses={503: {"model": ReadyBody, "description": "not ready, for these reasons"}},
    )
    async def ready(response: Response) -> ReadyBody:
        """Reports whether streams can be judged and events written; 503 with the reasons if not."""
        reasons = tuple(reason for reason in (health.failing, *problems()) if reason)
        if not reasons:
            return ReadyBody(ready=True)
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        response.headers["Retry-After"] = "5"
        return ReadyBody(ready=False, reasons=reasons)

    return routes


def _ice_servers(servers: Sequence[IceServer]) -> tuple[IceServerBody, ...]:
    """ICE servers for a browser. It needs the credential of a TURN server, which the token of this route protects."""
    return tuple(
        IceServerBody(
            urls=server.urls,
            username=server.username,
            credential=server.credential.get_secret_value() if server.credential else None,
        )
        for server in servers
    )
