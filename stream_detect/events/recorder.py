"""The recorder: turns results and states of cameras into events and history, which the journal writes.

cameras' threads:   result, state ──> events, scores           under a lock, never waiting for a disk
"recorder" thread:  ──> journal ──> database ──> announcers    every quarter of a second, sooner when something began

Results are not queued: each is added to its camera's events and score at once, so none is missed while the database
is away. The journal limits what waits for the database.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event as Flag
from threading import Lock, Thread
from typing import Protocol

from stream_detect.backoff import Outage
from stream_detect.events.checks import CameraChecks
from stream_detect.events.journal import Journal, JournalCounts, Ledger
from stream_detect.events.rules import CameraEvents, FakeEvents, FeedEvents, OfflineEvents, RepeatedFailures, Transition
from stream_detect.media.clock import Moment
from stream_detect.settings.cameras import MonitoringSettings
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.records import Event, Evidence, Judge, Score, StateEntry
from stream_detect.types import CameraState, Result, StateChange, VerdictState

TICK_S = 0.25
CLOSE_S = 3.0

log = logging.getLogger(__name__)


class EvidenceSink(Protocol):
    """Keeps pictures and clips of fake events (`evidence.keeper.EvidenceKeeper` fits)."""

    @property
    def problem(self) -> str:
        """Why nothing can be kept now; empty if all is well."""
        ...

    def report_to(self, report: Callable[[str, Evidence], None]) -> None:
        """Sets the function that records the evidence of an event, given its id."""
        ...

    def start(self) -> None:
        """Starts; call once, before any event."""
        ...

    def close(self) -> None:
        """Ends work in progress."""
        ...

    def begin(self, event: Event, result: Result) -> None:
        """Collects the evidence of an event that begins; returns at once."""
        ...

    def forget(self, camera: str) -> None:
        """Called when a camera was stopped or removed; it may come back with another address."""
        ...

    def delete(self, evidence: Evidence) -> None:
        """Deletes the files of a deleted event."""
        ...


class _Watch:
    """State of one camera."""

    def __init__(self, camera: str, settings: MonitoringSettings, judge_of: Callable[[str], Judge]) -> None:
        self.model_sha256 = ""  # of the newest result

        def judge() -> Judge:
            return judge_of(self.model_sha256)

        self.events = CameraEvents(
            FakeEvents(camera, settings.fake_rest_s, judge),
            OfflineEvents(camera, settings.offline_after_s),
            FeedEvents(camera, settings.fake_rest_s),
        )
        self.seconds = Seconds(camera)
        self.checks = CameraChecks(camera, judge)
        self.repeats = RepeatedFailures()

    @property
    def idle(self) -> bool:
        return self.events.idle and self.seconds.idle and self.checks.idle


class Recorder:
    """Records the results and states of cameras: an `Observer`. It starts and closes its evidence keeper.

    Args:
        ledger: where to write, and whom to notify.
        settings: settings of events.
        judge: returns the current model, for results that name none; called on the cameras' threads.
        evidence: keeps pictures and clips of fake events; None for none.
        now: returns the time on both clocks.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: MonitoringSettings,
        judge: Callable[[], Judge],
        evidence: EvidenceSink | None = None,
        now: Callable[[], Moment] = Moment.now,
    ) -> None:
        self._settings = settings
        self._judge = judge
        self._judge_by_sha256 = ledger.judge_of
        self._evidence = evidence
        self._now = now
        self._journal = Journal(ledger, self._forget, now)
        self._lock = Lock()
        self._watches: dict[str, _Watch] = {}
        self._wake = Flag()
        self._closing = Flag()
        self._outage = Outage(log, "writing events")
        self._thread = Thread(target=self._run, name="recorder", daemon=True)
        if evidence is not None:
            evidence.report_to(self._journal.kept)

    @property
    def problem(self) -> str:
        """Why nothing can be recorded, or no evidence kept, now; empty if all is well."""
        if self._thread.ident is not None and not self._thread.is_alive() and not self._closing.is_set():
            return "the recorder's thread has ended: nothing is stored; restart the server"
        return self._journal.problem or (self._evidence.problem if self._evidence else "")

    @property
    def counts(self) -> JournalCounts:
        """Number of items that wait for the database, and of dropped ones."""
        return self._journal.counts

    def start(self) -> None:
        """Ends the events that a crash left open, and starts the threads; call once."""
        if self._evidence is not None:
            self._evidence.start()
        self._thread.start()

    def close(self) -> None:
        """Ends ongoing events as interrupted, writes waiting items, and ends the threads; call after the cameras."""
        self._closing.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)
            if self._thread.is_alive():
                log.warning("not everything was written to the database within %.0f s", CLOSE_S)

    def result(self, camera: str, result: Result, at_s: float) -> None:
        """See `Observer.result`."""
        moment = Moment(at_s, self._now().now_s)
        with self._lock:
            watch = self._watch(camera)
            if result.error is None:  # otherwise no model judged it
                watch.model_sha256 = result.model_sha256
            transitions = watch.events.result(result, moment)
            score = watch.seconds.add(result, at_s)
            self._note(transitions, score)
            self._note_check(watch.checks.result(result, at_s))
        for what, event in transitions:
            if what == "began" and event.kind == "fake" and self._evidence is not None:
                self._evidence.begin(event, result)

    def state(self, change: StateChange) -> None:
        """See `Observer.state`."""
        change = replace(change, reason=_plain(change.reason))
        moment = Moment(change.at_s, self._now().now_s)
        with self._lock:
            watch = self._watch(change.camera)
            self._note(watch.events.state(change, moment))
            if change.state is CameraState.STOPPED:  # the analysis has ended; in other states it may continue
                self._note_check(watch.checks.close(change.at_s))
            elif change.state is CameraState.LOST_NODE:
                watch.checks.silence(change.at_s)
            for news in watch.repeats.news(change):
                self._journal.state(StateEntry(news.camera, news.at_s, news.state.value, news.reason))
        if change.state is CameraState.STOPPED and self._evidence is not None:
            self._evidence.forget(change.camera)
        self._wake.set()

    def removed(self, camera: str) -> None:
        """See `Observer.removed`."""
        with self._lock:
            watch = self._watches.pop(camera, None)
            if watch is not None:
                self._note(watch.events.close(self._now(), interrupted=False), watch.seconds.close())
                self._note_check(watch.checks.close(self._now().at_s))
        if self._evidence is not None:
            self._evidence.forget(camera)

    def check(self, record: CheckRecord) -> None:
        """Records an ended live check; returns at once. Thread-safe."""
        self._note_check(record)

    def _watch(self, camera: str) -> _Watch:
        watch = self._watches.get(camera)
        if watch is None:
            watch = self._watches[camera] = _Watch(camera, self._settings, self._judge_of)
        return watch

    def _judge_of(self, model_sha256: str) -> Judge:
        """The model of a result: while the model changes, the newest result may still be from the previous one."""
        named = self._judge_by_sha256(model_sha256) if model_sha256 and self._judge_by_sha256 else None
        return named or self._judge()

    def _note(self, transitions: Sequence[Transition], score: Score | None = None) -> None:
        """Adds to the journal, with the lock held so that the order is kept."""
        if transitions:
            self._journal.transitions(transitions)
            self._wake.set()
        if score is not None:
            self._journal.scores([score])

    def _note_check(self, record: CheckRecord | None) -> None:
        if record is not None:
            self._journal.check(record)
            self._wake.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(TICK_S)
            self._wake.clear()
            self._guarded(lambda: self._journal.write(self._tick()))
        self._guarded(self._finish)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the thread's edge: what cannot be written must not end what can
            self._outage.failed("something cannot be written", error)
        else:
            self._outage.ended()

    def _tick(self) -> list[Event]:
        """Advances time for all cameras; returns the ongoing events."""
        moment = self._now()
        with self._lock:
            for camera, watch in list(self._watches.items()):
                self._note(watch.events.tick(moment), watch.seconds.tick(moment.at_s))
                if watch.idle:
                    del self._watches[camera]
            return [event for watch in self._watches.values() for event in watch.events.open]

    def _finish(self) -> None:
        with self._lock:
            for watch in self._watches.values():
                self._note(watch.events.close(self._now(), interrupted=True), watch.seconds.close())
                self._note_check(watch.checks.close(self._now().at_s))
            self._watches.clear()
        self._journal.write((), last=True)
        if self._evidence is not None:
            self._evidence.close()
            self._journal.write((), last=True)
        lost = self._journal.counts.waiting
        if lost:
            log.error("%d events, checks, states and scores are lost: %s", lost, self._journal.problem)

    def _forget(self, evidence: Evidence) -> None:
        if self._evidence is not None:
            self._evidence.delete(evidence)


def _plain(text: str) -> str:
    """Text of a camera's server in a form for any database: PostgreSQL accepts no NUL and no lone surrogates."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


class Seconds:
    """Aggregates a camera's results to one score per second. Not safe to use from two threads at once.

    Args:
        camera: name of the camera.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._at_s: int | None = None
        self._scores: list[float] = []
        self._worst = VerdictState.NO_FACE
        self._samples = 0

    @property
    def idle(self) -> bool:
        """Whether no second has begun."""
        return self._at_s is None

    def add(self, result: Result, at_s: float) -> Score | None:
        """Adds a result; returns the previous second if this result begins another.

        Args:
            result: the camera's next result.
            at_s: time of its frame; a clock that was set back also begins another second.
        """
        done = self.close() if self._at_s is not None and int(at_s) != self._at_s else None
        self._at_s = int(at_s)
        self._samples += 1
        self._worst = max(self._worst, result.verdict.state, key=lambda state: state.severity)
        if result.verdict.fake_probability is not None:
            self._scores.append(result.verdict.fake_probability)
        return done

    def tick(self, at_s: float) -> Score | None:
        """The second that ended some time ago, so that no result of it can be on its way."""
        return None if self._at_s is None or abs(at_s - self._at_s) < 3.0 else self.close()

    def close(self) -> Score | None:
        """The current second, as far as it is known."""
        if self._at_s is None:
            return None
        scores = self._scores
        row = Score(
            camera=self._camera,
            at_s=self._at_s,
            low=min(scores, default=None),
            mean=sum(scores) / len(scores) if scores else None,
            high=max(scores, default=None),
            state=self._worst.value,
            samples=self._samples,
            scored=len(scores),
        )
        self._at_s, self._scores, self._worst, self._samples = None, [], VerdictState.NO_FACE, 0
        return row
