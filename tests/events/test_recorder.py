"""What cameras say is remembered: committed first, then announced; a database that is away loses nothing."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream_detect.challenge_record import ChallengeRecord, ChallengeState
from stream_detect.errors import DiskFullError, NotFoundError, StorageError
from stream_detect.events import journal as journals
from stream_detect.events.journal import Backlog, Journal, Ledger
from stream_detect.events.recorder import Recorder
from stream_detect.events.rules import Transition
from stream_detect.settings import MonitoringSettings, StorageSettings
from stream_detect.storage.checks import CheckRecord, Checks
from stream_detect.storage.database import Database
from stream_detect.storage.deliveries import Deliveries
from stream_detect.storage.events import Events
from stream_detect.storage.history import History
from stream_detect.storage.records import Delivery, Event, EventFilter, Evidence, Score, StateEntry
from tests.patience import in_time, until
from tests.scenes import JUDGE, WALL_S, Clock, change, result


@dataclass
class Memory:
    """A real database, that can be away."""

    database: Database
    storage: StorageSettings
    told: list[tuple[str, Event, bool]] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self.events = Events(self.database)
        self.history = History(self.database)
        self.checks = Checks(self.database)
        self.ledger = Ledger(self.events, self.history, self.checks, self.storage, self.deliveries_for, (self,))

    def deliveries_for(self, event: Event, what: str) -> list[Delivery]:
        self.sent += 1
        return [Delivery(f"{self.sent:032x}", "hook", event.id, what, 0, WALL_S)]

    def announce(self, event: Event, what: str) -> None:
        """Notes whether it was in the database, with its deliveries, when it was told."""
        kept = self.events.get(event.id)
        bodies = [one.body for one in Deliveries(self.database).due(WALL_S + 1e6) if one.event_id == event.id]
        self.told.append((what, event, what in bodies and (kept.ended_s is None) == (what == "began")))

    def words(self) -> list[tuple[str, str]]:
        return [(what, event.kind) for what, event, _ in self.told]

    @contextmanager
    def away(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> Iterator[None]:
        @contextmanager
        def fails() -> Iterator[None]:
            raise error or StorageError("the database is away")
            yield

        with monkeypatch.context() as broken:
            broken.setattr(self.database, "writing", fails)
            yield


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    storage = StorageSettings(folder=tmp_path)
    with Database.open(storage) as database:
        yield Memory(database, storage)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(memory: Memory, clock: Clock) -> Journal:
    return Journal(memory.ledger, lambda _evidence: None, clock)


@pytest.fixture
def recorder(memory: Memory, clock: Clock) -> Iterator[Recorder]:
    recorder = Recorder(memory.ledger, MonitoringSettings(), lambda: JUDGE, None, clock)
    yield recorder
    recorder.close()


def open_ones(memory: Memory) -> Sequence[Event]:
    return memory.events.page(EventFilter(open=True)).items


def fake(number: int = 0, **values: object) -> Event:
    return replace(Event(f"{number:032x}", "door", "fake", WALL_S, None, "why", judge=JUDGE), **values)


def test_commits_before_it_announces(recorder: Recorder, memory: Memory, clock: Clock):
    recorder.start()
    recorder.result("door", result("fake", 0.95), WALL_S)
    until(lambda: memory.words() == [("began", "fake")])
    recorder.result("door", result("real", 0.05), WALL_S + 2)
    clock.passes(5.0)
    until(lambda: memory.words() == [("began", "fake"), ("ended", "fake")])
    assert all(there for _, _, there in memory.told)
    (event,) = memory.events.page(EventFilter()).items
    assert (event.began_s, event.ended_s) == (WALL_S, WALL_S + 2)
    assert not event.interrupted


def test_a_dead_camera_does_not_fill_the_history(recorder: Recorder, memory: Memory):
    recorder.start()
    for attempt in range(50):
        recorder.state(change("connecting", WALL_S + 2 * attempt))
        recorder.state(change("backing_off", WALL_S + 2 * attempt + 1, reason="nobody answers"))
    recorder.state(change("stopped", WALL_S + 200))
    until(lambda: len(memory.history.states("door", 0, WALL_S + 999)) == 3)
    assert [entry.state for entry in memory.history.states("door", 0, WALL_S + 999)] == [
        "connecting", "backing_off", "stopped",
    ]  # fmt: skip


def test_an_offline_camera_is_reported_without_a_word_from_it(recorder: Recorder, memory: Memory, clock: Clock):
    recorder.start()
    recorder.state(change("connecting", WALL_S))
    recorder.state(change("backing_off", WALL_S + 1, reason="nobody answers\0there"))
    clock.passes(9.9)
    until(lambda: len(memory.history.states("door", 0, WALL_S + 99)) == 2)
    assert memory.told == []
    clock.passes(0.2)
    until(lambda: memory.words() == [("began", "offline")])
    assert memory.told[0][1].reason == "nobody answers there"
    assert memory.told[0][1].began_s == WALL_S


def test_a_removed_camera_ends_its_events(recorder: Recorder, memory: Memory, clock: Clock):
    recorder.start()
    recorder.result("door", result("fake", 0.95), WALL_S)
    recorder.state(change("stalled", WALL_S))
    clock.passes(10.0)
    recorder.result("door", result("fake", 0.95), WALL_S + 10)
    until(lambda: len(memory.told) >= 3)
    recorder.removed("door")
    until(lambda: not open_ones(memory))
    assert all(not event.interrupted for event in memory.events.page(EventFilter()).items)


def test_peak_and_mean_of_an_event_that_goes_on_are_written(recorder: Recorder, memory: Memory, clock: Clock):
    recorder.start()
    recorder.result("door", result("fake", 0.91), WALL_S)
    until(lambda: memory.told)
    for _ in range(4):
        clock.passes(1.0)
        recorder.result("door", result("fake", 0.99), WALL_S + clock.now_s)
    (event,) = open_ones(memory)
    assert event.peak == 0.91, "not with each result"
    clock.passes(2.0)
    until(lambda: open_ones(memory)[0].peak == 0.99)
    assert open_ones(memory)[0].mean == pytest.approx((0.91 + 4 * 0.99) / 5)


def test_scores_come_in_batches(recorder: Recorder, memory: Memory, clock: Clock):
    recorder.start()
    for tenth in range(100):
        recorder.result("door", result("real", 0.1), WALL_S + tenth / 10)
    clock.passes(20.0)
    until(lambda: len(memory.history.scores("door", WALL_S, WALL_S + 99, 1)) == 10)
    rows = memory.history.scores("door", WALL_S, WALL_S + 99, 1)
    assert {row.samples for row in rows} == {10}


def test_closing_writes_everything(recorder: Recorder, memory: Memory):
    recorder.start()
    recorder.result("door", result("fake", 0.95), WALL_S)
    recorder.state(change("live", WALL_S))
    recorder.close()
    (event,) = memory.events.page(EventFilter()).items
    assert event.interrupted
    assert event.ended_s is not None
    assert memory.words() == [("began", "fake"), ("ended", "fake")]
    assert len(memory.history.scores("door", WALL_S - 1, WALL_S + 99, 1)) == 1
    assert len(memory.history.states("door", 0, WALL_S + 99)) == 1


def test_a_start_ends_what_a_crash_left_open(recorder: Recorder, memory: Memory):
    memory.events.begin(fake(1))
    recorder.start()
    recorder.result("door", result("fake", 0.95), WALL_S)
    until(lambda: len(memory.told) == 2)
    assert sorted(memory.words()) == [("began", "fake"), ("ended", "fake")]
    assert memory.events.get(f"{1:032x}").interrupted
    (going,) = open_ones(memory)
    assert going.id != f"{1:032x}"


def test_watching_goes_on_while_the_database_is_away(
    recorder: Recorder, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    recorder.start()
    until(lambda: not recorder.problem)
    with memory.away(monkeypatch):
        with in_time():
            for number in range(3):
                recorder.result("door", result("fake", 0.95), WALL_S + 20 * number)
                clock.passes(10.0)
                recorder.state(change("live", WALL_S + 20 * number))
        until(lambda: "away" in recorder.problem)
        assert memory.told == []
        assert recorder.counts.waiting >= 6
    clock.passes(60.0)
    until(lambda: len(memory.told) == 6)
    assert memory.words() == [("began", "fake"), ("ended", "fake")] * 3
    assert all(there for what, _, there in memory.told if what == "ended")
    until(lambda: not recorder.problem)
    assert len(memory.history.states("door", 0, WALL_S + 99)) == 3
    assert recorder.counts.dropped_changes == recorder.counts.dropped_scores == 0


def test_attempts_come_slower_and_the_word_of_them_once(
    journal: Journal, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    attempts = []
    journal.transitions([Transition("began", fake())])
    with memory.away(monkeypatch, DiskFullError("no room is left")):
        failing = memory.database.writing
        monkeypatch.setattr(memory.database, "writing", lambda: attempts.append(clock.now_s) or failing())
        for _ in range(2400):
            journal.write(())
            clock.passes(0.1)
    assert journal.problem == "no room is left"
    pauses = [after - before for before, after in pairwise(attempts)]
    assert pauses[:6] == pytest.approx([0.5, 1, 2, 4, 8, 16], abs=0.11)
    assert pauses[6:] == pytest.approx([30.0] * len(pauses[6:]), abs=0.11)
    assert sum("nothing can be remembered" in record.message for record in caplog.records) == 1


def test_an_answer_that_was_lost_begins_no_event_twice(
    journal: Journal, memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    """The database committed; the connection broke before it could say so."""
    begin = memory.events.begin

    def breaks(event: Event, deliveries: tuple[Delivery, ...]) -> None:
        begin(event, deliveries)
        raise StorageError("the connection broke")

    journal.transitions([Transition("began", fake())])
    with monkeypatch.context() as broken:
        broken.setattr(memory.events, "begin", breaks)
        journal.write(())
    assert memory.told == []
    clock.passes(1.0)
    journal.write(())
    assert memory.words() == [("began", "fake")]
    assert memory.sent == 1, "and nothing is delivered twice"


def test_nothing_grows_without_bound(journal: Journal, memory: Memory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(journals, "MAX_CHANGES", 5)
    journal._changes = Backlog(5)
    journal._states = Backlog(7)
    journal._scores = Backlog(9)
    with memory.away(monkeypatch):
        for number in range(20):
            journal.transitions([Transition("began", fake(number))])
            journal.state(StateEntry("door", WALL_S + number, "live", ""))
            journal.scores([Score("door", number, None, None, None, "real", 1)])
            journal.write(())
    counts = journal.counts
    assert counts.waiting == 5 + 7 + 9
    assert (counts.dropped_changes, counts.dropped_states, counts.dropped_scores) == (15, 13, 11)


def test_evidence_of_an_event_that_was_deleted_is_deleted_too(memory: Memory, clock: Clock):
    forgotten = []
    journal = Journal(memory.ledger, forgotten.append, clock)
    journal.transitions([Transition("began", fake(1)), Transition("began", fake(2))])
    journal.write(())
    memory.events.delete(f"{1:032x}")
    for number in (1, 2):
        journal.kept(f"{number:032x}", Evidence(picture=f"{number}.jpg", bytes=5))
    journal.write(())
    assert forgotten == [Evidence(picture="1.jpg", bytes=5)]
    assert memory.events.get(f"{2:032x}").evidence == Evidence(picture="2.jpg", bytes=5)
    with pytest.raises(NotFoundError):
        memory.events.get(f"{1:032x}")


def test_an_end_is_reported_with_its_evidence(journal: Journal, memory: Memory, clock: Clock):
    journal.transitions([Transition("began", fake())])
    journal.kept(fake().id, Evidence(picture="0.jpg", bytes=5))
    journal.write([fake()])
    clock.passes(5.0)
    journal.write([fake(peak=0.9, mean=0.9)])
    assert memory.events.get(fake().id).peak == 0.9
    journal.transitions([Transition("ended", fake(ended_s=WALL_S + 1))])
    journal.write(())
    (_, ended, _) = memory.told[-1]
    assert ended.evidence == Evidence(picture="0.jpg", bytes=5)
    assert ended.ended_s == WALL_S + 1


def test_old_things_are_rolled_up_and_forgotten_hourly(memory: Memory, clock: Clock):
    forgotten = []
    journal = Journal(memory.ledger, forgotten.append, clock)
    old = fake(1, began_s=WALL_S - 400 * 86_400, ended_s=WALL_S - 399 * 86_400)
    memory.events.begin(replace(old, evidence=Evidence(picture="1.jpg", bytes=5)))
    memory.history.add_scores([Score("door", int(WALL_S) - 3 * 86_400, 0.1, 0.1, 0.1, "real", 1)])
    journal.write(())
    assert [evidence.picture for evidence in forgotten] == ["1.jpg"]
    assert memory.history.scores("door", 0, WALL_S, 1) == []
    assert len(memory.history.scores("door", 0, WALL_S, 60)) == 1
    memory.history.add_scores([Score("door", int(WALL_S) - 2 * 86_400, 0.1, 0.1, 0.1, "real", 1)])
    clock.passes(3599.0)
    journal.write(())
    assert len(memory.history.scores("door", 0, WALL_S, 1)) == 1
    clock.passes(1.0)
    journal.write(())
    assert memory.history.scores("door", 0, WALL_S, 1) == []


def test_who_fails_to_tell_keeps_it_from_nobody(memory: Memory, clock: Clock, caplog: pytest.LogCaptureFixture):
    def breaks(*_: object) -> list[Delivery]:
        raise RuntimeError("cannot")

    heard = []
    mute = SimpleNamespace(announce=breaks)
    ear = SimpleNamespace(announce=lambda event, what: heard.append((what, event.id)))
    ledger = replace(memory.ledger, deliveries_for=breaks, announce=(mute, ear))
    journal = Journal(ledger, lambda _evidence: None, clock)
    journal.transitions([Transition("began", fake(1))])
    journal.write(())
    assert heard == [("began", f"{1:032x}")]
    assert memory.events.get(f"{1:032x}")
    assert "could not be announced" in caplog.text
    assert "nothing is delivered" in caplog.text


def test_many_cameras_at_once(recorder: Recorder, memory: Memory, clock: Clock):
    recorder.start()

    def watch(camera: str) -> None:
        for number in range(200):
            recorder.result(camera, result("fake" if number % 50 < 25 else "real", 0.5), WALL_S + number / 10)
        recorder.state(change("live", WALL_S + 20, camera=camera))

    threads = [threading.Thread(target=watch, args=(f"camera{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    events = memory.events.page(EventFilter(), limit=500).items
    assert {event.camera for event in events} == {f"camera{number}" for number in range(8)}
    for number in range(8):
        rows = memory.history.scores(f"camera{number}", WALL_S, WALL_S + 99, 1)
        assert sum(row.samples for row in rows) == 200


def test_an_event_names_the_model_that_gave_the_score_though_another_judges_by_now(memory, clock):
    former = replace(JUDGE, name="former", sha256="cd" * 32)
    known = {former.sha256: former, JUDGE.sha256: JUDGE}
    recorder = Recorder(replace(memory.ledger, judge_of=known.get), MonitoringSettings(), lambda: JUDGE, None, clock)
    recorder.start()
    try:
        recorder.result("door", replace(result(), model_sha256=former.sha256), WALL_S)
        recorder.result("gate", replace(result(), model_sha256="ef" * 32), WALL_S)
        recorder.result("hall", result(), WALL_S)
        until(lambda: len(open_ones(memory)) == 3)
    finally:
        recorder.close()
    named = {event.camera: event.judge.name for event in memory.events.page(EventFilter()).items}
    assert named == {"door": "former", "gate": JUDGE.name, "hall": JUDGE.name}


def test_a_recorder_whose_thread_ended_says_so(memory, clock, monkeypatch):
    class Ended(BaseException):
        pass

    def ends(*_args, **_more):
        raise Ended

    recorder = Recorder(memory.ledger, MonitoringSettings(), lambda: JUDGE, None, clock)
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)
    monkeypatch.setattr(recorder, "_tick", ends)
    recorder.start()
    until(lambda: recorder.problem)
    assert "thread has ended" in recorder.problem
    recorder.close()


def test_checks_wait_for_a_database_that_is_away(recorder: Recorder, memory: Memory, clock: Clock, monkeypatch):
    running = ChallengeRecord("ab" * 8, ChallengeState.RUNNING, "", None, (), None, None, by="anna")
    live_check = CheckRecord(f"{1:032x}", None, "ben", WALL_S - 9, WALL_S)
    with memory.away(monkeypatch):
        recorder.start()
        recorder.check(live_check)
        recorder.result("door", replace(result("real", 0.05), challenge=running), WALL_S)
        recorder.state(change("stopped", WALL_S + 2, reason="stopped by an operator"))
        until(lambda: recorder.problem)
        assert recorder.counts.waiting >= 2
    clock.passes(60.0)
    until(lambda: len(memory.checks.page().items) == 2)
    of_door, of_ben = memory.checks.page().items
    assert of_ben == live_check
    assert (of_door.camera, of_door.who, of_door.began_s, of_door.ended_s) == ("door", "anna", WALL_S, WALL_S + 2)
    assert of_door.challenges[0].state is ChallengeState.STOPPED


def test_old_checks_are_forgotten_as_old_events_are(memory: Memory, journal: Journal):
    days = memory.storage.events_days
    for number, age_days in enumerate((days + 1, days - 1)):
        began_s = WALL_S - age_days * 86_400
        journal.check(CheckRecord(f"{number:032x}", None, "", began_s, began_s + 60))
    journal.write(())
    assert [int(record.id, 16) for record in memory.checks.page().items] == [1]
