"""Server-sent events over HTTP: the results and states of one camera, and the changes of all cameras.

They require the access token like other routes: the page reads them by fetch, because EventSource cannot send headers.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from stream_detect.api.requests import ABSENT_CAMERA, FULL, Name, client_of
from stream_detect.api.schemas.cameras import CameraBody, StateBody
from stream_detect.types import StateChange

if TYPE_CHECKING:
    from stream_detect.app.camera_list import CameraList
    from stream_detect.app.listeners import CameraListeners

_MAX_WAITING = 512
"""Messages that may wait for one listener; the oldest is dropped first. More than cameras and open events together."""


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """One server-sent event.

    Args:
        kind: its event name.
        data: its JSON.
    """

    kind: str
    data: str


class Listener:
    """Messages for one client, read on the event loop. The other methods are thread-safe.

    A slow client misses outdated messages: of each subject only the newest waits.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._lock = threading.Lock()
        self._waiting: dict[str, StreamMessage] = {}
        self._closed = False

    def put(self, subject: str, message: StreamMessage) -> None:
        """Adds a message, replacing a waiting one with the same subject."""
        with self._lock:
            self._waiting.pop(subject, None)
            self._waiting[subject] = message
            if len(self._waiting) > _MAX_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
        self._wake()

    def close(self) -> None:
        """Ends the stream after the waiting messages."""
        self._closed = True
        self._wake()

    async def __aiter__(self) -> AsyncIterator[StreamMessage]:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            with self._lock:
                messages = tuple(self._waiting.values())
                self._waiting.clear()
            for message in messages:
                yield message
            if self._closed:
                return

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the client gone
            self._loop.call_soon_threadsafe(self._arrived.set)


def router(cameras: "CameraList", listeners: "CameraListeners") -> APIRouter:
    """The routes of server-sent events of cameras.

    Args:
        cameras: all cameras.
        listeners: get results, states and events.
    """
    routes = APIRouter(prefix="/api/streams", tags=["cameras"])

    # Before the response starts, so that an unknown name, or a full server, is a problem response with its status.
    async def listening(name: Name, request: Request) -> AsyncIterator[Listener]:
        with listeners.camera(name, client_of(request)) as listener:
            listener.put("state", state_message(cameras.status(name).change))
            yield listener

    async def listening_to_all(request: Request) -> AsyncIterator[Listener]:
        with listeners.cameras(client_of(request)) as listener:
            for body in cameras.bodies():
                listener.put(f"camera {body.name}", camera_message(body))
            yield listener

    @routes.get("/{name}/results", response_class=EventSourceResponse, responses=ABSENT_CAMERA | FULL)
    async def results(listener: Annotated[Listener, Depends(listening)]) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events of a camera: `state`, at once and on each change, and `result`s."""
        async for message in listener:
            yield sent(message)

    @routes.get("/events", response_class=EventSourceResponse, responses=FULL)
    async def events(listener: Annotated[Listener, Depends(listening_to_all)]) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events of all cameras: `camera`, `event`, `removed`."""
        async for message in listener:
            yield sent(message)

    return routes


def state_message(change: StateChange) -> StreamMessage:
    """Message about a camera's state."""
    return StreamMessage("state", StateBody.of(change).model_dump_json())


def camera_message(body: CameraBody) -> StreamMessage:
    """Message about a camera, for listeners to all of them."""
    return StreamMessage("camera", body.model_dump_json())


def sent(message: StreamMessage) -> ServerSentEvent:
    """A message in FastAPI's form."""
    return ServerSentEvent(event=message.kind, raw_data=message.data)
