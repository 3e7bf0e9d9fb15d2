"""Routes of cameras: list, add, change, remove, stop, start, test, snapshot, and reload of the settings file."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Response

from stream_detect.api.parameters import ABSENT_CAMERA, FULL, NO_STORAGE, Name, Responses
from stream_detect.api.schemas import AppliedBody, CameraBody, CameraChange, CamerasBody, ConnectionBody
from stream_detect.settings import CameraSettings

if TYPE_CHECKING:
    from stream_detect.app.camera_list import CameraList
    from stream_detect.app.camera_trials import CameraTrials

_OF_FILE: Responses = {409: {"description": "the settings file names it"}}
_UNUSABLE: Responses = {422: {"description": "the address or the rate is not usable"}}
_CHANGES = NO_STORAGE  # one change after another: a 503 also says that others wait

_DRAWN_AT_ONCE = 2
"""A wall of fifty cameras asks for fifty pictures; the rest wait their turn without taking a thread."""


def router(cameras: "CameraList", trials: "CameraTrials") -> APIRouter:
    """The routes of the list. Those that wait for cameras or the disk run on the framework's threads.

    Args:
        cameras: all of them.
        trials: opens addresses for a look.
    """
    routes = APIRouter(prefix="/api/cameras", tags=["cameras"])

    @routes.get("")
    def listed() -> CamerasBody:
        """All cameras, by name."""
        return CamerasBody(items=tuple(cameras.bodies()))

    @routes.post(
        "",
        status_code=201,
        responses=_CHANGES | _UNUSABLE | {201: _CREATED, 409: {"description": "the name is taken"}},
    )
    def add(body: CameraSettings, response: Response) -> CameraBody:
        """Adds a camera and begins to watch it."""
        added = cameras.add(body)
        response.headers["Location"] = f"{routes.prefix}/{added.name}"
        return added

    @routes.post(
        "/reload", responses=_CHANGES | {422: {"description": "the settings file is not usable; nothing changed"}}
    )
    def reload() -> AppliedBody:
        """Reads the settings file again, as SIGHUP does: only cameras that changed are restarted."""
        done = cameras.reload()
        added, changed, removed = (
            tuple(sorted(names)) for names in (done.cameras.added, done.cameras.changed, done.cameras.removed)
        )
        return AppliedBody(added=added, changed=changed, removed=removed, after_restart=done.after_restart)

    @routes.post("/test-connection", responses=ABSENT_CAMERA | _UNUSABLE | FULL)
    async def test_connection(body: CameraChange) -> ConnectionBody:
        """Opens an address, waits for one picture and closes it; by `name` alone the address of a camera."""
        return await trials.run(*cameras.to_try(body))

    @routes.get("/{name}", responses=ABSENT_CAMERA)
    def camera(name: Name) -> CameraBody:
        """One camera."""
        return cameras.body(name)

    @routes.put("/{name}", responses=ABSENT_CAMERA | _OF_FILE | _UNUSABLE | _CHANGES)
    def change(name: Name, body: CameraChange) -> CameraBody:
        """Other settings from now on; the address stays when it is left out."""
        return cameras.change(name, body)

    @routes.delete("/{name}", status_code=204, response_class=Response, responses=ABSENT_CAMERA | _OF_FILE | _CHANGES)
    def remove(name: Name) -> None:
        """Ends watching; the camera's events stay."""
        cameras.remove(name)

    @routes.post("/{name}/stop", responses=ABSENT_CAMERA | _CHANGES)
    def stop(name: Name) -> CameraBody:
        """Ends watching for now; of a camera added here until it is started again, restarts or not."""
        return cameras.switch(name, on=False)

    @routes.post("/{name}/start", responses=ABSENT_CAMERA | _CHANGES)
    def start(name: Name) -> CameraBody:
        """Watches again."""
        return cameras.switch(name, on=True)

    return routes


def snapshots(picture: Callable[[str, int | None], Awaitable[bytes]]) -> APIRouter:
    """The route of a camera's newest picture; nothing of it is kept.

    Args:
        picture: draws that of a camera, no wider than so many pixels.
    """
    routes = APIRouter(prefix="/api/cameras", tags=["cameras"])
    turns = asyncio.Semaphore(_DRAWN_AT_ONCE)

    @routes.get("/{name}/snapshot.jpg", response_class=Response, responses=_PICTURE)
    async def snapshot(name: Name, width: Annotated[int | None, Query(ge=32, le=7680)] = None) -> Response:
        """The newest picture, with the badge; `width` makes it smaller."""
        async with turns:
            return Response(await picture(name, width), media_type="image/jpeg")

    return routes


_CREATED = {
    "description": "the camera",
    "headers": {"Location": {"description": "of the camera", "schema": {"type": "string"}}},
}
_PICTURE: Responses = {
    200: {"description": "a JPEG", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
    404: {"description": "no such camera, or no picture yet"},
    503: {"description": "on a cluster: no worker has the camera now; Retry-After says when to try again"},
    422: {"description": "the width is out of range, or the picture is of no kind that can be drawn on"},
}
