"""Routes of events: list, read and delete them, and read their evidence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from stream_detect.api.requests import ABSENT_EVENT, NO_STORAGE, EventId, Responses
from stream_detect.api.schemas.events import EventBody, EventsBody
from stream_detect.errors import ConflictError, NotFoundError
from stream_detect.settings.cameras import CAMERA_NAME
from stream_detect.storage.events import Events
from stream_detect.storage.records import EventFilter, EventKind, Evidence

_TYPES: Mapping[str, str] = {".jpg": "image/jpeg", ".mp4": "video/mp4", ".mkv": "video/x-matroska"}
_TEXT: Final = {"text/plain": {"schema": {"type": "string"}}}
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}


class EventQuery(BaseModel):
    """Selects events and a page of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    camera: Annotated[str | None, Field(pattern=CAMERA_NAME)] = None
    kind: EventKind | None = None
    from_s: Annotated[
        float | None,
        Field(alias="from", ge=0, description="events that began at this time or later, Unix time in seconds"),
    ] = None
    to_s: Annotated[
        float | None, Field(alias="to", ge=0, description="events that began before this time, Unix time in seconds")
    ] = None
    open: Annotated[bool | None, Field(description="true: ongoing events only; false: ended events only")] = None
    cursor: Annotated[str | None, Field(max_length=200, description="`next` of the previous page")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class KeptFiles(Protocol):
    """Evidence files (`evidence.keeper.EvidenceKeeper` fits). Both methods block."""

    def path(self, name: str) -> Path:
        """Path of a file that an `Evidence` refers to.

        Raises:
            NotFoundError: there is no such file.
        """
        ...

    def delete(self, evidence: Evidence) -> None:
        """Deletes the files of a deleted event.

        Raises:
            StorageError: one cannot be deleted.
        """
        ...


def router(events: Events, keeper: KeptFiles) -> APIRouter:
    """The routes of events.

    Args:
        events: table of events.
        keeper: deletes their evidence.
    """
    routes = APIRouter(prefix="/api/events", tags=["events"])

    @routes.get("", responses=NO_STORAGE | {400: {"description": "the cursor is not the `next` of a page"}})
    def page(asked: Annotated[EventQuery, Query()]) -> EventsBody:
        """A page of events, newest first; `from` and `to` limit the time at which they began."""
        found = events.page(
            EventFilter(asked.camera, asked.kind, asked.from_s, asked.to_s, asked.open), asked.cursor, asked.limit
        )
        return EventsBody(items=tuple(map(EventBody.of, found.items)), next=found.next)

    @routes.get("/{event_id}", responses=ABSENT_EVENT | NO_STORAGE)
    def event(event_id: EventId) -> EventBody:
        """One event."""
        return EventBody.of(events.get(event_id))

    @routes.delete(
        "/{event_id}",
        status_code=204,
        response_class=Response,
        responses=ABSENT_EVENT | NO_STORAGE | {409: {"description": "the event is ongoing"}},
    )
    def delete(event_id: EventId) -> None:
        """Deletes an ended event and its evidence."""
        if events.get(event_id).ended_s is None:
            raise ConflictError("the event is ongoing: it can be deleted once it has ended")
        deleted = events.delete(event_id)
        if deleted is not None:
            keeper.delete(deleted)

    return routes


def evidence(events: Events, keeper: KeptFiles) -> APIRouter:
    """The routes of the evidence files of an event.

    Args:
        events: table of events, with the names of the files.
        keeper: keeper of the files.
    """
    routes = APIRouter(prefix="/api/events", tags=["events"])

    @routes.get("/{event_id}/picture.jpg", response_class=FileResponse, responses=_file("image/jpeg"))
    def picture(event_id: EventId) -> FileResponse:
        """The annotated picture of the event. Supports range requests."""
        return answer(event_id, "picture")

    @routes.get("/{event_id}/face.jpg", response_class=FileResponse, responses=_file("image/jpeg"))
    def face(event_id: EventId) -> FileResponse:
        """The face that was judged. Supports range requests."""
        return answer(event_id, "face")

    @routes.get("/{event_id}/clip.mp4", response_class=FileResponse, responses=_file("video/mp4", "video/x-matroska"))
    def clip(event_id: EventId) -> FileResponse:
        """The clip, as MP4, or as Matroska if MP4 does not support the camera's codec. Supports range requests."""
        return answer(event_id, "clip")

    def answer(event_id: str, what: str) -> FileResponse:
        kept = events.get(event_id).evidence
        name = None if kept is None else getattr(kept, what)
        if name is None:
            why = f": {kept.problem}" if kept is not None and kept.problem else ""
            raise NotFoundError(f"this event has no {what}{why}")
        path = keeper.path(name)
        return FileResponse(path, media_type=_TYPES[path.suffix])

    return routes


def _file(*media_types: str) -> Responses:
    """Responses of a route that sends an evidence file, whole or in part (RFC 9110, 14)."""
    content: dict[str, Any] = dict.fromkeys(media_types, _BYTES)
    return {
        **NO_STORAGE,
        200: {"description": "the file", "content": content},
        206: {
            "description": "the parts of the file that the Range header requests",
            "content": {**content, "multipart/byteranges": _BYTES},
        },
        400: {"description": "the Range header is malformed", "content": _TEXT},
        404: {"description": "no such event, or it does not have this evidence"},
        416: {"description": "the range is outside the file", "content": _TEXT},
    }
