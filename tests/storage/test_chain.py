"""The hash chain of events: it is read as of one moment, and its newest entry is known."""

from stream_detect.storage.chain import FIRST, Chain
from stream_detect.storage.events import Events


def test_the_chain_and_the_events_are_of_one_moment(database, make_event):
    events, chain = Events(database), Chain(database)
    assert chain.newest() is None
    first, second = make_event(), make_event(2000.0)
    events.begin(first)
    with chain.snapshot() as snapshot:
        entries = list(snapshot.entries())
        events.begin(second)
        events.delete(first.id)
        assert set(snapshot.events()) == {first.id}
        assert [entry.event_id for entry in snapshot.entries()] == [first.id]
    assert [(entry.number, entry.what, entry.previous) for entry in entries] == [(1, "began", FIRST)]
    assert entries[0].hash == entries[0].expected_hash
    with chain.snapshot() as snapshot:
        assert set(snapshot.events()) == {second.id}
    assert chain.events_after(1) == {first.id, second.id}
    number, newest = chain.newest()
    assert (number, events.chain_head()) == (3, (3, newest))
