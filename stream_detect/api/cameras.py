"""Routes of cameras: list, add, change, remove, stop, start, test, snapshot, reload; their scores and states so far."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from stream_detect.api.middleware.audit import say
from stream_detect.api.requests import ABSENT_CAMERA, FULL, NO_STORAGE, Name, Responses
from stream_detect.api.schemas.cameras import (
    AppliedBody,
    CameraBody,
    CameraChange,
    CamerasBody,
    ConnectionBody,
    ScoresBody,
    StateBody,
    StatesBody,
)
from stream_detect.errors import RequestError
from stream_detect.settings import CameraSettings
from stream_detect.storage.history import History

if TYPE_CHECKING:
    from stream_detect.app.camera_list import CameraList
    from stream_detect.app.camera_trials import CameraTrials

_OF_FILE: Responses = {409: {"description": "the camera is defined in the settings file"}}
_UNUSABLE: Responses = {422: {"description": "the address or the rate cannot be used"}}
_CHANGES = NO_STORAGE  # one change at a time: a 503 also means that others wait

_DRAWN_AT_ONCE = 2
"""A page with fifty cameras requests fifty pictures; the rest wait without occupying a thread."""


def router(cameras: "CameraList", trials: "CameraTrials") -> APIRouter:
    """The routes of cameras. Those that wait for cameras or the disk run on the framework's threads.

    Args:
        cameras: all cameras.
        trials: tests addresses.
    """
    routes = APIRouter(prefix="/api/cameras", tags=["cameras"])

    @routes.get("")
    def listed() -> CamerasBody:
        """All cameras, by name."""
        return CamerasBody(items=tuple(cameras.bodies()))

    @routes.post(
        "",
        status_code=201,
        responses=_CHANGES | _UNUSABLE | {201: _CREATED, 409: {"description": "a camera of this name exists"}},
    )
    def add(body: CameraSettings, response: Response) -> CameraBody:
        """Adds a camera and starts it."""
        added = cameras.add(body)
        response.headers["Location"] = f"{routes.prefix}/{added.name}"
        return added

    @routes.post(
        "/reload", responses=_CHANGES | {422: {"description": "the settings file is invalid; nothing was changed"}}
    )
    def reload(request: Request) -> AppliedBody:
        """Reloads the settings file, like SIGHUP: only changed cameras are restarted."""
        done = cameras.reload()
        say(request, detail=done.summary)
        added, changed, removed = (
            tuple(sorted(names)) for names in (done.cameras.added, done.cameras.changed, done.cameras.removed)
        )
        return AppliedBody(added=added, changed=changed, removed=removed, after_restart=done.after_restart)

    @routes.post("/test-connection", responses=ABSENT_CAMERA | _UNUSABLE | FULL)
    async def test_connection(body: CameraChange) -> ConnectionBody:
        """Opens an address, waits for one frame and closes it. With `name` alone, tests the address of that camera."""
        return await trials.run(*cameras.to_try(body))

    @routes.get("/{name}", responses=ABSENT_CAMERA)
    def camera(name: Name) -> CameraBody:
        """One camera."""
        return cameras.body(name)

    @routes.put("/{name}", responses=ABSENT_CAMERA | _OF_FILE | _UNUSABLE | _CHANGES)
    def change(name: Name, body: CameraChange, request: Request) -> CameraBody:
        """Replaces the settings; an omitted address is kept."""
        changed = cameras.change(name, body)
        say(request, detail=f"changed: {', '.join(changed.settings) or 'none'}")
        return changed.body

    @routes.delete("/{name}", status_code=204, response_class=Response, responses=ABSENT_CAMERA | _OF_FILE | _CHANGES)
    def remove(name: Name) -> None:
        """Removes a camera; its events are kept."""
        cameras.remove(name)

    @routes.post("/{name}/stop", responses=ABSENT_CAMERA | _CHANGES)
    def stop(name: Name) -> CameraBody:
        """Stops a camera until it is started again. A camera added by this API stays stopped after a restart."""
        return cameras.switch(name, on=False)

    @routes.post("/{name}/start", responses=ABSENT_CAMERA | _CHANGES)
    def start(name: Name) -> CameraBody:
        """Starts a stopped camera."""
        return cameras.switch(name, on=True)

    return routes


def snapshots(picture: Callable[[str, int | None], Awaitable[bytes]]) -> APIRouter:
    """The route of a camera's newest frame, which is not stored.

    Args:
        picture: draws the newest frame of a camera, at most that many pixels wide.
    """
    routes = APIRouter(prefix="/api/cameras", tags=["cameras"])
    turns = asyncio.Semaphore(_DRAWN_AT_ONCE)

    @routes.get("/{name}/snapshot.jpg", response_class=Response, responses=_PICTURE)
    async def snapshot(name: Name, width: Annotated[int | None, Query(ge=32, le=7680)] = None) -> Response:
        """The newest frame with the badge, scaled down to `width` if given."""
        async with turns:
            return Response(await picture(name, width), media_type="image/jpeg")

    return routes


_CREATED = {
    "description": "the camera was added",
    "headers": {"Location": {"description": "path of the camera", "schema": {"type": "string"}}},
}
_PICTURE: Responses = {
    200: {"description": "a JPEG", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
    404: {"description": "no such camera, or it has no frame yet"},
    503: {"description": "no worker of the cluster has the camera at present; Retry-After says when to try again"},
    422: {"description": "the width is out of range, or the frame's pixel format is not supported"},
}


DAY_S: Final = 86_400.0
SECONDS_UP_TO_S: Final = 3600.0
MAX_ROWS: Final = 100_000
"""Maximum number of rows in one response: a day by the second, two months by the minute."""


class Step(IntEnum):
    """Seconds per row."""

    SECOND = 1
    MINUTE = 60


From = Annotated[
    float | None, Query(alias="from", ge=0, description="Unix time in seconds; default: a day before `to`")
]
To = Annotated[float | None, Query(alias="to", ge=0, description="Unix time in seconds; default: now")]


def history(stored: History) -> APIRouter:
    """The routes of the history of cameras, including removed ones.

    Args:
        stored: the history.
    """
    routes = APIRouter(prefix="/api/cameras", tags=["cameras"])

    @routes.get("/{name}/scores")
    def scores(name: Name, from_s: From = None, to_s: To = None, step: Step | None = None) -> ScoresBody:
        """Scores of a camera, oldest first. Default of `step`: 1 for a span of up to an hour, otherwise 60."""
        begin_s, end_s = _span(from_s, to_s)
        step_s = step or (Step.SECOND if end_s - begin_s <= SECONDS_UP_TO_S else Step.MINUTE)
        if (end_s - begin_s) / step_s > MAX_ROWS:
            raise RequestError(
                f"expected at most {MAX_ROWS} steps, received a span of {(end_s - begin_s) / step_s:.0f}"
            )
        found = stored.scores(name, begin_s, end_s, step_s)
        return ScoresBody(
            step_s=step_s,
            items=tuple((row.at_s, _share(row.low), _share(row.mean), _share(row.high), row.state) for row in found),
        )

    @routes.get("/{name}/states")
    def states(name: Name, from_s: From = None, to_s: To = None) -> StatesBody:
        """States of a camera, oldest first, including the state at the start."""
        found = stored.states(name, *_span(from_s, to_s))
        return StatesBody(items=tuple(StateBody(state=row.state, reason=row.reason, at_s=row.at_s) for row in found))

    return routes


def _span(from_s: float | None, to_s: float | None) -> tuple[float, float]:
    end_s = time.time() if to_s is None else to_s
    begin_s = end_s - DAY_S if from_s is None else from_s
    if begin_s > end_s:
        raise RequestError(f"expected from <= to, received {begin_s:.0f} and {end_s:.0f}")
    return begin_s, end_s


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
