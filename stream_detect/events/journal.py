"""The journal: writes events, checks, states and scores to the database as they happen, and then announces events.

An event is committed, with its deliveries in the same transaction, before anybody is notified, so that no announced
event is ever lost. While the database is away everything waits here; `problem` says so.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Generic, Protocol, TypeVar

from stream_detect.backoff import Backoff, Outage
from stream_detect.errors import ConflictError, StorageError
from stream_detect.events.rules import Transition, What
from stream_detect.media.clock import Moment
from stream_detect.settings.storage import StorageSettings
from stream_detect.storage.checks import CheckRecord, Checks
from stream_detect.storage.events import Events
from stream_detect.storage.history import History
from stream_detect.storage.records import Delivery, Event, Evidence, Judge, Score, StateEntry

Item = TypeVar("Item")


class Backlog(Generic[Item]):
    """A bounded queue to which items that could not be written can be returned.

    Drop policy: when it is full, the oldest item is dropped and counted.

    Args:
        limit: maximum number of items.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._items: deque[Item] = deque()
        self._dropped = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._items)

    @property
    def dropped(self) -> int:
        """Number of items dropped so far."""
        with self._lock:
            return self._dropped

    def put(self, items: Iterable[Item]) -> None:
        """Appends items."""
        with self._lock:
            self._items.extend(items)
            self._shorten()

    def take(self, count: int = 1) -> list[Item]:
        """Removes and returns the oldest items, at most `count`; empty if there are none."""
        with self._lock:
            return [self._items.popleft() for _ in range(min(count, len(self._items)))]

    def give_back(self, items: Sequence[Item]) -> None:
        """Returns items to the front."""
        with self._lock:
            self._items.extendleft(reversed(items))
            self._shorten()

    def _shorten(self) -> None:
        while len(self._items) > self._limit:
            self._items.popleft()
            self._dropped += 1


MAX_CHANGES = 10_000
MAX_STATES = 50_000
MAX_SCORES = 50_000
"""Maximum number of waiting items while the database cannot be used, some 10 MB each: a quarter of an hour of scores of
50 cameras, days of their events and states. Beyond it the oldest are dropped and counted."""

AT_ONCE = 1_000
FLUSH_S = 5.0
UPDATE_S = 5.0
"""Interval at which peak, mean and gaps of ongoing events are written; if nothing changed, six times longer."""

UPKEEP_S, UPKEEP_LEFT_S = 3_600.0, 60.0
"""Interval of rolling up old scores and deleting old events, and the shorter one after more urgent work interrupted it.
"""

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 60.0
"""Limits of the backoff. Without jitter, because a database has one journal, it pauses for 0.5, 1, 2 ... 16 and 30 s.
"""

DAY_S = 86_400.0

log = logging.getLogger(__name__)


class Announcer(Protocol):
    """Is notified of events once they are in the database, on the recorder's thread; must return at once."""

    def announce(self, event: Event, what: What) -> None:
        """The event began, or ended."""
        ...


@dataclass(frozen=True, slots=True)
class Ledger:
    """Stores of the journal, and whom it notifies.

    Args:
        events: table of events.
        history: tables of scores and states.
        checks: table of checks.
        storage: retention times.
        deliveries_for: makes the webhook messages for an event that began or ended.
        announce: notified after the commit.
        judge_of: returns the model with the sha256 in a result; None if results contain none.
    """

    events: Events
    history: History
    checks: Checks
    storage: StorageSettings
    deliveries_for: Callable[[Event, What], Sequence[Delivery]] = lambda _event, _what: ()
    announce: Sequence[Announcer] = ()
    judge_of: Callable[[str], Judge] | None = None


@dataclass(slots=True)
class _Change:
    """A transition, with its deliveries once they are made, so that a repeated attempt makes no others."""

    transition: Transition
    deliveries: Sequence[Delivery] | None = None


@dataclass(frozen=True, slots=True)
class _NewEvidence:
    """New evidence of an event."""

    event_id: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class JournalCounts:
    """Number of waiting items, and of those dropped while the database could not be used.

    Args:
        waiting: changes (beginnings, ends and evidence of events, and checks), states and scores.
        dropped_changes: dropped changes.
        dropped_states: dropped states.
        dropped_scores: dropped scores.
    """

    waiting: int
    dropped_changes: int
    dropped_states: int
    dropped_scores: int


class Journal:
    """Writes events, states and scores, and retries until they are written.

    `write` is called on one thread; the other methods are thread-safe.

    Args:
        ledger: where to write.
        forget: called with evidence whose event was deleted, to delete the files.
        now: returns the time on both clocks.
    """

    def __init__(self, ledger: Ledger, forget: Callable[[Evidence], None], now: Callable[[], Moment]) -> None:
        self._ledger = ledger
        self._forget = forget
        self._now = now
        self._changes: Backlog[_Change | _NewEvidence | CheckRecord] = Backlog(MAX_CHANGES)
        self._states: Backlog[StateEntry] = Backlog(MAX_STATES)
        self._scores: Backlog[Score] = Backlog(MAX_SCORES)
        self._written: dict[str, tuple[Event, float]] = {}  # ongoing events as written, and when
        self._recovered = False
        self._last = False
        self._backoff = Backoff(FIRST_RETRY_S, LAST_RETRY_S, chance=lambda: 0.0)
        self._outage = Outage(log, "the database")
        self._deleting = Outage(log, "old evidence")
        self._retry_at_s = self._flush_at_s = self._upkeep_at_s = -1e9
        self.problem = ""
        """Why nothing can be written now; empty if all is well."""

    @property
    def counts(self) -> JournalCounts:
        """Number of waiting and of dropped items."""
        backlogs = self._changes, self._states, self._scores
        return JournalCounts(sum(len(backlog) for backlog in backlogs), *(backlog.dropped for backlog in backlogs))

    def transitions(self, transitions: Iterable[Transition]) -> None:
        """Adds beginnings and ends of events."""
        self._changes.put(_Change(transition) for transition in transitions)

    def kept(self, event_id: str, evidence: Evidence) -> None:
        """Adds evidence of an event, whose files are on the disk."""
        self._changes.put([_NewEvidence(event_id, evidence)])

    def check(self, record: CheckRecord) -> None:
        """Adds an ended check."""
        self._changes.put([record])

    def state(self, entry: StateEntry) -> None:
        """Adds a state that a camera entered."""
        self._states.put([entry])

    def scores(self, scores: Iterable[Score]) -> None:
        """Adds complete seconds of cameras."""
        self._scores.put(scores)

    def write(self, open_events: Iterable[Event], *, last: bool = False) -> None:
        """Writes waiting items, unless the database has just failed.

        Args:
            open_events: the ongoing events in their current state.
            last: nothing more will follow: write everything now, except for upkeep.
        """
        now_s = self._now().now_s
        if now_s < self._retry_at_s and not last:
            return
        self._last = last
        try:
            self._write_all(open_events, now_s)
        except StorageError as error:
            self._retry_at_s = now_s + self._backoff.pause_s()
            if not last:
                self._outage.failed(f"nothing can be remembered, it is tried again: {error}")
            self.problem = str(error)
        else:
            self._outage.ended()
            self._backoff.reset()
            self.problem = ""

    def _write_all(self, open_events: Iterable[Event], now_s: float) -> None:
        if not self._recovered:
            closed = self._ledger.events.interrupted(
                self._now().at_s, lambda event: self._deliveries_for(event, "ended")
            )
            self._recovered = True
            for event in closed:
                self._announce(event, "ended")
        _drain(self._changes, 1, lambda changes: self._write_change(changes[0]))
        _drain(self._states, AT_ONCE, self._ledger.history.add_states)
        if now_s >= self._flush_at_s or self._last:
            self._flush_at_s = now_s + FLUSH_S
            _drain(self._scores, AT_ONCE, self._ledger.history.add_scores)
        self._update(open_events, now_s)
        if now_s >= self._upkeep_at_s and not self._last:
            self._upkeep()

    def _write_change(self, change: _Change | _NewEvidence | CheckRecord) -> None:
        match change:
            case CheckRecord():
                self._write_check(change)
            case _NewEvidence():
                self._write_evidence(change)
            case _Change():
                self._write_transition(change)

    def _write_check(self, record: CheckRecord) -> None:
        try:
            self._ledger.checks.add(record)
        except ConflictError:
            log.info("check %s is already stored", record.id)  # as can happen to an event, see `_write_transition`

    def _write_transition(self, change: _Change) -> None:
        what, event = change.transition
        if event.id in self._written:
            event = replace(event, evidence=self._written[event.id][0].evidence)
        if change.deliveries is None:
            change.deliveries = self._deliveries_for(event, what)
        try:
            if what == "began":
                self._ledger.events.begin(event, change.deliveries)
            else:
                self._ledger.events.end(event, change.deliveries)
        except ConflictError:
            # An attempt that seemed to fail, because the connection broke before the answer, was committed.
            log.info("event %s is already stored", event.id)
        if what == "began":
            self._written[event.id] = event, self._now().now_s
        else:
            self._written.pop(event.id, None)
        self._announce(event, what)

    def _write_evidence(self, kept: _NewEvidence) -> None:
        if not self._ledger.events.update(kept.event_id, evidence=kept.evidence):
            self._delete_files(kept.evidence)
        elif kept.event_id in self._written:
            event, written_s = self._written[kept.event_id]
            self._written[kept.event_id] = replace(event, evidence=kept.evidence), written_s

    def _update(self, open_events: Iterable[Event], now_s: float) -> None:
        for event in open_events:
            before, written_s = self._written.get(event.id, (None, now_s))
            now = event if before is None else replace(event, evidence=before.evidence)
            if now_s - written_s >= (UPDATE_S if now != before else 6 * UPDATE_S):
                self._ledger.events.update(event.id, peak=event.peak, mean=event.mean, gaps_s=event.gaps_s)
                self._written[event.id] = now, now_s

    def _upkeep(self) -> None:
        """Rolls up and deletes old data; stops when there is something to announce."""
        moment, storage = self._now(), self._ledger.storage
        self._upkeep_at_s = moment.now_s + UPKEEP_S

        def go_on() -> bool:
            return not len(self._changes)

        if not self._ledger.events.may_expire():
            return
        self._ledger.history.roll_up(moment.at_s, storage.seconds_days, storage.minutes_days, go_on)
        if not go_on():
            self._upkeep_at_s = moment.now_s + UPKEEP_LEFT_S
            return
        for evidence in self._ledger.events.expire(moment.at_s - storage.events_days * DAY_S):
            self._delete_files(evidence)
        self._ledger.checks.expire(moment.at_s - storage.events_days * DAY_S)

    def _delete_files(self, evidence: Evidence) -> None:
        """Deletes the files of a deleted event; events do not wait for a folder in which nothing can be deleted."""
        try:
            self._forget(evidence)
        except StorageError as error:
            self._deleting.failed(f"files of deleted events are left until the next start: {error}")
        else:
            self._deleting.ended()

    def _deliveries_for(self, event: Event, what: What) -> Sequence[Delivery]:
        try:
            return tuple(self._ledger.deliveries_for(event, what))
        except Exception:  # call to the notifiers: an event that cannot be prepared for them is still stored
            log.exception("event %s cannot be delivered", event.id)
            return ()

    def _announce(self, event: Event, what: What) -> None:
        for announcer in self._ledger.announce:
            try:
                announcer.announce(event, what)
            except Exception:  # call to the announcers: one that fails must not keep the event from the others
                log.exception("event %s could not be announced", event.id)


def _drain(backlog: Backlog[Item], count: int, write: Callable[[list[Item]], None]) -> None:
    """Writes waiting items, `count` at a time; failed ones are returned to the front."""
    while items := backlog.take(count):
        try:
            write(items)
        except StorageError:
            backlog.give_back(items)
            raise
