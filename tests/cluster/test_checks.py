"""Live checks on workers: media go directly to a worker, and the server lists each check until it ends there."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from stream_detect.cluster.checks import WORKER_LOST, WORKER_SILENT, WorkerChecks
from stream_detect.cluster.nodes import WorkerLostError
from stream_detect.errors import CapacityError, ConflictError, NotFoundError, OfferError
from stream_detect.settings import WebRtcSettings
from stream_detect.storage.checks import CheckRecord
from stream_detect.webrtc.check_sessions import CheckSessions
from stream_detect.webrtc.live_check import Client
from tests.cluster.conftest import LEASE_S
from tests.cluster.local_nodes import CUT_S
from tests.patience import PATIENCE_S, soon
from tests.webrtc.conftest import ABOUT, Peer, scripted_engine

ANN = Client("192.0.2.1", "ann", "OBS Virtual Camera")


class Server:
    """The live checks of a server with workers."""

    def __init__(self, stage, max_sessions=4):
        self.stage, self.records = stage, []
        self.remote = WorkerChecks(stage.head.tasks, self.records.append)
        stage.head.inbox.report_checks_to(self.remote.take)
        webrtc = WebRtcSettings(max_sessions=max_sessions)
        keep, video = self.records.append, stage.settings.video
        self.sessions = CheckSessions(scripted_engine(), webrtc, video, ABOUT, keep=keep, remote=self.remote)
        self.peers = []

    async def connected(self, client=ANN):
        """A peer that receives results, and the id of its session."""
        peer = Peer()
        self.peers.append(peer)
        session_id = await peer.connect(self.sessions, client)
        await peer.until(lambda: peer.of_type("result"))
        await soon(lambda: self.sessions.connected()[session_id])
        return peer, session_id

    def there(self):
        """Number of checks on each node, according to the node."""
        hosted = {name: link.worker._hosting for name, link in self.stage.nodes.links.items()}
        return {name: 0 if hosting is None else hosting.checks.count for name, hosting in hosted.items()}

    def known(self):
        """Number of checks on each node, according to the server."""
        return {status.name: status.checks for status in self.stage.head.statuses()}

    def received_of(self, key):
        """Number of reliable items received from a worker's process."""
        workers = self.stage.head._membership.workers()
        return next(one.current.received for one in workers if one.current and one.current.key == key)

    def node(self):
        """The node with the only check."""
        (name,) = (name for name, count in self.there().items() if count)
        return name

    def deaf_to(self, *methods):
        """Lets the worker of the only node miss all calls of these methods from now on."""
        (link,) = self.stage.nodes.links.values()

        def deaf(method, *arguments, timeout_s):
            if method in methods:
                time.sleep(CUT_S)
                raise WorkerLostError("it did not answer")
            return type(link).call(link, method, *arguments, timeout_s=timeout_s)

        link.call = deaf

    async def none_left(self):
        await soon(
            lambda: not any(self.there().values()) and not any(self.known().values()) and not self.sessions.count
        )


@pytest.fixture
def serving(stage):
    """Makes servers with workers; their checks and peers end with the block."""

    @asynccontextmanager
    async def make(*names: str, lease_s: float = LEASE_S, **options):
        server = Server(stage(*names, lease_s=lease_s), **options)
        try:
            yield server
            await server.sessions.close_all()
            await server.remote.all_ended()
            assert not any(server.there().values())
        finally:
            for peer in server.peers:
                await peer.close()

    return make


async def test_the_worker_with_least_to_do_answers_and_the_server_ends_it(serving):
    async with serving("a", "b") as server:
        peer, session_id = await server.connected()
        assert server.known() == server.there()
        assert sorted(server.there().values()) == [0, 1]
        await peer.more_frames(3)
        assert peer.of_type("hello")[0]["session"] == session_id
        await server.connected(Client("192.0.2.2"))
        assert server.there() == {"a": 1, "b": 1}
        await server.sessions.close(session_id)
        assert peer.of_type("bye") == [{"reason": "closed"}]
        (record,) = (record for record in server.records if record.who == "ann")
        assert (record.who, record.virtual_camera) == ("ann", "OBS Studio")
        assert record.state == "no_face"
        with pytest.raises(NotFoundError):
            await server.sessions.close(session_id)


async def test_a_peer_that_disconnects_has_one_record_and_keeps_no_place(serving):
    async with serving("a") as server:
        peer, _ = await server.connected()
        await peer.close()
        await server.none_left()
        await soon(lambda: server.records)
    assert [record.who for record in server.records] == ["ann"]


async def test_a_worker_that_is_cut_off_ends_its_checks_and_the_server_counts_them_no_more(serving):
    async with serving("a", "b") as server:
        await server.connected()
        node = server.node()
        server.stage.nodes.links[node].cut.set()
        await server.none_left()
        assert [(one.who, one.state, one.reason) for one in server.records] == [("ann", None, WORKER_LOST)]
        incarnation = server.stage.nodes.links[node].worker._incarnation
        server.stage.nodes.links[node].cut.clear()  # it returns, with its own record
        await soon(lambda: server.received_of(incarnation) == 1)
        await server.connected(Client("192.0.2.2", "bob"))
    assert sorted(record.who for record in server.records) == ["ann", "bob"]


async def test_a_check_whose_end_the_worker_does_not_answer_ends_with_the_next_messages(serving):
    async with serving("a") as server:
        peer, session_id = await server.connected()
        server.deaf_to("end_check")
        await server.sessions.close(session_id)
        await server.none_left()
        await peer.until(lambda: peer.of_type("bye"))
        await soon(lambda: server.records)
        (worker,) = server.stage.head._membership.workers()
        await soon(lambda: not worker.current.ended_checks)
    assert [(record.who, record.state) for record in server.records] == [("ann", "no_face")]


async def test_no_check_is_opened_here_once_the_server_closes(serving):
    async with serving("a") as server:
        link, asked, lost = server.stage.nodes.links["a"], threading.Event(), threading.Event()
        call = link.call

        def slow(method, *arguments, timeout_s):
            if method == "check":
                asked.set()
                lost.wait(PATIENCE_S)
                raise WorkerLostError("it did not answer")
            return call(method, *arguments, timeout_s=timeout_s)

        link.call = slow
        peer = Peer()
        server.peers.append(peer)
        answering = asyncio.create_task(server.sessions.answer(await peer.offer(), ANN))
        await soon(asked.is_set)
        await server.sessions.close_all()
        lost.set()
        with pytest.raises(CapacityError, match="shutting down"):
            await answering
        assert server.sessions.count == 0


async def test_a_server_that_stops_writes_the_record_that_the_worker_does_not_send(serving):
    async with serving("a", lease_s=PATIENCE_S) as server:
        await server.connected()
        server.deaf_to("end_check", "exchange")
        await server.sessions.close_all()
        await server.remote.all_ended()
        assert [(record.who, record.state, record.reason) for record in server.records] == [
            ("ann", None, WORKER_SILENT)
        ]
        server.deaf_to()
        await server.none_left()


async def test_a_check_that_ends_while_its_worker_is_silent_has_a_record_if_the_worker_is_lost(serving):
    async with serving("a") as server:
        _, session_id = await server.connected()
        server.deaf_to("end_check", "exchange")
        await server.sessions.close(session_id)
        await soon(lambda: server.records)
        assert [(record.who, record.reason) for record in server.records] == [("ann", WORKER_LOST)]
        server.deaf_to()
        await server.none_left()


@pytest.mark.parametrize("first", ["worker", "server"])
def test_a_check_has_one_record_in_either_order(stage, first):
    tasks, records = stage("a").head.tasks, []
    checks = WorkerChecks(tasks, records.append)
    task = tasks.begin_check()
    own = CheckRecord("ID", None, "ann", 1.0, 2.0)
    from_server = replace(own, reason=WORKER_LOST)
    if first == "worker":  # and it becomes silent before the server has closed the session
        checks.take(own)
    checks.end(task, from_server)
    checks.take(own)
    assert records == [own if first == "worker" else from_server]


async def test_after_the_end_of_its_worker_a_peer_is_answered_by_another_one(serving):
    async with serving("a", "b") as server:
        _, session_id = await server.connected()
        node = server.node()
        await asyncio.to_thread(server.stage.nodes.links[node].start_anew)
        await soon(lambda: not server.sessions.count)
        with pytest.raises(NotFoundError):
            server.sessions.challenge(session_id)
        await server.connected()


async def test_a_challenge_is_asked_for_through_the_server(serving):
    async with serving("a") as server:
        _, session_id = await server.connected()
        challenge = server.sessions.challenge(session_id)
        ask = asyncio.to_thread
        assert await ask(lambda: challenge.record) is None
        with pytest.raises(NotFoundError):
            await ask(challenge.stop)
        started = await ask(challenge.start, "ann")
        assert (await ask(lambda: challenge.record)).challenge_id == started.challenge_id
        with pytest.raises(ConflictError):
            await ask(challenge.start, "bob")
        await ask(challenge.stop)
        await server.sessions.close(session_id)
    (record,) = server.records
    assert record.challenges_ended == 1


async def test_the_limit_holds_for_all_workers_together(serving):
    async with serving("a", "b", max_sessions=1) as server:
        await server.connected()
        with pytest.raises(CapacityError, match="all 1 sessions are in use"):
            await server.connected(Client("192.0.2.2"))
        with pytest.raises(OfferError):
            await server.sessions.answer("no offer", ANN)
        assert sum(server.there().values()) == 1


async def test_where_no_worker_takes_it_the_server_does(serving):
    async with serving("a") as server:
        server.stage.nodes.links["a"].cut.set()  # and the server has not noticed yet
        await server.connected()
        assert server.sessions.count == 1
        server.stage.nodes.links["a"].cut.clear()
        assert server.there() == {"a": 0}
    assert [record.who for record in server.records] == ["ann"]
