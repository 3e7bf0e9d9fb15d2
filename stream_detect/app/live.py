"""Live news of cameras: results, states and events enter from any thread, each listener's messages leave.

A listener who is slow misses what is no more true: of a kind and subject only the newest message waits for it.
"""

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from stream_detect.api.schemas import CameraBody, EventBody, RemovedBody, StateBody
from stream_detect.api.schemas.analyses import AnalysisBody
from stream_detect.errors import CapacityError
from stream_detect.storage.records import Analysis, Event
from stream_detect.types import Result, StateChange
from stream_detect.webrtc.results_channel import result_value

MAX_LISTENERS = 128
RETRY_AFTER_S = 10
CAMERAS_EVERY_S = 1.0
_MAX_WAITING = 512
"""Messages that wait for one listener; the oldest goes first. More than cameras and open events together."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event.

    Args:
        kind: its name.
        data: its JSON.
    """

    kind: str
    data: str


class Mailbox:
    """What waits for one listener, who reads it on the event loop. `put` and `close` come from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._lock = threading.Lock()
        self._waiting: dict[str, Message] = {}
        self._closed = False

    def put(self, subject: str, message: Message) -> None:
        """Leaves a message; one of the same subject that still waits is replaced."""
        with self._lock:
            self._waiting.pop(subject, None)
            self._waiting[subject] = message
            if len(self._waiting) > _MAX_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
        self._wake()

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._wake()

    async def __aiter__(self) -> AsyncIterator[Message]:
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
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the listener gone
            self._loop.call_soon_threadsafe(self._arrived.set)


class Live:
    """Tells listeners what happens (`monitoring.observer.Observer` and `monitoring.recorder.Announcer`)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_camera: dict[str, set[Mailbox]] = {}
        self._of_all: set[Mailbox] = set()
        self._gone: set[str] = set()
        self._closed = False

    @contextlib.contextmanager
    def camera(self, name: str) -> Iterator[Mailbox]:
        """Listens to one camera: `result` and `state`; ends when the camera is removed.

        Raises:
            CapacityError: there are too many listeners, or the server is closing.
        """
        mailbox = Mailbox()
        with self._lock:
            self._admit()
            self._of_camera.setdefault(name, set()).add(mailbox)
        try:
            yield mailbox
        finally:
            with self._lock:
                listeners = self._of_camera.get(name, set())
                listeners.discard(mailbox)
                if not listeners:
                    self._of_camera.pop(name, None)

    @contextlib.contextmanager
    def cameras(self) -> Iterator[Mailbox]:
        """Listens to all cameras: `camera`, `event` and `removed`.

        Raises:
            CapacityError: as `camera`.
        """
        mailbox = Mailbox()
        with self._lock:
            self._admit()
            self._of_all.add(mailbox)
        try:
            yield mailbox
        finally:
            with self._lock:
                self._of_all.discard(mailbox)

    def result(self, camera: str, result: Result, at_s: float) -> None:  # noqa: ARG002 - Observer's
        """See `Observer`; costs nothing while nobody listens."""
        with self._lock:
            listeners = tuple(self._of_camera.get(camera, ()))
        if listeners:
            value = json.dumps(result_value(result, 0), separators=(",", ":"), allow_nan=False)
            _tell(listeners, "result", Message("result", value))

    def state(self, change: StateChange) -> None:
        """See `Observer`. Listeners to all cameras hear of it with the camera's next listing."""
        with self._lock:
            listeners = tuple(self._of_camera.get(change.camera, ()))
        if listeners:
            _tell(listeners, "state", state_message(change))

    def removed(self, camera: str) -> None:
        """See `Observer`."""
        with self._lock:
            self._gone.add(camera)
            listeners, to_all = tuple(self._of_camera.get(camera, ())), tuple(self._of_all)
        for mailbox in listeners:
            mailbox.close()
        _tell(to_all, f"camera {camera}", Message("removed", RemovedBody(name=camera).model_dump_json()))

    def announce(self, event: Event, what: Literal["began", "ended"]) -> None:  # noqa: ARG002 - Announcer's
        """See `Announcer`."""
        with self._lock:
            to_all = tuple(self._of_all)
        if to_all:
            _tell(to_all, f"event {event.id}", Message("event", EventBody.of(event).model_dump_json()))

    async def list_cameras(self, read: Callable[[], Sequence[CameraBody]]) -> None:
        """Sends cameras that changed to the listeners to all, once a second, until cancelled.

        Args:
            read: all cameras as they are; called off the loop, and only while somebody listens.
        """
        sent: dict[str, str] = {}
        while True:
            await asyncio.sleep(CAMERAS_EVERY_S)
            with self._lock:
                to_all = tuple(self._of_all)
                self._gone.clear()
            if not to_all:
                sent = {}
                continue
            read_now = {body.name: body.model_dump_json() for body in await asyncio.to_thread(read)}
            with self._lock:
                changed = {
                    name: text for name, text in read_now.items() if sent.get(name) != text and name not in self._gone
                }
                for name, text in changed.items():
                    _tell(to_all, f"camera {name}", Message("camera", text))
            sent = read_now

    def close(self) -> None:
        """Ends all listening at once, and admits no more."""
        with self._lock:
            self._closed = True
            listeners = {*self._of_all, *(mailbox for some in self._of_camera.values() for mailbox in some)}
        for mailbox in listeners:
            mailbox.close()

    def _admit(self) -> None:
        if self._closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if len(self._of_all) + sum(map(len, self._of_camera.values())) >= MAX_LISTENERS:
            raise CapacityError(f"all {MAX_LISTENERS} streams of events are taken; try again later", RETRY_AFTER_S)


def state_message(change: StateChange) -> Message:
    """A camera's state as its listeners hear of it."""
    return Message("state", StateBody.of(change).model_dump_json())


def camera_message(body: CameraBody) -> Message:
    """A camera as listeners to all hear of it."""
    return Message("camera", body.model_dump_json())


def _tell(listeners: Sequence[Mailbox], subject: str, message: Message) -> None:
    for mailbox in listeners:
        mailbox.put(subject, message)


class Following:
    """Listeners of all analyses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, dict[Mailbox, bool]] = {}  # with whether anything was told to it
        self._closed = False

    @contextlib.contextmanager
    def analysis(self, analysis_id: str) -> Iterator[Mailbox]:
        """Listens to one; on the event loop.

        Raises:
            CapacityError: there are too many listeners, or the server is closing.
        """
        mailbox = Mailbox()
        with self._lock:
            if self._closed or sum(map(len, self._of.values())) >= MAX_LISTENERS:
                raise CapacityError("all places to follow analyses are taken; try again later", RETRY_AFTER_S)
            self._of.setdefault(analysis_id, {})[mailbox] = False
        try:
            yield mailbox
        finally:
            with self._lock:
                self._of[analysis_id].pop(mailbox)
                if not self._of[analysis_id]:
                    del self._of[analysis_id]

    def begin(self, mailbox: Mailbox, analysis: Analysis) -> None:
        """Tells a new listener how it is, unless it has heard of something newer."""
        with self._lock:
            if not self._of[analysis.id][mailbox]:
                _following_tell(mailbox, analysis)

    def tell(self, analysis: Analysis) -> None:
        """It changed."""
        with self._lock:
            listeners = self._of.get(analysis.id, {})
            for mailbox in listeners:
                listeners[mailbox] = True
                _following_tell(mailbox, analysis)

    def close(self) -> None:
        """Ends all listening at once, and admits no more."""
        with self._lock:
            self._closed = True
            for listeners in self._of.values():
                for mailbox in listeners:
                    mailbox.close()


def _following_tell(mailbox: Mailbox, analysis: Analysis) -> None:
    body = AnalysisBody.of(analysis)
    mailbox.put("progress", Message("progress", body.model_dump_json()))
    if analysis.ended:
        mailbox.close()
