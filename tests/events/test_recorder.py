"""Reports of cameras are committed first and then announced; nothing is lost while the database is down."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stream_detect.challenge_record import ChallengeRecord, ChallengeState
from stream_detect.events.recorder import Recorder
from stream_detect.settings import MonitoringSettings
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.records import Event, EventFilter, Evidence
from stream_detect.types import Result
from tests.events.memory import Memory, fake, open_ones
from tests.patience import in_time, until
from tests.scenes import JUDGE, WALL_S, Clock, change, result


@pytest.fixture
def recorder(memory: Memory, clock: Clock) -> Iterator[Recorder]:
    recorder = Recorder(memory.ledger, MonitoringSettings(), lambda: JUDGE, None, clock)
    yield recorder
    recorder.close()


def test_commits_before_it_announces(recorder: Recorder, memory: Memory, clock: Clock):
    recorder.start()
    recorder.result("door", result("fake", 0.95), WALL_S)
    until(lambda: memory.words() == [("began", "fake")])
    recorder.result("door", result("real", 0.05), WALL_S + 2)
    clock.passes(5.0)
    until(lambda: memory.words() == [("began", "fake"), ("ended", "fake")])
    assert all(there for _, _, there in memory.announced)
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
    assert memory.announced == []
    clock.passes(0.2)
    until(lambda: memory.words() == [("began", "offline")])
    assert memory.announced[0][1].reason == "nobody answers there"
    assert memory.announced[0][1].began_s == WALL_S


def test_a_removed_camera_ends_its_events(recorder: Recorder, memory: Memory, clock: Clock):
    recorder.start()
    recorder.result("door", result("fake", 0.95), WALL_S)
    recorder.state(change("stalled", WALL_S))
    clock.passes(10.0)
    recorder.result("door", result("fake", 0.95), WALL_S + 10)
    until(lambda: len(memory.announced) >= 3)
    recorder.removed("door")
    until(lambda: not open_ones(memory))
    assert all(not event.interrupted for event in memory.events.page(EventFilter()).items)


def test_peak_and_mean_of_an_ongoing_event_are_written(recorder: Recorder, memory: Memory, clock: Clock):
    recorder.start()
    recorder.result("door", result("fake", 0.91), WALL_S)
    until(lambda: memory.announced)
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
    until(lambda: len(memory.announced) == 2)
    assert sorted(memory.words()) == [("began", "fake"), ("ended", "fake")]
    assert memory.events.get(f"{1:032x}").interrupted
    (going,) = open_ones(memory)
    assert going.id != f"{1:032x}"


def test_watching_continues_while_the_database_is_down(
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
        assert memory.announced == []
        assert recorder.counts.waiting >= 6
    clock.passes(60.0)
    until(lambda: len(memory.announced) == 6)
    assert memory.words() == [("began", "fake"), ("ended", "fake")] * 3
    assert all(there for what, _, there in memory.announced if what == "ended")
    until(lambda: not recorder.problem)
    assert len(memory.history.states("door", 0, WALL_S + 99)) == 3
    assert recorder.counts.dropped_changes == recorder.counts.dropped_scores == 0


def test_what_the_database_has_not_taken_at_the_end_is_counted_in_the_log(
    recorder: Recorder, memory: Memory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    recorder.start()
    until(lambda: not recorder.problem)
    with memory.away(monkeypatch):
        recorder.result("door", result("fake", 0.95), WALL_S)
        recorder.state(change("live", WALL_S))
        recorder.close()
    assert recorder.counts.waiting == 4
    assert "4 events, checks, states and scores are lost: the database is away" in caplog.text


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


class Sink:
    """An `EvidenceSink` that keeps nothing."""

    problem = ""

    def __init__(self) -> None:
        self.forgotten: list[str] = []

    def report_to(self, _report: object) -> None:
        """Reports nothing."""

    def start(self) -> None:
        """Has no thread."""

    def close(self) -> None:
        """Has no thread."""

    def begin(self, _event: Event, _result: Result) -> None:
        """Keeps nothing."""

    def forget(self, camera: str) -> None:
        self.forgotten.append(camera)

    def delete(self, _evidence: Evidence) -> None:
        """Has no files."""


def test_what_a_camera_sent_before_a_stop_is_no_evidence_of_what_it_shows_after_it(memory: Memory, clock: Clock):
    sink = Sink()
    recorder = Recorder(memory.ledger, MonitoringSettings(), lambda: JUDGE, sink, clock)
    for state in ("connecting", "live", "stalled", "backing_off", "connecting", "live"):
        recorder.state(change(state, WALL_S))
    assert sink.forgotten == []
    recorder.state(change("stopped", WALL_S, reason="its settings were changed"))
    assert sink.forgotten == ["door"]


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


def passed() -> ChallengeRecord:
    return ChallengeRecord("ab" * 8, ChallengeState.PASSED, "", None, (), 0.1, 0.2, by="anna")


def test_an_ended_challenge_has_one_record_although_results_pause(recorder: Recorder, memory: Memory, clock: Clock):
    """Each result has the newest challenge, also long after its end."""
    recorder.state(change("live", WALL_S))
    recorder.result("door", replace(result("real", 0.05), challenge=passed()), WALL_S)
    for _ in range(3):
        clock.passes(4.0)
        recorder._tick()
        recorder.result("door", replace(result("real", 0.05), challenge=passed()), WALL_S + clock.now_s)
    recorder.start()
    recorder.close()
    assert len(memory.checks.page().items) == 1


def test_a_challenge_during_a_short_silence_of_its_worker_is_recorded_with_its_outcome(
    recorder: Recorder, memory: Memory, clock: Clock
):
    running = replace(passed(), state=ChallengeState.RUNNING)
    recorder.result("door", replace(result("real", 0.05), challenge=running), WALL_S)
    recorder.state(change("lost_node", WALL_S + 2))
    clock.passes(4.0)
    recorder._tick()
    recorder.state(change("live", WALL_S + 4))
    recorder._tick()
    recorder.result("door", replace(result("real", 0.05), challenge=passed()), WALL_S + 5)
    recorder.start()
    recorder.close()
    (record,) = memory.checks.page().items
    assert [(one.challenge_id, one.state) for one in record.challenges] == [("ab" * 8, ChallengeState.PASSED)]
