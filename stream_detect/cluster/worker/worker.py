"""A worker: a process that watches the cameras that the server orders, and answers their viewers and publishers.

It hosts the same fleet as a server without a cluster. If the calls of the server stay away for longer than a lease, it
stops its cameras by itself, so that no camera is ever watched twice.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from stream_detect import __version__
from stream_detect.analysis.challenge_control import ChallengeActions
from stream_detect.challenge_record import ChallengeRecord
from stream_detect.cluster.messages import (
    AnalysisBegun,
    AnalysisOrder,
    Batch,
    Call,
    CheckBegun,
    Load,
    Refusal,
    refusal_of,
)
from stream_detect.cluster.worker.hosting import WorkerHosting, WorkerSettings
from stream_detect.cluster.worker.outbox import Outbox
from stream_detect.errors import NotFoundError, StreamDetectError
from stream_detect.overlay.overlay import annotated
from stream_detect.types import Answer, Thresholds
from stream_detect.webrtc.live_check import CheckIds, Client
from stream_detect.webrtc.results_channel import ByeReason

HOLD_S = 0.2
"""Delay of an answer unless a state changed: five messages a second per worker."""

STATUS_S = 1.0
"""Interval at which statuses of cameras are sent."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Worker:
    """A worker, from start to end of its process. Ray calls its methods on one event loop.

    Nothing is loaded before `begin`, because Ray would repeat a failing constructor for ever.
    """

    def __init__(self) -> None:
        self._incarnation = os.urandom(8).hex()
        self._outbox = Outbox()
        self._hosting: WorkerHosting | None = None
        self._loading: asyncio.Future[WorkerHosting] | None = None
        self._status_at_s = -1e9
        self._cpu_s, self._cpu_at_s = time.process_time(), time.monotonic()
        self._beginning = asyncio.Lock()

    async def begin(self, version: str, settings: dict[str, Any], model: tuple[str, str]) -> str | Refusal:
        """Loads the model and waits for orders; further calls do nothing.

        Args:
            version: version of the server, which must be the same, because messages depend on it.
            settings: sections for a worker, from `WorkerSettings.model_dump`.
            model: name and `Card.contract_sha256` of the bundle to use.

        Returns:
            The incarnation, or why it cannot work.
        """
        if version != __version__:
            return Refusal(
                "SettingsError",
                f"this node has stream-detect {__version__}, the server {version}: install the server's version here",
            )
        async with self._beginning:
            if self._hosting is None:
                try:
                    self._hosting = await self._loaded(settings, model)
                except (StreamDetectError, ValueError) as error:
                    return refusal_of(error)
        return self._incarnation

    async def _loaded(self, settings: dict[str, Any], model: tuple[str, str]) -> "WorkerHosting":
        """The services, loaded once: the thread goes on if the server stops waiting, and its next call waits for it."""
        if self._loading is None:
            logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
            for chatty in ("aioice", "aiortc"):
                logging.getLogger(chatty).setLevel(logging.WARNING)
            loop, valid = asyncio.get_running_loop(), WorkerSettings.model_validate(settings)
            loading = asyncio.to_thread(WorkerHosting, valid, model, self._outbox, loop)
            self._loading = asyncio.ensure_future(loading)
        try:
            return await asyncio.shield(self._loading)
        finally:
            if self._loading.done():
                self._loading = None

    async def exchange(self, call: Call) -> Batch:
        """Accepts orders and renewals; answers soon with what happened."""
        hosting = self._hosting
        if hosting is not None and call.incarnation == self._incarnation:
            hosting.orders.renew(call.renewed_s)
            if call.orders is not None:
                hosting.orders.take(call.orders)
            for request in call.evidence:
                hosting.evidence.begin(request)
            hosting.analyses.want(call.analyses)
            for session_id, reason in call.ended_checks.items():
                hosting.checks.end_soon(session_id, "the server has ended it", reason)
        await self._outbox.wait(HOLD_S)
        return self._batch(call)

    async def view(self, camera: str, offer_sdp: str, client: str) -> Answer | Refusal:
        """Answers a viewer's offer (WHEP); see `Viewers.answer`."""
        return await self._answered(lambda hosting: hosting.view(camera, offer_sdp, client))

    async def end_view(self, camera: str, session_id: str) -> Refusal | None:
        """Ends a viewer's session; see `Viewers.close`."""
        return await self._answered(lambda hosting: hosting.viewers.close(camera, session_id))

    async def add_to_view(self, camera: str, session_id: str, fragment: str, etag: str | None) -> Refusal | None:
        """Adds a viewer's further candidates; see `Viewers.add_candidates`."""
        return await self._answered(lambda hosting: hosting.viewers.add_candidates(camera, session_id, fragment, etag))

    async def publish(self, camera: str, offer_sdp: str, client: str) -> Answer | Refusal:
        """Answers a publisher's offer (WHIP); see `Publishers.answer`."""
        return await self._answered(lambda hosting: hosting.publish(camera, offer_sdp, client))

    async def end_publish(self, camera: str, session_id: str) -> Refusal | None:
        """Ends a publisher's session; see `Publishers.close`."""
        return await self._answered(lambda hosting: hosting.publishers.close(camera, session_id))

    async def add_to_publish(self, camera: str, session_id: str, fragment: str, etag: str | None) -> Refusal | None:
        """Adds a publisher's further candidates; see `Publishers.add_candidates`."""
        return await self._answered(
            lambda hosting: hosting.publishers.add_candidates(camera, session_id, fragment, etag)
        )

    async def snapshot(self, camera: str, thresholds: Thresholds, stale_s: float, width: int | None) -> bytes | Refusal:
        """The newest frame with the badge, as JPEG; see `overlay.overlay.annotated`."""

        async def draw(hosting: "WorkerHosting") -> bytes:
            newest = hosting.fleet.camera(camera).snapshot()
            if newest is None:
                raise NotFoundError(f"the camera {camera} has no frame yet")
            return await asyncio.to_thread(annotated, *newest, thresholds, stale_s, width)

        return await self._answered(draw)

    async def challenge(self, camera: str, act: str, by: str) -> ChallengeRecord | Refusal | None:
        """The challenge of a camera: "start", "stop" or "record"; see `ChallengeControl`.

        Args:
            camera: name of the camera.
            act: the requested action.
            by: name of the user; empty if unknown.
        """

        async def do(hosting: "WorkerHosting") -> ChallengeRecord | None:
            return _challenged(hosting.fleet.camera(camera).challenge, act, by)

        return await self._answered(do)

    async def check(self, ids: CheckIds, offer_sdp: str, client: Client) -> CheckBegun | Refusal:
        """Answers the offer of a live check; see `CheckSessions.answer`."""

        async def answer(hosting: "WorkerHosting") -> CheckBegun:
            answered = await hosting.checks.answer(offer_sdp, client, ids)
            return CheckBegun(answered.sdp, time.monotonic())

        return await self._answered(answer)

    async def end_check(self, session_id: str, reason: ByeReason) -> float | Refusal:
        """Ends a live check; see `CheckSessions.close`.

        Returns:
            The time of its end on this worker's clock.
        """

        async def end(hosting: "WorkerHosting") -> float:
            await hosting.checks.close(session_id, reason)
            return time.monotonic()

        return await self._answered(end)

    async def check_challenge(self, session_id: str, act: str, by: str) -> ChallengeRecord | Refusal | None:
        """The challenge of a live check; see `challenge`."""

        async def do(hosting: "WorkerHosting") -> ChallengeRecord | None:
            return _challenged(hosting.checks.challenge(session_id), act, by)

        return await self._answered(do)

    async def evidence_file(self, name: str) -> bytes | Refusal:
        """An evidence file on this node."""

        async def read(hosting: "WorkerHosting") -> bytes:
            return await asyncio.to_thread(hosting.evidence.keeper.path(name).read_bytes)

        return await self._answered(read)

    async def delete_evidence(self, evidence: Any) -> Refusal | None:
        """Deletes the files of an event on this node."""

        async def delete(hosting: "WorkerHosting") -> None:
            await asyncio.to_thread(hosting.evidence.keeper.delete, evidence)

        return await self._answered(delete)

    async def begin_analysis(self, order: AnalysisOrder) -> AnalysisBegun | Refusal:
        """Accepts an upload to examine or draw; see `WorkerAnalyses.begin`."""
        return await self._answered(lambda hosting: asyncio.to_thread(hosting.analyses.begin, order))

    async def put_analysis(self, key: str, name: str, offset: int, piece: bytes) -> Refusal | None:
        """Accepts a piece of a file; see `WorkerAnalyses.put`."""
        return await self._answered(lambda hosting: asyncio.to_thread(hosting.analyses.put, key, name, offset, piece))

    async def analysis_piece(self, key: str, offset: int) -> bytes | Refusal:
        """A piece of the output; see `WorkerAnalyses.piece`."""
        return await self._answered(lambda hosting: asyncio.to_thread(hosting.analyses.piece, key, offset))

    async def end_analysis(self, key: str) -> Refusal | None:
        """Ends an analysis; see `WorkerAnalyses.end`."""
        return await self._answered(lambda hosting: asyncio.to_thread(hosting.analyses.end, key))

    async def close(self) -> None:
        """Stops all cameras and sessions, within five seconds."""
        if self._hosting is not None:
            await self._hosting.close()

    async def _answered(self, ask: Callable[["WorkerHosting"], Awaitable[T]]) -> T | Refusal:
        if self._hosting is None:
            return Refusal("CapacityError", "this worker has yet to start; try again in a moment", 5)
        try:
            return await ask(self._hosting)
        except StreamDetectError as error:
            return refusal_of(error)

    def _batch(self, call: Call) -> Batch:
        received = call.received if call.incarnation == self._incarnation else 0
        upto, reliable, results = self._outbox.take(received, call.listened)
        hosting, now_s = self._hosting, time.monotonic()
        hosted: dict[str, int] = {} if hosting is None else hosting.orders.hosted
        statuses = []
        if hosting is not None and now_s >= self._status_at_s:
            self._status_at_s = now_s + STATUS_S
            for status in hosting.fleet.statuses():
                number = hosted.get(status.name)
                if number is not None:
                    statuses.append((number, status))
        return Batch(
            incarnation=self._incarnation,
            sent_s=now_s,
            revision=0 if hosting is None else hosting.orders.revision,
            hosted=hosted,
            upto=upto,
            reliable=reliable,
            results=results,
            statuses=tuple(statuses),
            load=self._load(now_s),
            problem="" if hosting is None else hosting.problem,
            analyses={} if hosting is None else hosting.analyses.states(),
            ice_problems=() if hosting is None else hosting.ice_servers.problems,
            checks={} if hosting is None else hosting.checks.connected(),
            sessions=frozenset() if hosting is None else hosting.viewers.ids() | hosting.publishers.ids(),
        )

    def _load(self, now_s: float) -> Load:
        cpu_s = time.process_time()
        cores = (cpu_s - self._cpu_s) / max(now_s - self._cpu_at_s, 1e-3)
        self._cpu_s, self._cpu_at_s = cpu_s, now_s
        sessions = 0 if self._hosting is None else self._hosting.viewers.count + self._hosting.publishers.count
        return Load(round(cores, 3), round(os.getloadavg()[0] / (os.cpu_count() or 1), 3), _rss_bytes(), sessions)


def _challenged(control: ChallengeActions, act: str, by: str) -> ChallengeRecord | None:
    if act == "start":
        return control.start(by)
    if act == "stop":
        control.stop()
    return control.record


def _rss_bytes() -> int:
    """Resident memory of this process; 0 if the system does not report it."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
