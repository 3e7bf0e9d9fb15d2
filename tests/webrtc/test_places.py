"""Places: a connected peer keeps its place, while a mere offer gives it up to the next peer."""

import asyncio

import pytest

from stream_detect.access.networks import client_network
from stream_detect.errors import CapacityError, ConflictError, OfferError
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.types import Thresholds
from stream_detect.webrtc.hub import OverlayStyle
from stream_detect.webrtc.offer import Codec, Offer
from stream_detect.webrtc.session_table import GRACE_S, SessionTable
from stream_detect.webrtc.whep import Viewers
from stream_detect.webrtc.whip import Publishers
from tests.patience import soon
from tests.webrtc.peers import Publisher, Screen


class Session:
    """A session that is answered at once."""

    def __init__(self, session_id):
        self.session_id = session_id
        self.connected = False
        self.closing = False

    async def answer(self, _offer):
        return "v=0"

    async def close(self, _reason):
        self.closing = True


class Table:
    """A table with two places, and a clock that tests move."""

    def __init__(self):
        self.now_s = 100.0
        self.sessions = SessionTable("test", clock=lambda: self.now_s)

    async def offer(self, session_id, client, *, connected=False):
        """Whether a place was free."""
        if not self.sessions.make_room(2):
            return False
        session = Session(session_id)
        await self.sessions.open(session, Offer("v=0", Codec.VP8), client)
        session.connected = connected
        self.now_s += 0.1
        return True

    async def ids(self):
        await asyncio.sleep(0)
        await soon(lambda: not self.sessions._ends)
        return {session.session_id for session in self.sessions.all()}


@pytest.fixture
def table():
    return Table()


async def test_connected_peers_keep_their_places(table):
    assert await table.offer("a", "192.0.2.1", connected=True)
    assert await table.offer("b", "192.0.2.1", connected=True)
    table.now_s += 1000.0
    assert not await table.offer("c", "192.0.2.2")
    assert await table.ids() == {"a", "b"}


async def test_the_oldest_offer_of_the_busiest_address_gives_way_at_once(table):
    assert await table.offer("a", "192.0.2.1")
    assert await table.offer("b", "192.0.2.1")
    assert await table.offer("c", "192.0.2.2")
    assert await table.ids() == {"b", "c"}


async def test_the_only_offer_of_an_address_has_time_to_connect(table):
    assert await table.offer("a", "192.0.2.1")
    assert await table.offer("b", "192.0.2.2")
    assert not await table.offer("c", "192.0.2.3")
    table.now_s += GRACE_S
    assert await table.offer("d", "192.0.2.3")
    assert await table.ids() == {"b", "d"}


async def test_a_connected_peer_keeps_its_place(table):
    assert await table.offer("a", "192.0.2.1", connected=True)
    assert await table.offer("b", "192.0.2.1")
    assert not await table.offer("c", "192.0.2.2")
    table.now_s += GRACE_S
    assert await table.offer("d", "192.0.2.2")
    assert await table.ids() == {"a", "d"}


@pytest.mark.parametrize("how", ["answered", "failed", "cancelled"])
async def test_a_session_that_ends_while_it_is_answered_is_refused_and_forgotten(table, how):
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(_offer):
        asked.set()
        await may_answer.wait()
        if how == "answered":
            return "v=0"
        raise OfferError("the connection is closed") if how == "failed" else asyncio.CancelledError

    session = Session("a")
    session.answer = answer
    opening = asyncio.create_task(table.sessions.open(session, Offer("v=0", Codec.VP8), "192.0.2.1"))
    await asked.wait()
    await table.sessions.close_all()
    may_answer.set()
    with pytest.raises(CapacityError, match="ended while it was answered"):
        await opening
    assert await table.ids() == set()
    assert not table.sessions._answered
    assert not table.sessions.runs("a")


async def test_a_cancelled_request_stays_cancelled(table):
    asked = asyncio.Event()

    async def answer(_offer):
        asked.set()
        await asyncio.Event().wait()

    session = Session("a")
    session.answer = answer
    opening = asyncio.create_task(table.sessions.open(session, Offer("v=0", Codec.VP8), "192.0.2.1"))
    await asked.wait()
    assert table.sessions.runs("a")
    table.sessions.gone(session, "the server has no time")
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert await table.ids() == set()


async def test_a_session_that_fails_at_its_end_keeps_no_other_from_it(table, caplog):
    assert await table.offer("a", "192.0.2.1", connected=True)
    assert await table.offer("b", "192.0.2.2", connected=True)
    broken, other = table.sessions.all()

    async def fail(_reason):
        raise ZeroDivisionError

    broken.close = fail
    await table.sessions.close_all()
    assert (len(table.sessions), other.closing) == (0, True)
    assert "did not end cleanly" in caplog.text


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("", "", True),
        ("testclient", "192.0.2.1", False),
    ],
)
def test_one_client_is_an_address_or_an_ipv6_network(one, other, same):
    assert (client_network(one) == client_network(other)) is same


async def test_viewers_that_never_connect_do_not_block_others(nothing_left, monkeypatch):
    monkeypatch.setattr("stream_detect.webrtc.session_table.GRACE_S", 0.0)
    viewers = Viewers(WebRtcSettings(), VideoSettings(), OverlayStyle(Thresholds(), 1.0), 2)
    squatter, screens = Screen(), [Screen(), Screen()]
    for _ in range(5):
        await viewers.answer("door", await squatter.offer(), "192.0.2.1")
    assert viewers.count >= 2
    await screens[0].watch(viewers)
    await screens[0].until(lambda: connected(viewers) == 1)
    await viewers.answer("door", await squatter.offer(), "192.0.2.1")
    await screens[1].watch(viewers)
    await screens[1].until(lambda: connected(viewers) == 2)
    with pytest.raises(CapacityError, match="2 viewer places"):
        await viewers.answer("door", await squatter.offer(), "192.0.2.1")
    await viewers.close_all()
    await asyncio.gather(*(screen.close() for screen in (squatter, *screens)))


def connected(viewers):
    return sum(session.connected for session in viewers._sessions.all())


class Sink:
    def __init__(self):
        self.frames, self.left = 0, []

    def push(self, _frame, _codec, **_about):
        self.frames += 1

    def publisher_left(self, reason):
        self.left.append(reason)


async def test_the_first_publisher_that_connects_has_the_camera(nothing_left, camera):
    publishers, sink, squatted = Publishers(WebRtcSettings()), Sink(), Sink()
    publisher, late, squatter = (Publisher(camera()) for _ in range(3))
    for _ in range(6):
        await publishers.answer("street", await squatter.offer(), squatted, "192.0.2.1")
    await publisher.publish(publishers, sink)
    await publisher.until(lambda: sink.frames >= 3)
    await publisher.until(lambda: publishers.count == 1)
    with pytest.raises(ConflictError, match="already has a publisher"):
        await late.publish(publishers, Sink())
    assert squatted.left == []
    await publishers.close_all()
    assert sink.left == ["the server is shutting down"]
    await asyncio.gather(*(one.close() for one in (publisher, late, squatter)))


async def test_a_publisher_that_never_connects_is_reported_when_it_was_the_only_one(nothing_left, camera):
    publishers, sink, publisher = Publishers(WebRtcSettings(connect_timeout_s=0.5)), Sink(), Publisher(camera())
    await publishers.answer("street", await publisher.offer(), sink)
    await soon(lambda: sink.left)
    assert sink.left == ["not connected within 0.5 s"]
    await publishers.close_all()
    await publisher.close()
