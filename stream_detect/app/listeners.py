"""The listeners of server-sent events of cameras and analyses, and the messages that they are sent."""

import asyncio
import contextlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from stream_detect.api.schemas.analyses import AnalysisBody
from stream_detect.api.schemas.cameras import CameraBody, RemovedBody
from stream_detect.api.schemas.events import EventBody
from stream_detect.api.streams import Listener, StreamMessage, camera_message, state_message
from stream_detect.backoff import Outage
from stream_detect.errors import CapacityError
from stream_detect.storage.records import Analysis, Event
from stream_detect.types import Result, StateChange
from stream_detect.webrtc.results_channel import result_value

MAX_LISTENERS = 128
RETRY_AFTER_S = 10
CAMERAS_EVERY_S = 1.0

_log = logging.getLogger(__name__)


class ListenerLimit:
    """Limits the number of listeners. If all places are taken, the client address with most loses its oldest.

    So no client can block all places, whether or not it reads its stream; a page whose stream ends opens another one.
    Not thread-safe.

    Args:
        limit: listeners at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._clients: dict[Listener, str] = {}  # oldest first
        self._closed = False
        self._full = Outage(_log, "streams of events")

    def __iter__(self) -> Iterator[Listener]:
        return iter(self._clients)

    def take(self, listener: Listener, client: str) -> None:
        """Adds a listener.

        Raises:
            CapacityError: the server is shutting down.
        """
        if self._closed:
            raise CapacityError("the server is shutting down; try again when it is back", RETRY_AFTER_S)
        if len(self._clients) >= self._limit:
            greediest, _ = Counter(self._clients.values()).most_common(1)[0]
            oldest = next(one for one, its_client in self._clients.items() if its_client == greediest)
            self._full.failed(f"all {self._limit} are taken; the oldest one of {greediest} ends")
            del self._clients[oldest]
            oldest.close()
        self._clients[listener] = client

    def leave(self, listener: Listener) -> None:
        """Removes a listener."""
        self._clients.pop(listener, None)
        if len(self._clients) < self._limit // 2:
            self._full.ended()

    def close(self) -> None:
        """Ends all streams and accepts no more."""
        self._closed = True
        for listener in self._clients:
            listener.close()


class CameraListeners:
    """Sends results, states and events of cameras to their listeners. Thread-safe.

    It is an `Observer` of cameras and an `Announcer` of events.

    Args:
        limit: listeners at once.
    """

    def __init__(self, limit: int = MAX_LISTENERS) -> None:
        self._lock = threading.Lock()
        self._admitted = ListenerLimit(limit)
        self._of_camera: dict[str, set[Listener]] = {}
        self._of_all: set[Listener] = set()
        self._gone: set[str] = set()

    @contextlib.contextmanager
    def camera(self, name: str, client: str = "") -> Iterator[Listener]:
        """Listens to one camera: `result` and `state`; ends when the camera is removed.

        Args:
            name: name of the camera.
            client: address of the listener.

        Raises:
            CapacityError: the server is shutting down.
        """
        listener = Listener()
        with self._lock:
            self._admitted.take(listener, client)
            self._of_camera.setdefault(name, set()).add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._admitted.leave(listener)
                listeners = self._of_camera.get(name, set())
                listeners.discard(listener)
                if not listeners:
                    self._of_camera.pop(name, None)

    @contextlib.contextmanager
    def cameras(self, client: str = "") -> Iterator[Listener]:
        """Listens to all cameras: `camera`, `event` and `removed`.

        Args:
            client: address of the listener.

        Raises:
            CapacityError: the server is shutting down.
        """
        listener = Listener()
        with self._lock:
            self._admitted.take(listener, client)
            self._of_all.add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._admitted.leave(listener)
                self._of_all.discard(listener)

    def listened(self) -> frozenset[str]:
        """Names of the cameras whose results somebody follows."""
        with self._lock:
            return frozenset(self._of_camera)

    def result(self, camera: str, result: Result, at_s: float) -> None:  # noqa: ARG002 - Observer's
        """See `Observer`; costs nothing while nobody listens."""
        with self._lock:
            listeners = tuple(self._of_camera.get(camera, ()))
        if listeners:
            value = json.dumps(result_value(result, 0), separators=(",", ":"), allow_nan=False)
            _send(listeners, "result", StreamMessage("result", value))

    def state(self, change: StateChange) -> None:
        """See `Observer`. Listeners to all cameras get it with the camera's next listing."""
        with self._lock:
            listeners = tuple(self._of_camera.get(change.camera, ()))
        if listeners:
            _send(listeners, "state", state_message(change))

    def removed(self, camera: str) -> None:
        """See `Observer`."""
        with self._lock:
            self._gone.add(camera)
            listeners, to_all = tuple(self._of_camera.get(camera, ())), tuple(self._of_all)
        for listener in listeners:
            listener.close()
        _send(to_all, f"camera {camera}", StreamMessage("removed", RemovedBody(name=camera).model_dump_json()))

    def announce(self, event: Event, what: Literal["began", "ended"]) -> None:  # noqa: ARG002 - Announcer's
        """See `Announcer`."""
        with self._lock:
            to_all = tuple(self._of_all)
        if to_all:
            _send(to_all, f"event {event.id}", StreamMessage("event", EventBody.of(event).model_dump_json()))

    async def list_cameras(self, read: Callable[[], Sequence[CameraBody]]) -> None:
        """Sends changed cameras to listeners to all cameras, once a second, until cancelled.

        Args:
            read: returns all cameras; called off the event loop, and only while somebody listens.
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
            read_now = {body.name: camera_message(body) for body in await asyncio.to_thread(read)}
            with self._lock:
                changed = {
                    name: message
                    for name, message in read_now.items()
                    if sent.get(name) != message.data and name not in self._gone
                }
                for name, message in changed.items():
                    _send(to_all, f"camera {name}", message)
            sent = {name: message.data for name, message in read_now.items()}

    def close(self) -> None:
        """Ends all streams at once and accepts no more."""
        with self._lock:
            self._admitted.close()


class AnalysisListeners:
    """Sends each change of an analysis to its listeners. Thread-safe.

    Args:
        limit: listeners at once.
    """

    def __init__(self, limit: int = MAX_LISTENERS) -> None:
        self._lock = threading.Lock()
        self._admitted = ListenerLimit(limit)
        self._of: dict[str, dict[Listener, bool]] = {}  # and whether anything was sent to it

    @contextlib.contextmanager
    def analysis(self, analysis_id: str, client: str = "") -> Iterator[Listener]:
        """Listens to one analysis until it has ended. Used on the event loop.

        Args:
            analysis_id: id of the analysis.
            client: address of the listener.

        Raises:
            CapacityError: the server is shutting down.
        """
        listener = Listener()
        with self._lock:
            self._admitted.take(listener, client)
            self._of.setdefault(analysis_id, {})[listener] = False
        try:
            yield listener
        finally:
            with self._lock:
                self._admitted.leave(listener)
                self._of[analysis_id].pop(listener)
                if not self._of[analysis_id]:
                    del self._of[analysis_id]

    def begin(self, listener: Listener, analysis: Analysis) -> None:
        """Sends a new listener the state of its analysis, unless a newer one was sent already."""
        with self._lock:
            if not self._of[analysis.id][listener]:
                _send_analysis(listener, analysis)

    def notify(self, analysis: Analysis) -> None:
        """Sends a changed analysis to its listeners."""
        with self._lock:
            listeners = self._of.get(analysis.id, {})
            for listener in listeners:
                listeners[listener] = True
                _send_analysis(listener, analysis)

    def close(self) -> None:
        """Ends all streams at once and accepts no more."""
        with self._lock:
            self._admitted.close()


def _send(listeners: Sequence[Listener], subject: str, message: StreamMessage) -> None:
    for listener in listeners:
        listener.put(subject, message)


def _send_analysis(listener: Listener, analysis: Analysis) -> None:
    body = AnalysisBody.of(analysis)
    listener.put("progress", StreamMessage("progress", body.model_dump_json()))
    if analysis.ended:
        listener.close()
