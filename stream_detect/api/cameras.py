"""The cameras over HTTP: list, add, change, remove, stop, start, and the settings file read again."""

from typing import Any

from fastapi import APIRouter, Response

from stream_detect.api.parameters import Name
from stream_detect.api.schemas import AppliedBody, CameraBody, CameraChange, CamerasBody
from stream_detect.app.camera_list import Roster
from stream_detect.settings import CameraSettings

_ABSENT: dict[int | str, dict[str, Any]] = {404: {"description": "no such camera"}}
_OF_FILE: dict[int | str, dict[str, Any]] = {409: {"description": "the settings file names it"}}


def router(roster: Roster) -> APIRouter:
    """The routes of the list. Those that wait for cameras or the disk run on the framework's threads.

    Args:
        roster: the cameras.
    """
    routes = APIRouter(prefix="/api/cameras", tags=["cameras"])

    @routes.get("")
    def cameras() -> CamerasBody:
        """All cameras, by name."""
        return CamerasBody(items=tuple(roster.bodies()))

    @routes.post(
        "",
        status_code=201,
        responses={409: {"description": "the name is taken"}, 422: {"description": "the address is not usable"}},
    )
    def add(body: CameraSettings, response: Response) -> CameraBody:
        """Adds a camera and begins to watch it."""
        added = roster.add(body)
        response.headers["Location"] = f"{routes.prefix}/{added.name}"
        return added

    @routes.post("/reload", responses={422: {"description": "the settings file is not usable; nothing changed"}})
    def reload() -> AppliedBody:
        """Reads the settings file again, as SIGHUP does: only cameras that changed are restarted."""
        done = roster.reload()
        cameras = done.cameras
        added, changed, removed = (tuple(sorted(n)) for n in (cameras.added, cameras.changed, cameras.removed))
        return AppliedBody(added=added, changed=changed, removed=removed, after_restart=done.after_restart)

    @routes.get("/{name}", responses=_ABSENT)
    def camera(name: Name) -> CameraBody:
        """One camera."""
        return roster.body(name)

    @routes.put("/{name}", responses=_ABSENT | _OF_FILE)
    def change(name: Name, body: CameraChange) -> CameraBody:
        """Other settings from now on; the address stays when it is left out."""
        return roster.change(name, body)

    @routes.delete("/{name}", status_code=204, response_class=Response, responses=_ABSENT | _OF_FILE)
    def remove(name: Name) -> None:
        """Ends watching; the camera's events stay."""
        roster.remove(name)

    @routes.post("/{name}/stop", responses=_ABSENT)
    def stop(name: Name) -> CameraBody:
        """Ends watching for now; of a camera added here until it is started again, restarts or not."""
        return roster.switch(name, on=False)

    @routes.post("/{name}/start", responses=_ABSENT)
    def start(name: Name) -> CameraBody:
        """Watches again."""
        return roster.switch(name, on=True)

    return routes
