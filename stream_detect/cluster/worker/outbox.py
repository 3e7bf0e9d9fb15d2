"""The outbox of a worker: states, results and evidence until the server fetches them; bounded, and never blocks."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from stream_detect.cluster.messages import EndedCheck, KeptEvidence, Reliable, WorkerResult, WorkerState
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.records import Evidence
from stream_detect.types import Result, StateChange

MAX_RELIABLE = 10_000
"""States and evidence that wait for an unreachable server, some 3 MB: hours of fifty cameras. The oldest are dropped
first."""

MAX_RESULTS = 16
"""Results kept per camera: those of three seconds. A slower server gets the newest."""


class Outbox:
    """Messages of a worker to the server: an `Observer` of its cameras. Thread-safe, except for `wait`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Mapping[str, int] = {}
        self._reliable: deque[Reliable] = deque()
        self._first = 0  # number of reliable items before the first one still kept
        self._results: dict[str, deque[WorkerResult]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None

    def attach(self, numbers: Mapping[str, int]) -> None:
        """Sets the cameras that are watched, with their lease numbers; nothing is sent about others."""
        with self._lock:
            self._numbers = dict(numbers)
            self._results = {name: results for name, results in self._results.items() if name in numbers}

    def result(self, camera: str, result: Result, at_s: float) -> None:
        """See `Observer`."""
        with self._lock:
            number = self._numbers.get(camera)
            if number is not None:
                results = self._results.setdefault(camera, deque(maxlen=MAX_RESULTS))
                results.append(WorkerResult(camera, number, result, at_s))

    def state(self, change: StateChange) -> None:
        """See `Observer`."""
        with self._lock:
            number = self._numbers.get(change.camera)
            if number is not None:
                self._put(WorkerState(number, change))
        self.wake()

    def removed(self, camera: str) -> None:
        """See `Observer`: the server ordered it and knows."""

    def kept(self, event_id: str, evidence: Evidence) -> None:
        """Adds evidence of an event."""
        with self._lock:
            self._put(KeptEvidence(event_id, evidence))
        self.wake()

    def ended(self, record: CheckRecord) -> None:
        """Adds the record of an ended live check."""
        with self._lock:
            self._put(EndedCheck(record))
        self.wake()

    def take(
        self, received: int, listened: frozenset[str]
    ) -> tuple[int, tuple[Reliable, ...], tuple[WorkerResult, ...]]:
        """Returns the messages to send.

        Args:
            received: number of reliable items that arrived so far; these are forgotten.
            listened: cameras whose results are sent with all traces.

        Returns:
            The number of reliable items including these, these items, and the results.
        """
        with self._lock:
            while self._reliable and self._first < received:
                self._reliable.popleft()
                self._first += 1
            reliable = tuple(self._reliable)
            results = [result for of_camera in self._results.values() for result in of_camera]
            self._results.clear()
            upto = self._first + len(reliable)
        return upto, reliable, tuple(one if one.camera in listened else _brief(one) for one in results)

    async def wait(self, seconds: float) -> None:
        """Waits for a reliable item, or until the time is over."""
        if self._news is None:
            self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._news.clear()

    def wake(self) -> None:
        """Ends a `wait`. Thread-safe."""
        loop, news = self._loop, self._news
        if loop is not None and news is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(news.set)

    def _put(self, item: Reliable) -> None:
        self._reliable.append(item)
        if len(self._reliable) > MAX_RELIABLE:
            self._reliable.popleft()
            self._first += 1


def _brief(sent: WorkerResult) -> WorkerResult:
    """The result without the traces of its tracks, which are two thirds of its bytes."""
    tracks = tuple(replace(track, trace=()) for track in sent.result.tracks)
    return replace(sent, result=replace(sent.result, tracks=tracks))
