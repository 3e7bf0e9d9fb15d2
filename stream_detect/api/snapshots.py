"""A camera's newest picture over HTTP, with the badge; nothing of it is kept."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response

from stream_detect.api.parameters import Name
from stream_detect.api.pictures import annotated
from stream_detect.app.judge import Judging
from stream_detect.cameras.fleet import Fleet
from stream_detect.errors import NotFoundError
from stream_detect.types import Thresholds

_DRAWN_AT_ONCE = 2
"""A wall of fifty cameras asks for fifty; the rest wait their turn without taking a thread."""


def router(fleet: Fleet, judging: Judging, stale_s: float) -> APIRouter:
    """The route of snapshots.

    Args:
        fleet: the cameras.
        judging: whose thresholds are drawn.
        stale_s: a result older than this is drawn as stale.
    """
    routes = APIRouter(prefix="/api/cameras", tags=["cameras"])
    turns = asyncio.Semaphore(_DRAWN_AT_ONCE)

    @routes.get(
        "/{name}/snapshot.jpg",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}, 404: {"description": "no such camera, or no picture yet"}},
    )
    async def snapshot(name: Name, width: Annotated[int | None, Query(ge=32, le=7680)] = None) -> Response:
        """The newest picture, with the badge; `width` makes it smaller."""
        newest = fleet.camera(name).snapshot()
        if newest is None:
            raise NotFoundError(f"the camera {name} has sent no picture yet")
        thresholds = Thresholds(**judging.judge.thresholds.model_dump())
        async with turns:
            picture = await asyncio.to_thread(annotated, *newest, thresholds, stale_s, width)
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    return routes
