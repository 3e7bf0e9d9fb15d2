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
"""Messages that wait for one listener; the oldest is dropped first. More than cameras and open events together."""


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """One server-sent event.

    Args:
        kind: its name.
        data: its JSON.
    """

    kind: str
    data: str


class Listener:
    """The messages that wait for one client, who reads them on the event loop. Other methods may be called anywhere.

    A slow client misses what is no longer true: of each subject only the newest message waits.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._lock = threading.Lock()
        self._waiting: dict[str, StreamMessage] = {}
        self._closed = False

    def put(self, subject: str, message: StreamMessage) -> None:
        """Leaves a message; one of the same subject that still waits is replaced."""
        with self._lock:
            self._waiting.pop(subject, None)
            self._waiting[subject] = message
            if len(self._waiting) > _MAX_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
        self._wake()

    def close(self) -> None:
        """Ends the stream after what waits."""
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
        cameras: all of them.
        listeners: are sent results, states and events.
    """
    routes = APIRouter(prefix="/api/streams", tags=["cameras"])

    # Before the response begins, so that an unknown name, or no place, is a problem with its status.
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
    """A camera's state, for its listeners."""
    return StreamMessage("state", StateBody.of(change).model_dump_json())


def camera_message(body: CameraBody) -> StreamMessage:
    """A camera, for listeners to all of them."""
    return StreamMessage("camera", body.model_dump_json())


def sent(message: StreamMessage) -> ServerSentEvent:
    """A message as FastAPI sends it."""
    return ServerSentEvent(event=message.kind, raw_data=message.data)
