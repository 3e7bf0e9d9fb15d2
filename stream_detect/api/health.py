"""Whether the process lives, and whether it can do its work."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Response

from stream_detect.analysis.worker import Health
from stream_detect.api.schemas import ReadyBody

LIVE_PATH = "/healthz"


def router(health: Health, storage_problem: Callable[[], str] = str) -> APIRouter:
    """The routes that a supervisor asks.

    Args:
        health: outcome of the streams' newest analyses.
        storage_problem: why nothing can be remembered; empty when all is well.
    """
    routes = APIRouter(tags=["health"])

    @routes.get(LIVE_PATH)
    async def live() -> dict[str, str]:
        """The process lives. Needs no access token."""
        return {"status": "alive"}

    @routes.get(
        "/readyz",
        response_model_exclude_unset=True,
        responses={503: {"model": ReadyBody, "description": "not ready, with the reasons"}},
    )
    async def ready(response: Response) -> ReadyBody:
        """A stream can be judged and events be remembered; 503 with the reasons otherwise."""
        reasons = tuple(reason for reason in (health.failing, storage_problem()) if reason)
        if not reasons:
            return ReadyBody(ready=True)
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return ReadyBody(ready=False, reasons=reasons)

    return routes
