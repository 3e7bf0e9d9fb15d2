"""Sends signed webhook requests from the outbox until each has been answered or a day has passed.

The outcome of an attempt is stored in the outbox before the next one, so a restart loses no message and at worst
repeats one, with the same id. All webhooks share one thread and its event loop; each has its own task, so one that
hangs delays no other.
"""

import asyncio
import contextlib
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from stream_detect.alerts.messages import AlertTest, NotifierStatus, told_at_s, trial_message
from stream_detect.alerts.webhook import (
    GIVE_UP_S,
    LONGEST_PAUSE_S,
    TIMEOUT_S,
    NotDeliveredError,
    Webhook,
    WebhookOutbox,
    client,
    pause_s,
)
from stream_detect.backoff import Outage
from stream_detect.errors import StorageError
from stream_detect.settings import WebhookSettings
from stream_detect.storage.records import Delivery

_log = logging.getLogger(__name__)

_AT_ONCE = 20
_ORPHANS = 10_000
_POLL_S = 2.0
_REST_S = 30.0
"""Longest pause before a failing webhook is tried again. One message probes it on behalf of all that wait."""

_CLOSE_S = 1.0


@dataclass(slots=True)
class _Tally:
    """State of one webhook. All but `waiting` is written by the sender's thread only."""

    outage: Outage
    delivered: int = 0
    given_up: int = 0
    attempts_failed: int = 0
    in_a_row: int = 0
    waiting: int = 0
    giving_up: bool = False
    """Whether messages were given up since the last one arrived."""

    problem: str = ""
    arrived: str = ""
    """Newest message that arrived: not sent again if the outbox could not be updated."""


class WebhookSender:
    """Sends the messages in the outbox.

    Args:
        webhooks: the webhooks; messages for others are dropped at the start.
        outbox: waiting messages.
        clock: returns unix seconds.
        pause: seconds to wait after a number of failed attempts (`webhook.pause_s`).
    """

    def __init__(
        self,
        webhooks: Sequence[WebhookSettings],
        outbox: WebhookOutbox,
        clock: Callable[[], float] = time.time,
        pause: Callable[[int], float] = pause_s,
    ) -> None:
        self._webhooks = {settings.name: Webhook(settings, clock) for settings in webhooks}
        self._tallies = {name: _Tally(Outage(_log, f"webhook {name}")) for name in self._webhooks}
        self._outbox = outbox
        self._clock = clock
        self._pause = pause
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._stop = asyncio.Event()
        self._news = {name: asyncio.Event() for name in self._webhooks}

    def start(self) -> None:
        """Starts to send."""
        logging.getLogger("httpx").setLevel(logging.WARNING)  # its INFO lines contain the addresses
        self._thread.start()

    def close(self) -> None:
        """Stops sending; an attempt in progress is interrupted and repeated after the next start."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_CLOSE_S)
        elif not self._loop.is_closed():
            self._loop.close()

    def wake(self) -> None:
        """Called when the outbox has a new message. Thread-safe."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._look_now)

    def names(self) -> tuple[str, ...]:
        """Names of all webhooks."""
        return tuple(self._webhooks)

    def statuses(self) -> list[NotifierStatus]:
        """Status of each webhook; while the outbox cannot be read, with the last known number of waiting messages."""
        return [self._status(name, tally) for name, tally in self._tallies.items()]

    def test(self, name: str) -> AlertTest:
        """Sends a test alert at once, without the outbox, and returns its result within ten seconds."""
        if not self._thread.is_alive():
            return AlertTest(ok=False, detail="the server is stopping")
        trying = asyncio.run_coroutine_threadsafe(self._test(self._webhooks[name]), self._loop)
        try:
            return trying.result(TIMEOUT_S + 1.0)
        except TimeoutError:
            trying.cancel()
            return AlertTest(ok=False, detail=f"no answer within {TIMEOUT_S:.0f} s")

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._send_all())

    def _look_now(self) -> None:
        for news in self._news.values():
            news.set()

    async def _send_all(self) -> None:
        async with client() as via:
            tasks = [asyncio.create_task(self._serve(webhook, via)) for webhook in self._webhooks.values()]
            tasks.append(asyncio.create_task(self._drop_orphans()))
            await self._stop.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, webhook: Webhook, via: httpx.AsyncClient) -> None:
        """Sends the due messages of one webhook, for ever."""
        tally, news = self._tallies[webhook.name], self._news[webhook.name]
        outage = Outage(_log, f"webhook {webhook.name}: the outbox")
        while True:
            news.clear()
            try:
                more = await self._send_due(webhook, via)
            except StorageError as error:
                outage.failed(f"cannot be used, it is tried again: {error}")
                await asyncio.sleep(_POLL_S)
            except Exception as error:  # noqa: BLE001 - the task's edge: a defect must not silence a webhook for weeks
                outage.failed(type(error).__name__)  # its message may contain the address
                await asyncio.sleep(_POLL_S)
            else:
                outage.ended()
                if tally.in_a_row:
                    await asyncio.sleep(min(self._pause(tally.in_a_row - 1), _REST_S))
                elif not more:
                    await self._wait_for(news)

    async def _send_due(self, webhook: Webhook, via: httpx.AsyncClient) -> bool:
        """Sends up to the first failure; returns whether more may be due."""
        due = await asyncio.to_thread(self._outbox.due, self._clock(), _AT_ONCE, webhook.name, LONGEST_PAUSE_S)
        for delivery in due:
            await self._attempt(webhook, via, delivery)
            if self._tallies[webhook.name].in_a_row:
                break
        return len(due) == _AT_ONCE

    @staticmethod
    async def _wait_for(news: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(news.wait(), _POLL_S)
        except TimeoutError:
            return

    async def _attempt(self, webhook: Webhook, via: httpx.AsyncClient, delivery: Delivery) -> None:
        tally = self._tallies[webhook.name]
        if tally.arrived != delivery.id:
            try:
                await webhook.send(via, delivery.id, delivery.body)
            except NotDeliveredError as error:
                await self._failed(webhook, delivery, str(error))
                return
            tally.outage.ended()
            tally.delivered += 1
            tally.in_a_row, tally.problem, tally.arrived = 0, "", delivery.id
            tally.giving_up = False
        await _recorded(self._outbox.done, delivery.id)

    async def _failed(self, webhook: Webhook, delivery: Delivery, problem: str) -> None:
        tally = self._tallies[webhook.name]
        tally.problem = problem
        tally.in_a_row += 1
        tally.attempts_failed += 1  # last: a status with this failure also has its reason
        tally.outage.failed(problem)
        due_s = self._clock() + self._pause(delivery.attempts)
        too_old = due_s > told_at_s(delivery.body) + GIVE_UP_S
        if too_old and await asyncio.to_thread(self._outbox.may_expire):
            await _recorded(self._outbox.done, delivery.id)
            tally.given_up += 1
            if not tally.giving_up:
                _log.warning(
                    "webhook %s: message %s was given up after a day; others may follow", webhook.name, delivery.id
                )
            tally.giving_up = True
        else:
            await _recorded(self._outbox.failed, delivery.id, due_s, problem)

    async def _drop_orphans(self) -> None:
        """Deletes messages for webhooks that are no longer in the settings."""
        try:
            waiting = await asyncio.to_thread(self._outbox.due, math.inf, _ORPHANS)
            orphans = [delivery for delivery in waiting if delivery.webhook not in self._webhooks]
            for delivery in orphans:
                await _recorded(self._outbox.done, delivery.id)
        except StorageError as error:
            _log.warning("messages for removed webhooks could not be deleted: %s", error)
        else:
            if orphans:
                _log.warning("%d messages dropped: their webhooks are no longer in the settings", len(orphans))

    def _status(self, name: str, tally: _Tally) -> NotifierStatus:
        with contextlib.suppress(StorageError):  # metrics are scraped even when storage fails, and say so
            tally.waiting = self._outbox.waiting(name)
        return NotifierStatus(
            name=name,
            kind="webhook",
            state="failing" if tally.in_a_row else "ok",
            detail=tally.problem or (f"{tally.delivered} delivered" if tally.delivered else "nothing was sent yet"),
            delivered=tally.delivered,
            failed=tally.given_up,
            attempts_failed=tally.attempts_failed,
            waiting=tally.waiting,
        )

    async def _test(self, webhook: Webhook) -> AlertTest:
        """One attempt, which does not count: the status depends on the messages in the outbox only."""
        message_id = uuid.uuid4().hex
        try:
            async with client() as via:
                await webhook.send(via, message_id, trial_message(message_id, self._clock()))
        except NotDeliveredError as error:
            return AlertTest(ok=False, detail=str(error))
        return AlertTest(ok=True, detail="the webhook took it")


async def _recorded(record: Callable[..., None], *said: str | float) -> None:
    """Records the outcome of an attempt in the outbox, even if the sender is stopped meanwhile."""
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, record, *said))
