"""Audit entries are queued while the database is down, are also written to a file, and are stored once."""

import json
import stat

import pytest

from stream_detect.access.audit import MAX_WAITING, AuditLog, RepeatedEntries
from stream_detect.errors import StorageError
from stream_detect.settings import AuditSettings, StorageSettings
from stream_detect.storage.audit import AuditEntry, AuditFilter, AuditTable
from stream_detect.storage.database import Database
from tests.patience import until


@pytest.fixture
def table(tmp_path):
    with Database.open(StorageSettings(folder=tmp_path / "data")) as database:
        yield AuditTable(database)


def numbered(count: int) -> list[AuditEntry]:
    return [AuditEntry(float(n), "camera.add", target=f"{n}") for n in range(count)]


def targets(table: AuditTable) -> list[str]:
    return [entry.target for entry in table.entries()]


def test_entries_are_written_in_order_to_database_file_and_log(table, tmp_path, caplog):
    caplog.set_level("INFO")
    file = tmp_path / "audit.jsonl"
    log = AuditLog(table, AuditSettings(file=file), clock=lambda: 100.0)
    log.start()
    log.note(AuditEntry(1.0, "camera.delete", "refused", "alice", "session", "192.0.2.1", "door", "DELETE: 403"))
    until(file.exists)
    file.rename(tmp_path / "rotated.jsonl")
    for entry in numbered(3):
        log.note(entry)
    log.close()
    assert targets(table) == ["door", "0", "1", "2"]
    first = json.loads((tmp_path / "rotated.jsonl").read_text())
    assert first == {
        "at": 1.0, "who": "alice", "by": "session", "address": "192.0.2.1", "action": "camera.delete", "target": "door",
        "result": "refused", "detail": "DELETE: 403",
    }  # fmt: skip
    assert [json.loads(line)["target"] for line in file.read_text().splitlines()] == ["0", "1", "2"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "alice (session, 192.0.2.1): camera.delete door refused" in caplog.text


def test_entries_wait_while_the_database_is_away(table, caplog):
    log = AuditLog(table, AuditSettings())
    append, away = table.append, [True, True]

    def failing(entries) -> None:
        if away:
            away.pop()
            raise StorageError("the database is away")
        append(entries)

    table.append = failing
    log.start()
    for entry in numbered(3):
        log.note(entry)
    until(lambda: log.problem)
    until(lambda: targets(table) == ["0", "1", "2"])
    until(lambda: not log.problem)
    log.close()
    assert caplog.text.count("the database is away") == 1


def test_beyond_the_bound_the_newest_are_in_the_log_alone(table, caplog):
    log = AuditLog(table, AuditSettings(), clock=lambda: 0.0)  # at a time when no entry is old
    for entry in numbered(MAX_WAITING + 1):
        log.note(entry)
    assert "is full" in log.problem
    assert f'"target": "{MAX_WAITING}"' in caplog.text
    log.start()
    until(lambda: not log._waiting)  # closing waits for the database only briefly
    log.close()
    assert len(targets(table)) == MAX_WAITING


def test_what_the_database_has_not_taken_at_the_end_is_in_the_log_and_the_file(table, tmp_path, caplog):
    def away(_entries) -> None:
        raise StorageError("the database is away")

    table.append = away
    file = tmp_path / "audit.jsonl"
    log = AuditLog(table, AuditSettings(file=file))
    log.start()
    for entry in numbered(2):
        log.note(entry)
    until(lambda: log.problem)
    log.close()
    assert [json.loads(line)["target"] for line in file.read_text().splitlines()] == ["0", "1"]
    assert [f'"target": "{n}"' in caplog.text for n in range(2)] == [True, True]


def test_what_comes_after_the_end_is_in_the_log_and_the_file(table, tmp_path, caplog):
    file = tmp_path / "audit.jsonl"
    log = AuditLog(table, AuditSettings(file=file))
    log.start()
    log.close()
    log.note(AuditEntry(1.0, "settings.reload"))
    assert json.loads(file.read_text())["action"] == "settings.reload"
    assert '"action": "settings.reload"' in caplog.text


def test_a_defect_does_not_end_the_writing(table, caplog):
    append, broken = table.append, [True]

    def failing(entries) -> None:
        if broken:
            raise TypeError("a number was replaced by a word")
        append(entries)

    table.append = failing
    log = AuditLog(table, AuditSettings())
    log.start()
    log.note(AuditEntry(1.0, "camera.add", target="door"))
    until(lambda: "replaced by a word" in log.problem)
    broken.clear()
    until(lambda: targets(table) == ["door"])
    log.close()
    assert "Traceback" in caplog.text


def test_a_file_that_cannot_be_written_is_a_problem_and_stops_nothing(table, tmp_path):
    log = AuditLog(table, AuditSettings(file=tmp_path))
    log.start()
    log.note(AuditEntry(1.0, "camera.add"))
    until(lambda: "audit.file cannot be written" in log.problem)
    log.close()
    assert len(table.page(AuditFilter())) == 1


def test_old_entries_are_deleted_at_the_start(table):
    table.append(numbered(3))
    log = AuditLog(table, AuditSettings(days=1), clock=lambda: 86402.0)
    log.start()
    until(lambda: [entry.action for entry in table.entries()] == ["camera.add", "audit.expire"])
    log.close()


def test_repeats_are_recognised_by_their_key_and_for_a_time():
    now_s = 0.0
    repeats = RepeatedEntries(600, lambda: now_s)
    assert [repeats.is_one("alice", "clip"), repeats.is_one("alice", "clip"), repeats.is_one("bob", "clip")] == [
        False,
        True,
        False,
    ]
    now_s = 601.0
    assert not repeats.is_one("alice", "clip")
