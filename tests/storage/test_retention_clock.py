"""After a clock jump nothing is deleted by age for a day, even after restarts, and the log says so."""

import json

import pytest

from stream_detect.settings import StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.retention_clock import FILE_NAME, HOLD_S, JUMP_S, OFF_S, RetentionClock

DAY_S = 86_400.0
NOW_S = 1_795_000_000.0


class Machine:
    """A folder, and the clocks of a machine."""

    def __init__(self, folder) -> None:
        self.folder, self.wall_s, self.monotonic_s = folder, NOW_S, 50.0

    def start(self, *, is_new: bool = False) -> RetentionClock:
        self.monotonic_s = 10.0
        return RetentionClock(self.folder, is_new=is_new, wall=lambda: self.wall_s, monotonic=lambda: self.monotonic_s)

    def runs(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def test_a_clock_that_runs_steadily_deletes(machine):
    clock = machine.start(is_new=True)
    for _ in range(10):
        assert clock.may_delete()
        machine.runs(DAY_S)
    assert clock.may_delete()
    machine.wall_s += JUMP_S / 2  # a restart, and summer time
    assert machine.start().may_delete()


@pytest.mark.parametrize("jump_s", [400 * DAY_S, -400 * DAY_S, JUMP_S + 1, -NOW_S])
def test_a_start_after_a_jump_deletes_nothing_for_a_day(machine, jump_s, caplog):
    machine.start(is_new=True)
    machine.wall_s += jump_s
    clock = machine.start()
    assert "nothing is deleted by its age for the next 24 h" in caplog.text
    assert not clock.may_delete()
    machine.runs(HOLD_S - 1)
    assert not clock.may_delete()
    machine.runs(1)
    assert clock.may_delete()


def test_the_way_back_is_a_jump_too_and_a_restart_does_not_end_the_day(machine):
    machine.start(is_new=True)
    machine.wall_s += 400 * DAY_S
    machine.start().may_delete()
    machine.wall_s -= 400 * DAY_S
    clock = machine.start()
    for _ in range(23):
        machine.runs(3600.0)
        assert not clock.may_delete()
    clock = machine.start()
    assert not clock.may_delete()
    machine.runs(3600.0)
    assert clock.may_delete()


@pytest.mark.parametrize("asleep", [False, True], ids=["switched off", "asleep"])
def test_a_machine_that_is_off_every_night_deletes_every_few_days(machine, asleep):
    clock = machine.start(is_new=True)
    deleted = []
    for day in range(14):
        for _ in range(20):
            machine.runs(1800.0)
            if clock.may_delete():
                deleted.append(day)
        machine.wall_s += 14 * 3600.0 + (2 * DAY_S if day % 7 == 4 else 0)
        if not asleep:
            clock = machine.start()
    assert set(deleted) >= {0, 3, 6, 9, 12}
    assert not set(deleted) & {1, 2, 4, 5, 7, 8, 10, 11, 13}


def test_a_longer_jump_begins_the_day_again(machine):
    machine.start(is_new=True)
    machine.wall_s += JUMP_S + 1
    clock = machine.start()
    machine.runs(HOLD_S - 10)
    assert not clock.may_delete()
    machine.wall_s += OFF_S + 1
    clock = machine.start()
    machine.runs(HOLD_S - 10)
    assert not clock.may_delete()
    machine.wall_s -= JUMP_S + 1
    machine.runs(20)
    assert not clock.may_delete()


def test_a_jump_of_a_running_server_counts(machine):
    clock = machine.start(is_new=True)
    machine.runs(60.0)
    machine.wall_s += 30 * DAY_S
    assert not clock.may_delete()


@pytest.mark.parametrize("note", [None, "", "{}", json.dumps({"at_s": "x"}), "[1]"])
def test_without_a_noted_time_nothing_is_deleted(machine, note):
    if note is not None:
        (machine.folder / FILE_NAME).write_text(note)
    assert not machine.start().may_delete()


def test_a_database_that_is_opened_again_may_delete(tmp_path):
    settings = StorageSettings(folder=tmp_path / "data")
    for _ in range(2):
        with Database.open(settings) as database:
            assert database.may_delete()
    (settings.folder / FILE_NAME).unlink()
    with Database.open(settings) as database:
        assert not database.may_delete()
