"""Events: round trip, pages that never skip or repeat, and outbox messages in the same transaction."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from stream_detect.errors import ConflictError, NotFoundError, RequestError
from stream_detect.settings import StorageSettings
from stream_detect.storage import chain
from stream_detect.storage.database import Database
from stream_detect.storage.deliveries import Deliveries
from stream_detect.storage.events import Events
from stream_detect.storage.paging import from_cursor, to_cursor
from stream_detect.storage.records import Delivery, EventFilter, Evidence
from stream_detect.storage.tables import EventRow
from tests.patience import PATIENCE_S, until
from tests.storage.conftest import waits_for_a_row

ALL = EventFilter()


@pytest.fixture
def clock() -> list[float]:
    return [2000.0]


@pytest.fixture
def events(database, clock) -> Events:
    return Events(database, lambda: clock[0])


def delivery(number: int, event_id: str = "") -> Delivery:
    return Delivery(f"{number:032x}", "desk", event_id, '{"type": "test"}', 0, 10.0 + number)


def pages(events: Events, wanted: EventFilter, limit: int) -> list[str]:
    found, cursor = [], None
    while True:
        page = events.page(wanted, cursor, limit)
        assert len(page.items) <= limit
        found += [event.id for event in page.items]
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.parametrize(
    "given",
    [
        {"evidence": Evidence("a.jpg", None, "a.mp4", 7, "disk full"), "gaps_s": (1.5, 2.25)},
        {"evidence": Evidence()},
        {"kind": "offline", "peak": None, "mean": None, "track": None, "judge": None},
        {"ended_s": 1795300000.123456, "interrupted": True, "reason": "Ünïcode 'quoted' \U0001f3a5"},
    ],
)
def test_an_event_is_read_as_it_was_written(events, make_event, given):
    event = make_event(1795300000.123456, **given)
    events.begin(event)
    assert events.get(event.id) == event


def test_an_id_is_used_once(events, make_event):
    event = make_event()
    events.begin(event)
    with pytest.raises(ConflictError):
        events.begin(event)


def test_updates_change_what_they_name_and_nothing_else(events, make_event, evidence):
    event = make_event()
    events.begin(event)
    assert events.update(event.id, peak=0.99, evidence=evidence)
    assert events.update(event.id, gaps_s=[3.0])
    assert events.update(event.id)
    assert events.get(event.id) == replace(event, peak=0.99, evidence=evidence, gaps_s=(3.0,))
    assert events.update(event.id, evidence=Evidence())
    assert events.get(event.id).evidence == Evidence()


def test_an_end_keeps_evidence_added_in_the_meantime(events, make_event, evidence):
    event = make_event(evidence=Evidence("e/picture.jpg"))
    events.begin(event)
    events.update(event.id, evidence=evidence)
    ended = replace(event, ended_s=1010.0, mean=0.8, reason="over")
    assert events.end(ended)
    assert events.get(event.id) == replace(ended, evidence=evidence)
    assert not events.page(EventFilter(open=True)).items


def test_a_deleted_event_stays_deleted(events, make_event, evidence, database):
    event = make_event(evidence=evidence)
    events.begin(event, [delivery(1, event.id)])
    assert events.delete(event.id) == evidence
    assert not events.update(event.id, peak=1.0)
    assert not events.end(replace(event, ended_s=5.0), [delivery(2, event.id)])
    for gone in (event.id, "no such", "nul\0", "ä" * 40):
        with pytest.raises(NotFoundError):
            events.get(gone)
    with pytest.raises(NotFoundError):
        events.delete(event.id)
    assert Deliveries(database).due(1e9) == []


def test_an_event_and_its_deliveries_are_written_together_or_not_at_all(events, make_event, database):
    event, outbox = make_event(), Deliveries(database)
    outbox.put(delivery(1))
    with pytest.raises(ConflictError):
        events.begin(event, [delivery(2, event.id), delivery(1, event.id)])
    with pytest.raises(NotFoundError):
        events.get(event.id)
    events.begin(event, [delivery(2, event.id)])
    with pytest.raises(ConflictError):
        events.end(replace(event, ended_s=1.0), [delivery(2, event.id)])
    assert events.get(event.id).ended_s is None
    events.end(replace(event, ended_s=1001.0), [delivery(3, event.id)])
    assert [waiting.id for waiting in outbox.due(1e9)] == [f"{number:032x}" for number in (1, 2, 3)]


def test_a_restart_ends_open_events_at_their_last_known_time(events, make_event, clock):
    ended, heard, future, late = make_event(ended_s=1500.0), make_event(), make_event(1001.0), make_event(2500.0)
    events.begin(ended)
    for event in (heard, late):
        events.begin(event)
    clock[0] = 2100.0
    events.update(heard.id, peak=0.98)
    clock[0] = 9000.0
    events.begin(future)  # written before the clock was set back
    closed = events.interrupted(3000.0)
    assert [(event.id, event.ended_s, event.interrupted) for event in closed] == [
        (heard.id, 2100.0, True),
        (future.id, 3000.0, True),
        (late.id, 2500.0, True),  # its start is later than the time of writing: it must not end before it begins
    ]
    assert events.get(heard.id) == closed[0]
    assert events.get(ended.id) == ended
    assert events.interrupted(4000.0) == []


def test_a_restart_says_of_clips_that_will_not_come(events, make_event):
    waiting = Evidence("a.jpg", "b.jpg", None, 7, "")
    others = [Evidence("a.jpg", None, "a.mp4", 7, ""), Evidence(), Evidence("a.jpg", None, None, 7, "disk full"), None]
    lost = make_event(ended_s=1500.0, evidence=waiting)
    kept = [make_event(ended_s=1500.0, evidence=evidence) for evidence in others]
    for event in (lost, *kept):
        events.begin(event)
    events.interrupted(3000.0)
    assert events.get(lost.id).evidence == replace(waiting, problem="no clip: the server was ended before it was cut")
    assert [events.get(event.id).evidence for event in kept] == others


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
def test_pages_hold_every_event_once_the_newest_first(events, make_event, limit):
    made = [make_event(began_s) for began_s in (5.0, 3.0, 3.0, 3.0, 1e9 + 0.1, 4.0, 3.0)]
    for event in made:
        events.begin(event)
    expected = [event.id for event in sorted(made, key=lambda event: (event.began_s, event.id), reverse=True)]
    assert pages(events, ALL, limit) == expected


def test_events_that_come_between_two_pages_neither_repeat_nor_hide_others(events, make_event):
    made = [make_event(float(at_s)) for at_s in range(6)]
    for event in made:
        events.begin(event)
    first = events.page(ALL, None, 3)
    events.begin(make_event(100.0))
    events.delete(made[2].id)
    second = events.page(ALL, first.next, 3)
    assert [event.began_s for event in first.items + second.items] == [5.0, 4.0, 3.0, 1.0, 0.0]
    assert second.next is None


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EventFilter(camera="door"), {10.0, 30.0, 40.0}),
        (EventFilter(kind="offline"), {20.0, 40.0}),
        (EventFilter(open=True), {10.0, 40.0}),
        (EventFilter(open=False), {20.0, 30.0}),
        (EventFilter(from_s=20.0, to_s=40.0), {20.0, 30.0}),
        (EventFilter(camera="door", kind="offline", open=True, from_s=40.0), {40.0}),
        (EventFilter(camera="nobody's"), set()),
    ],
)
def test_filters(events, make_event, wanted, expected):
    for event in (
        make_event(10.0),
        make_event(20.0, camera="yard", kind="offline", ended_s=21.0),
        make_event(30.0, ended_s=31.0),
        make_event(40.0, kind="offline"),
    ):
        events.begin(event)
    assert {event.began_s for event in events.page(wanted).items} == expected


@pytest.mark.parametrize(
    "cursor", ["", "x", "%%%", "é", "A" * 500, "bm90IG91cnM", to_cursor(1.0, "a b"), to_cursor(1.0, "\0"), "MS4yLjMgYQ"]
)
def test_a_cursor_that_is_none_of_ours_is_refused(events, cursor):
    with pytest.raises(RequestError, match="cursor"):
        events.page(ALL, cursor)


@pytest.mark.parametrize("at_s", [0.0, -1.5, 1795300000.123456, 1e-300, 1e300])
def test_a_cursor_says_exactly_where(at_s):
    assert from_cursor(to_cursor(at_s, "f" * 32)) == (at_s, "f" * 32)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_is_bounded(events, limit):
    with pytest.raises(RequestError, match="1 to 500"):
        events.page(ALL, None, limit)


def test_old_events_go_and_say_whose_files_go_with_them(events, make_event, evidence, monkeypatch):
    monkeypatch.setattr("stream_detect.storage.events.EXPIRE_AT_ONCE", 2)
    kept = [
        make_event(1.0),
        make_event(1.0, ended_s=100.0),
        make_event(99.0, ended_s=101.0),
    ]  # open; at the edge; after
    old = [make_event(float(at_s), ended_s=99.5, evidence=evidence if at_s % 2 else None) for at_s in range(5)]
    for event in kept + old:
        events.begin(event)
    assert events.expire(100.0) == [evidence] * 2
    assert {event.id for event in events.page(ALL).items} == {event.id for event in kept}
    assert events.expire(100.0) == []


def test_evidence_is_found_oldest_first_and_counted(events, make_event, evidence):
    assert events.evidence_bytes() == 0
    for at_s in (3.0, 1.0, 2.0):
        events.begin(make_event(at_s, evidence=evidence))
    bare = make_event(0.5, evidence=Evidence(problem="disk full"))
    events.begin(bare)
    assert [event.began_s for event in events.with_evidence(2)] == [1.0, 2.0]
    assert events.evidence_bytes() == 3 * 120_000
    events.update(events.with_evidence(1)[0].id, evidence=Evidence(problem="older than 30 days"))
    assert [event.began_s for event in events.with_evidence()] == [2.0, 3.0]
    assert events.get(bare.id).evidence == Evidence(problem="disk full")


def test_the_outbox_keeps_what_failed_until_it_is_due_again(database):
    outbox = Deliveries(database)
    for number in (2, 1, 3):
        outbox.put(delivery(number))
    assert [found.due_s for found in outbox.due(12.0)] == [11.0, 12.0]
    assert [found.due_s for found in outbox.due(99.0, limit=1)] == [11.0]
    outbox.failed(delivery(1).id, 50.0, "HTTP 503")
    assert outbox.due(99.0)[-1] == replace(delivery(1), attempts=1, due_s=50.0, problem="HTTP 503")
    assert (outbox.waiting("desk"), outbox.waiting("other")) == (3, 0)
    for number in (1, 2, 3, 3):
        outbox.done(delivery(number).id)
    outbox.failed(delivery(1).id, 60.0, "gone")
    assert outbox.waiting("desk") == 0


def test_ending_and_deleting_an_event_do_not_deadlock(cluster, tmp_path, make_event):
    """PostgreSQL would end one of the two with an error."""
    settings = StorageSettings(folder=tmp_path, database_url=SecretStr(cluster.new()))
    with Database.open(settings) as database, ThreadPoolExecutor(1) as threads:
        events, event = Events(database), make_event()
        events.begin(event)
        with database.writing() as session:
            session.execute(update(EventRow).where(EventRow.id == event.id).values(ended_s=2000.0))
            deleting = threads.submit(events.delete, event.id)
            until(lambda: waits_for_a_row(database))
            chain.append(session, [(event.id, "ended", "{}")])
        deleting.result(PATIENCE_S)
        with pytest.raises(NotFoundError):
            events.get(event.id)
