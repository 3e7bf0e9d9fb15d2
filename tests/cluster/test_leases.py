"""Leases in the database: their numbers only increase, and only the leading server grants them."""

import pytest

from stream_detect.errors import ConflictError
from stream_detect.settings import StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.leases import Leases


class Clock:
    now_s = 1_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def leases(tmp_path, clock):
    with Database.open(StorageSettings(folder=tmp_path)) as database:
        yield Leases(database, clock)


def test_another_server_leads_only_once_the_lease_is_over(leases, clock):
    first = leases.lead("first", 10)
    with pytest.raises(ConflictError, match=r"received first, which leads the cluster: stop it, or wait 10 s"):
        leases.lead("second", 10)
    clock.now_s += 9
    leases.keep_leading(first, 10, [], 4)
    clock.now_s += 9
    with pytest.raises(ConflictError):
        leases.lead("second", 10)
    clock.now_s += 2
    assert leases.lead("second", 10).number == first.number + 1


def test_a_restarted_server_leads_at_once(leases):
    assert leases.lead("first", 10).number + 1 == leases.lead("first", 10).number


def test_numbers_increase_with_each_grant(leases):
    leader = leases.lead("first", 10)
    assert leases.grant(leader, {"door": "a", "yard": "b"}, 4)["door"].number == 1
    leases.give_back(leader, ["door"])
    assert set(leases.held()) == {"yard"}
    granted = leases.grant(leader, {"door": "b"}, 4)
    assert (granted["door"].holder, granted["door"].number) == ("b", 2)
    assert leases.held() == {**granted, "yard": leases.held()["yard"]}


@pytest.mark.parametrize(
    "act",
    [
        lambda leases, old: leases.grant(old, {"door": "a"}, 4),
        lambda leases, old: leases.keep_leading(old, 10, ["a"], 4),
        lambda leases, old: leases.give_back(old, ["door"]),
    ],
)
def test_a_server_that_was_replaced_changes_nothing(leases, clock, act):
    old = leases.lead("first", 10)
    clock.now_s += 11
    now = leases.lead("second", 10)
    leases.grant(now, {"door": "b"}, 4)
    before = leases.held()
    with pytest.raises(ConflictError, match="received second: it was replaced"):
        act(leases, old)
    assert leases.held() == before


def test_only_leases_of_responding_holders_are_renewed(leases, clock):
    leader = leases.lead("first", 10)
    leases.grant(leader, {"door": "a", "yard": "b"}, 4)
    clock.now_s += 3
    leases.keep_leading(leader, 10, ["a"], 4)
    held = leases.held()
    assert (held["door"].until_s, held["yard"].until_s) == (clock.now_s + 4, clock.now_s + 1)


def test_a_node_is_drained_until_it_is_not(leases):
    leases.drain("a", drained=True)
    leases.drain("a", drained=True)
    assert leases.drained() == {"a"}
    leases.drain("a", drained=False)
    assert leases.drained() == frozenset()
