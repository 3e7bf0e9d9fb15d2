"""Three machines with their own networks: one is cut off from the others but not from its cameras, and returns."""

import time

import pytest

from tests.cluster.ray_hosts import HttpWithin, cut, mend, ray_hosts
from tests.cluster.site import START_S, ClusterSite, cameras_at, serving
from tests.network.namespaces import a_field
from tests.patience import until
from tests.rtsp.films import Film
from tests.rtsp.peer import RtspServer

NETWORKS = {"one": "10.77.1", "two": "10.77.2", "three": "10.77.3"}
CAMERAS = ("c0", "c1", "c2")
FILM = Film(((320, 240),), seconds=3)
TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def field():
    with a_field() as made:
        yield made


@pytest.fixture(scope="module")
def hosts(field):
    with ray_hosts(field, NETWORKS) as made:
        yield made


@pytest.fixture(scope="module")
def films(field, gstreamer, tmp_path_factory):
    """Cameras in their own network, which every machine can reach unless the router blocks it."""
    host = field.host("films", "10.77.9")
    with RtspServer(tmp_path_factory.mktemp("films"), host.address, host.within) as server:
        yield server, host


@pytest.fixture(scope="module")
def site(hosts, films, postgresql, tmp_path_factory):
    """A server on the first machine."""
    server, _ = films
    first = hosts["one"].host
    settings = {
        "cameras": cameras_at({name: server.mount(name, FILM) for name in CAMERAS}),
        "storage": {"database_url": postgresql.new()},
        "server": {"host": first.address, "token": TOKEN},
    }
    made = ClusterSite(
        hosts["one"].address,
        tmp_path_factory.mktemp("site"),
        settings,
        within=first.within,
        http=lambda url: HttpWithin(first, url, TOKEN),
    )
    with serving(made):
        yield made


@pytest.fixture
def apart(field, films):
    """Cuts machines off from everything but the cameras; undone at the end."""
    done = []

    def part(machine):
        cut(field.router, machine.host, films[1])
        done.append(machine)

    def join():
        done.clear()
        mend(field.router)

    yield part, join
    if done:
        mend(field.router)


def watched_twice(films):
    """Cameras that had more than one reader at any time."""
    return [name for name in CAMERAS if films[0].readers(name)[1] > 1]


def lose(site, part, machine):
    """Cuts a machine off; returns its cameras once they are live elsewhere."""
    there = [name for name in CAMERAS if site.node_of(name) == machine.name]
    assert there
    cut_at_s = time.time()
    part(machine)
    until(lambda: all(site.is_lost(name, cut_at_s) for name in there), describe=site.summary)
    site.live(*there, but=machine.name)
    return there


def events_of_loss(site, camera):
    return [event for event in site.events(kind="offline", camera=camera) if "does not answer" in event["reason"]]


def test_a_node_that_is_cut_off_stops_by_itself_and_returns(site, hosts, films, apart):
    part, join = apart
    site.ready(*NETWORKS)
    machine = hosts["two"]
    before = {name: len(events_of_loss(site, name)) for name in CAMERAS}
    there = lose(site, part, machine)
    assert watched_twice(films) == []
    join()
    site.ready(*NETWORKS)
    assert all(site.node_of(name) not in {"", machine.name} for name in there)
    assert [films[0].readers(name) for name in CAMERAS] == [(1, 1)] * len(CAMERAS)
    for name in CAMERAS:
        found = events_of_loss(site, name)
        assert len(found) == before[name] + (name in there)
        assert all(event["ended_s"] for event in found)


def test_a_node_that_ray_considers_lost_returns_as_another_of_the_same_name(site, hosts, films, apart):
    part, join = apart
    site.ready(*NETWORKS)
    machine = next(hosts[node] for name in CAMERAS if (node := site.node_of(name)) != "one")
    before = {name: len(events_of_loss(site, name)) for name in CAMERAS}
    there = lose(site, part, machine)
    until(lambda: site.nodes()[machine.name]["problem"] == "it left the cluster", START_S, describe=site.summary)
    join()
    until(machine.has_ended, START_S)  # Ray ends the processes of a lost node; a service manager restarts them
    machine.start()
    site.ready(*NETWORKS)
    assert watched_twice(films) == []
    for name in there:
        assert len(events_of_loss(site, name)) == before[name] + 1
