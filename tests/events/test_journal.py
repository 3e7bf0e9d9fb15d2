"""The journal: retries while the database is down, bounds of its queues, evidence, hourly clean-up, announcements."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from stream_detect.errors import DiskFullError, NotFoundError, StorageError
from stream_detect.events import journal as journals
from stream_detect.events.journal import Backlog, Journal
from stream_detect.events.rules import Transition
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.deliveries import Deliveries
from stream_detect.storage.records import Delivery, Event, EventFilter, Evidence, Score, StateEntry
from tests.events.memory import Memory, fake
from tests.scenes import WALL_S, Clock


@pytest.fixture
def journal(memory: Memory, clock: Clock) -> Journal:
    return Journal(memory.ledger, lambda _evidence: None, clock)


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
    """The database commits, and the connection breaks before the confirmation."""
    begin = memory.events.begin

    def breaks(event: Event, deliveries: tuple[Delivery, ...]) -> None:
        begin(event, deliveries)
        raise StorageError("the connection broke")

    journal.transitions([Transition("began", fake())])
    with monkeypatch.context() as broken:
        broken.setattr(memory.events, "begin", breaks)
        journal.write(())
    assert memory.announced == []
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


def test_events_do_not_wait_for_files_that_cannot_be_deleted(memory: Memory, clock: Clock, caplog):
    """The folder of the evidence, or that of a node, is mounted read-only."""

    def refuses(_evidence: Evidence) -> None:
        raise StorageError("expected the folder to be writable, received Read-only file system")

    journal = Journal(memory.ledger, refuses, clock)
    old = {"began_s": WALL_S - 400 * 86_400, "ended_s": WALL_S - 399 * 86_400}
    for number in (1, 2):
        memory.events.begin(fake(number, **old, evidence=Evidence(picture=f"{number}.jpg", bytes=5)))
    journal.kept(f"{9:032x}", Evidence(picture="9.jpg", bytes=5))  # of an event that was deleted meanwhile
    journal.transitions([Transition("began", fake(3))])
    journal.write(())
    assert memory.words() == [("began", "fake")]
    assert journal.problem == ""
    assert [event.id for event in memory.events.page(EventFilter()).items] == [fake(3).id]
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert "files of deleted events are left" in said[0]
    assert "Read-only" in said[0]


def test_states_that_waited_for_the_database_hold_up_no_event(
    journal: Journal, memory: Memory, monkeypatch: pytest.MonkeyPatch
):
    with memory.away(monkeypatch):
        for number in range(3 * journals.AT_ONCE):
            journal.state(StateEntry("door", WALL_S + number, "live", ""))
        journal.write(())
    transactions = []
    writing = memory.database.writing
    monkeypatch.setattr(memory.database, "writing", lambda: transactions.append(1) or writing())
    journal.write((), last=True)
    assert len(memory.history.states("door", WALL_S - 1, WALL_S + 1e6)) == 3 * journals.AT_ONCE
    assert len(transactions) < 10


def test_an_end_is_reported_with_its_evidence(journal: Journal, memory: Memory, clock: Clock):
    journal.transitions([Transition("began", fake())])
    journal.kept(fake().id, Evidence(picture="0.jpg", bytes=5))
    journal.write([fake()])
    clock.passes(5.0)
    journal.write([fake(peak=0.9, mean=0.9)])
    assert memory.events.get(fake().id).peak == 0.9
    journal.transitions([Transition("ended", fake(ended_s=WALL_S + 1))])
    journal.write(())
    (_, ended, _) = memory.announced[-1]
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


def test_a_failing_listener_does_not_block_others(memory: Memory, clock: Clock, caplog: pytest.LogCaptureFixture):
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
    assert "cannot be delivered" in caplog.text


def test_old_checks_are_forgotten_as_old_events_are(memory: Memory, journal: Journal):
    days = memory.storage.events_days
    for number, age_days in enumerate((days + 1, days - 1)):
        began_s = WALL_S - age_days * 86_400
        journal.check(CheckRecord(f"{number:032x}", None, "", began_s, began_s + 60))
    journal.write(())
    assert [int(record.id, 16) for record in memory.checks.page().items] == [1]


def test_a_killed_start_loses_no_message_about_an_event_that_it_ended(
    memory: Memory, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    memory.events.begin(fake())
    with monkeypatch.context() as ending:
        ending.setattr(memory.events, "end", killed)
        ending.setattr(memory, "announce", killed)
        with pytest.raises(KilledError):
            Journal(memory.ledger, lambda _evidence: None, clock).write(())
    Journal(memory.ledger, lambda _evidence: None, clock).write(())
    assert memory.events.get(fake().id).interrupted
    assert [delivery.body for delivery in Deliveries(memory.database).due(WALL_S + 1e6)] == ["ended"]
