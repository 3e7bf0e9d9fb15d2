"""Records of checks: round trip, pages without repetitions, and deletion of old ones, which leaves an entry."""

from dataclasses import replace

import pytest

from stream_detect.errors import ConflictError, NotFoundError, RequestError
from stream_detect.storage.chain import Chain
from stream_detect.storage.checks import CheckRecord, Checks
from tests.scenes import CHECK

EMPTY = CheckRecord("2" * 32, "door", "", 1795300000.0, 1795300000.0)


@pytest.fixture
def checks(database) -> Checks:
    return Checks(database)


@pytest.mark.parametrize("record", [CHECK, EMPTY])
def test_a_check_is_read_as_it_was_written(checks, record):
    checks.add(record)
    assert checks.get(record.id) == record
    with pytest.raises(ConflictError):
        checks.add(record)


def test_the_chain_has_what_the_table_has(checks, database):
    checks.add(CHECK)
    checks.add(EMPTY)
    with Chain(database).snapshot() as snapshot:
        entries = {entry.event_id: (entry.what, entry.content) for entry in snapshot.entries()}
        assert entries == {key: ("check", content) for key, content in snapshot.checks().items()}
        assert not any("anna" in content for _, content in entries.values())  # the chain outlives deleted records


def test_pages_have_each_check_once_the_newest_first(checks):
    for number in range(7):
        checks.add(replace(EMPTY, id=f"{number:032x}", began_s=1000.0 + number // 2, camera="door" if number else None))
    found, cursor = [], None
    while True:
        page = checks.page(cursor=cursor, limit=3)
        found += [int(record.id, 16) for record in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == [6, 5, 4, 3, 2, 1, 0]
    assert [int(record.id, 16) for record in checks.page("door").items] == [6, 5, 4, 3, 2, 1]
    with pytest.raises(RequestError):
        checks.page(limit=0)


def test_old_checks_go_and_the_chain_says_so(checks, database):
    for number in range(620):
        checks.add(replace(EMPTY, id=f"{number:032x}", began_s=number, ended_s=number + 5.0))
    checks.expire(600.0)
    assert [record.ended_s for record in checks.page(limit=500).items][-1] == 600.0
    checks.delete(f"{619:032x}")
    with Chain(database).snapshot() as snapshot:
        deleted = [int(entry.event_id, 16) for entry in snapshot.entries() if entry.what == "deleted"]
    assert deleted == [*range(595), 619]
    with pytest.raises(NotFoundError):
        checks.get(f"{619:032x}")
    with pytest.raises(NotFoundError):
        checks.delete("\0")
