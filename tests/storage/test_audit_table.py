"""The audit log in the database: pages, filters, expiry and verification."""

import pytest
from sqlalchemy import text

from stream_detect.access.audit import verify_audit
from stream_detect.errors import RequestError
from stream_detect.settings import StorageSettings
from stream_detect.storage import audit
from stream_detect.storage.audit import AuditEntry, AuditFilter, AuditTable
from stream_detect.storage.database import Database


@pytest.fixture
def table(database) -> AuditTable:
    table = AuditTable(database)
    table.append([AuditEntry(1000.0 + n, f"camera.{'add' if n % 2 else 'delete'}", who="alice") for n in range(6)])
    table.append([AuditEntry(1010.0, "session.begin", "refused", address="192.0.2.1", target="bob")])
    return table


def change(database, words: str) -> None:
    with database.writing() as session:
        session.execute(text(words))


def test_entries_come_in_pages_newest_first(table):
    first = table.page(AuditFilter(), None, 3)
    assert [entry.number for entry in first] == [7, 6, 5]
    assert [entry.number for entry in table.page(AuditFilter(), first[-1].number, 10)] == [4, 3, 2, 1]
    with pytest.raises(RequestError):
        table.page(AuditFilter(), None, 501)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (AuditFilter(who="alice"), [6, 5, 4, 3, 2, 1]),
        (AuditFilter(who="Alice"), []),
        (AuditFilter(action="camera.add"), [6, 4, 2]),
        (AuditFilter(action="camera."), [6, 5, 4, 3, 2, 1]),
        (AuditFilter(action="%."), []),
        (AuditFilter(result="refused"), [7]),
        (AuditFilter("alice", "session.", "ok"), []),
    ],
)
def test_filters(table, wanted, numbers):
    assert [entry.number for entry in table.page(wanted)] == numbers


def test_an_untouched_log_holds(table):
    found = verify_audit(table)
    assert (found.entries, found.problems) == (7, ())
    assert found.head == table.page(AuditFilter())[0].hash


def test_entries_that_expire_while_the_log_is_verified_are_not_missing(table, monkeypatch):
    monkeypatch.setattr(audit, "_AT_ONCE", 2)
    entries = table.entries

    def expiring():
        for entry in entries():
            if entry.number == 1:
                assert table.expire(1003.0, 2000.0) == 3
            yield entry

    monkeypatch.setattr(table, "entries", expiring)
    assert verify_audit(table).problems == ()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("UPDATE audit_log SET who = 'bob' WHERE number = 3", "entry 3 (camera.delete) was changed"),
        ("UPDATE audit_log SET at_s = 1 WHERE number = 7", "entry 7 (session.begin) was changed"),
        ("DELETE FROM audit_log WHERE number = 3", "entries 3 to 3 are missing"),
        ("DELETE FROM audit_log WHERE number = 1", "the oldest entries are missing"),
        ("DELETE FROM audit_log WHERE number = 7", "does not contain the hash"),
    ],
)
def test_what_was_changed_is_named(table, database, words, expected):
    head = verify_audit(table).head
    change(database, words)
    problems = verify_audit(table, head).problems
    assert len(problems) == 1
    assert expected in problems[0]


@pytest.mark.parametrize("column", ["number", "at_s", "who", "action", "detail", "previous", "hash"])
@pytest.mark.parametrize("value", ["'x'", "x'ff00'"])
def test_a_value_of_another_type_is_named(tmp_path, column, value):
    with Database.open(StorageSettings(folder=tmp_path / "data")) as database:  # SQLite: it stores any type
        table = AuditTable(database)
        table.append([AuditEntry(1000.0, "camera.add"), AuditEntry(1001.0, "camera.delete")])
        change(database, f"UPDATE audit_log SET {column} = {value} WHERE number = 1")  # noqa: S608 - of the table above
        problems = verify_audit(table).problems
    assert any("entry 1" in problem or "an entry" in problem for problem in problems), problems


def test_old_entries_go_and_the_chain_still_holds(table, database):
    head = verify_audit(table).head
    database.may_delete = lambda: True
    assert table.expire(1003.0, 2000.0) == 3
    assert verify_audit(table, head).problems == ()
    assert table.expire(1003.0, 2001.0) == 0
    assert table.expire(1500.0, 2001.0) == 4
    found = verify_audit(table, head)
    assert (found.entries, found.problems) == (2, ())
    change(database, "DELETE FROM audit_log WHERE number = 8")
    assert "oldest entries are missing" in verify_audit(table).problems[0]


def test_an_entry_from_a_clock_that_was_ahead_goes_with_those_around_it(table, database):
    database.may_delete = lambda: True
    change(database, "UPDATE audit_log SET at_s = 5000000000 WHERE number IN (2, 7)")
    assert table.expire(1003.0, 2000.0) == 3
    assert table.expire(1500.0, 2000.0) == 3  # nothing shows yet that the newest is old
    assert table.page(AuditFilter())[-1].number == 7


def test_after_a_jump_of_the_clock_nothing_goes(table, database):
    database.may_delete = lambda: False
    assert table.expire(5000.0, 5000.0) == 0


def test_words_that_databases_do_not_take_are_kept_readable(table):
    table.append([AuditEntry(1.0, "camera.add", target="x" * 500, who="\ud800\0é", detail="a\nb")])
    entry = table.page(AuditFilter(), None, 1)[0]
    assert (len(entry.target), entry.who) == (128, "\\ud800\\0\\xe9")
    assert verify_audit(table).problems == ()
