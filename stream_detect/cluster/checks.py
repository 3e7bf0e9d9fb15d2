"""Live checks on workers, on the server's side: a worker that has room answers; media go directly to its node."""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from stream_detect.cluster.challenge import RemoteChallenge
from stream_detect.cluster.messages import CheckBegun, Refusal, raised
from stream_detect.cluster.nodes import WorkerLostError
from stream_detect.cluster.sessions import ANSWER_S
from stream_detect.cluster.tasks import WorkerTask, WorkerTasks
from stream_detect.errors import CapacityError
from stream_detect.storage.checks import CheckRecord
from stream_detect.webrtc.live_check import CheckIds, Client, Gone, virtual_camera
from stream_detect.webrtc.offer import Offer
from stream_detect.webrtc.peer_connection import CLOSE_S, CloseOnce
from stream_detect.webrtc.results_channel import ByeReason, Introduction

LOOK_S = 0.25
"""Interval at which a session's worker is checked: it reports its sessions five times a second."""

TAKEN_S = 1.0
"""Time limit of the report with the record that follows the end of a session."""

RETRY_AFTER_S = 2

MAX_REMEMBERED = 1_000
"""Ids of stored records: a worker may send its own before or after it was taken for lost; the first one counts."""

WORKER_LOST = "its worker was lost"

WORKER_SILENT = "its worker did not answer when the server stopped"

log = logging.getLogger(__name__)


class WorkerChecks:
    """Makes live checks on workers, and stores their records; a `webrtc.check_sessions.RemoteChecks`.

    Used on the event loop, except for `take`. Each check has one record: the worker's own, or what the server knows of
    it once the worker is lost, whichever comes first.

    Args:
        tasks: chooses workers.
        keep: stores records; thread-safe.
    """

    def __init__(self, tasks: WorkerTasks, keep: Callable[[CheckRecord], None]) -> None:
        self._tasks = tasks
        self._keep = keep
        self._lock = threading.Lock()
        self._stored: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._unsettled: dict[asyncio.Task[None], CheckRecord] = {}

    def sessions(self, offer_sdp: str, client: Client, gone: Gone) -> Iterator["RemoteCheck"]:
        """See `RemoteChecks`: one on each worker, the least busy one first."""
        asked: list[WorkerTask] = []
        while (task := self._tasks.begin_check([one.worker for one in asked])) is not None:
            asked.append(task)
            yield RemoteCheck(self, task, (offer_sdp, client), gone)

    def take(self, record: CheckRecord) -> None:
        """Accepts the record of an ended check. Thread-safe."""
        with self._lock:
            if record.id in self._stored:
                return
            self._stored.append(record.id)
        self._keep(record)

    def end(self, task: WorkerTask, lost: CheckRecord | None) -> None:
        """Called when a check has ended.

        Args:
            task: task of the check.
            lost: its record, if the worker that would have made one is lost.
        """
        self._tasks.end(task)
        if lost is not None:
            self.take(lost)

    def settle_later(self, task: WorkerTask, session_id: str, lost: CheckRecord | None) -> None:
        """Called when a worker has not answered that a check ends: the worker sends its record, or is lost.

        Args:
            task: task of the check.
            session_id: id of the check.
            lost: its record if the worker is lost; None if it has none.
        """
        if lost is not None:
            settling = asyncio.get_running_loop().create_task(self._settle(task, session_id, lost))
            self._unsettled[settling] = lost
            settling.add_done_callback(self._unsettled.pop)

    async def all_ended(self) -> None:
        """Waits until workers have no more checks, and stores what is known of those that they did not answer for."""
        while self._tasks.checks():  # noqa: ASYNC110 - each ends in its own time
            await asyncio.sleep(LOOK_S)
        for settling, lost in list(self._unsettled.items()):
            settling.cancel()
            self.take(replace(lost, reason=WORKER_SILENT))

    async def _settle(self, task: WorkerTask, session_id: str, lost: CheckRecord) -> None:
        while session_id in task.incarnation.ended_checks and not task.lost:  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(LOOK_S)
        if task.lost:
            self.take(lost)


class RemoteCheck:
    """One live check on a worker; a `webrtc.live_check.Check`.

    Args:
        checks: notified of its end.
        task: the worker's task.
        opened: offer of the peer, and the client.
        gone: called when the session has ended on the worker, or the worker is lost.
    """

    def __init__(self, checks: WorkerChecks, task: WorkerTask, opened: tuple[str, Client], gone: Gone) -> None:
        self._checks = checks
        self._task = task
        self._offer_sdp, self._client = opened
        self._gone = gone
        self._ids = CheckIds.new()
        self._connected_s: float | None = None
        self._asked = False  # whether the worker may have it
        self._watching: asyncio.Task[None] | None = None
        self._closing = CloseOnce(f"check {self.session_id[:6]}", self._close)
        self.challenge = RemoteChallenge(task.worker.link, "check_challenge", self.session_id)
        """Challenge of this peer."""

    @property
    def session_id(self) -> str:
        """Unguessable id."""
        return self._ids.session_id

    @property
    def connected(self) -> bool:
        """Whether the peer has connected; stays True after it left."""
        return self._connected_s is not None

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing.begun

    async def answer(self, offer: Offer) -> str:  # noqa: ARG002 - the worker reads its text
        """The worker's answer to the peer's offer.

        Raises:
            OfferError: it cannot be answered.
            CapacityError: the worker accepts none now, or does not answer.
        """
        self._asked = True
        try:
            answer = await self._task.worker.link.ask(
                "check", self._ids, self._offer_sdp, self._client, timeout_s=ANSWER_S
            )
        except WorkerLostError as error:
            raise CapacityError(f"the worker does not answer ({error}); try again", RETRY_AFTER_S) from error
        if isinstance(answer, Refusal):
            self._asked = False
            raise raised(answer)
        begun: CheckBegun = answer
        log.info("check %s: runs on worker %s", self.session_id[:6], self._task.worker.name)
        self._watching = asyncio.get_running_loop().create_task(self._watch(begun.at_s))
        return begun.sdp

    def introduce(self, about: Introduction) -> None:
        """Does nothing: the worker gets the model with its orders."""

    def keep_record(self) -> None:
        """Does nothing: the worker sends the record when the check has ended."""

    async def close(self, reason: ByeReason) -> None:
        """Ends the session within a bounded time; further calls wait for the same end."""
        await self._closing.run(reason)

    async def _watch(self, begun_s: float) -> None:
        """Waits until it has ended on its worker."""
        incarnation = self._task.incarnation
        while True:
            await asyncio.sleep(LOOK_S)
            if self._task.lost:
                self._gone(self, f"its worker {self._task.worker.name}: {self._task.lost}", "closed")
                return
            sent_s, connected = incarnation.sent_s, incarnation.checks.get(self.session_id)
            if connected is None and sent_s > begun_s:
                self._gone(self, "it has ended on its worker", "closed")
                return
            if connected and self._connected_s is None:
                self._connected_s = time.time()

    async def _close(self, reason: ByeReason) -> None:
        try:
            if self._watching is not None:
                self._watching.cancel()
            if self._asked and not self._task.lost:
                await self._end(reason)
        except WorkerLostError:
            # The worker ends it when it answers a call again, or by itself once its lease has expired.
            self._task.incarnation.ended_checks[self.session_id] = reason
            self._checks.settle_later(self._task, self.session_id, self._lost_record())
        finally:
            self._checks.end(self._task, self._lost_record() if self._task.lost else None)

    async def _end(self, reason: ByeReason) -> None:
        """Ends it on the worker, and waits for the report with its record."""
        ended = await self._task.worker.link.ask("end_check", self.session_id, reason, timeout_s=CLOSE_S)
        if isinstance(ended, Refusal):  # it had ended already
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAKEN_S):
                while self._task.incarnation.sent_s <= ended and not self._task.lost:  # noqa: ASYNC110 - of a thread
                    await asyncio.sleep(LOOK_S / 5)

    def _lost_record(self) -> CheckRecord | None:
        """What is known of it without its worker; None if the peer never connected."""
        if self._connected_s is None:
            return None
        return CheckRecord(
            id=self._ids.record_id,
            camera=None,
            who=self._client.user,
            began_s=self._connected_s,
            ended_s=max(time.time(), self._connected_s),
            source_label=self._client.source_label,
            virtual_camera=virtual_camera(self._client.source_label),
            reason=WORKER_LOST,
        )
