"""Events over HTTP: pages, one event, and its deletion."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from stream_detect.api.parameters import EventId
from stream_detect.api.schemas import EventBody, EventsBody
from stream_detect.errors import ConflictError
from stream_detect.evidence.keeper import EvidenceKeeper
from stream_detect.settings.cameras import CAMERA_NAME
from stream_detect.storage.events import Events
from stream_detect.storage.records import EventFilter, EventKind


class Asked(BaseModel):
    """Which events, and which page of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    camera: Annotated[str | None, Field(pattern=CAMERA_NAME)] = None
    kind: EventKind | None = None
    from_s: Annotated[float | None, Field(alias="from", ge=0, description="began then or later, unix seconds")] = None
    to_s: Annotated[float | None, Field(alias="to", ge=0, description="began before, unix seconds")] = None
    open: Annotated[bool | None, Field(description="true: those that go on; false: those that ended")] = None
    cursor: Annotated[str | None, Field(max_length=200, description="`next` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


def router(events: Events, keeper: EvidenceKeeper) -> APIRouter:
    """The routes of events.

    Args:
        events: what is remembered.
        keeper: of their evidence.
    """
    routes = APIRouter(prefix="/api/events", tags=["events"])

    @routes.get("")
    def page(asked: Annotated[Asked, Query()]) -> EventsBody:
        """A page of events, newest first; `from` and `to` say when they began."""
        found = events.page(
            EventFilter(asked.camera, asked.kind, asked.from_s, asked.to_s, asked.open), asked.cursor, asked.limit
        )
        return EventsBody(items=tuple(map(EventBody.of, found.items)), next=found.next)

    @routes.get("/{event_id}", responses={404: {"description": "no such event"}})
    def event(event_id: EventId) -> EventBody:
        """One event."""
        return EventBody.of(events.get(event_id))

    @routes.delete(
        "/{event_id}",
        status_code=204,
        response_class=Response,
        responses={404: {"description": "no such event"}, 409: {"description": "it goes on"}},
    )
    def delete(event_id: EventId) -> None:
        """Deletes an event that has ended, and its evidence."""
        if events.get(event_id).ended_s is None:
            raise ConflictError("the event goes on: it can be deleted once it has ended")
        evidence = events.delete(event_id)
        if evidence is not None:
            keeper.delete(evidence)

    return routes
