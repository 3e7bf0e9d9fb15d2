"""Server-sent events: a camera's results and states, and news of all cameras, for as long as a client listens.

The token is asked for as elsewhere: a page reads these streams by fetch, as EventSource can send no header.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from stream_detect.api.parameters import Name
from stream_detect.app.camera_list import Roster
from stream_detect.app.live import Live, Mailbox, Message, camera_message, state_message


def router(roster: Roster, live: Live) -> APIRouter:
    """The routes of live news.

    Args:
        roster: the cameras.
        live: tells of them.
    """
    routes = APIRouter(prefix="/api/streams", tags=["cameras"])

    # Before the response begins, so that a name that is not known, or no place, is a problem with its status.
    async def listening(name: Name) -> AsyncIterator[Mailbox]:
        with live.camera(name) as mailbox:
            mailbox.put("state", state_message(roster.status(name).change))
            yield mailbox

    async def listening_to_all() -> AsyncIterator[Mailbox]:
        with live.cameras() as mailbox:
            for body in roster.bodies():
                mailbox.put(f"camera {body.name}", camera_message(body))
            yield mailbox

    @routes.get(
        "/{name}/results", response_class=EventSourceResponse, responses={404: {"description": "no such camera"}}
    )
    async def results(mailbox: Annotated[Mailbox, Depends(listening)]) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events of a camera: `state`, at once and on each change, and `result`s."""
        async for message in mailbox:
            yield _sent(message)

    @routes.get("/events", response_class=EventSourceResponse)
    async def events(mailbox: Annotated[Mailbox, Depends(listening_to_all)]) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events of all cameras: `camera`, `event`, `removed`."""
        async for message in mailbox:
            yield _sent(message)

    return routes


def _sent(message: Message) -> ServerSentEvent:
    return ServerSentEvent(event=message.kind, raw_data=message.data)
