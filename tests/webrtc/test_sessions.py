"""The number of checks is limited, and every check ends and leaves nothing."""

import asyncio
import json
import threading

import pytest

from stream_detect.analysis.scripted import ScriptedClassifier
from stream_detect.errors import CapacityError, CodecError, NotFoundError, OfferError
from tests.patience import PATIENCE_S, in_time, soon

pytestmark = pytest.mark.usefixtures("lasting_consent")
PING = json.dumps({"type": "ping", "value": {"id": 1}})


async def ended(sessions) -> None:
    """Waits until no session is left."""
    await soon(lambda: not sessions.count)


async def test_one_more_than_the_limit_is_refused_until_one_ends(open_sessions, make_peer):
    sessions = open_sessions(max_sessions=1)
    first = await make_peer().connect(sessions)
    with pytest.raises(CapacityError, match="all 1 sessions are in use") as raised:
        await sessions.answer(await make_peer().offer())
    assert raised.value.retry_after_s > 0
    await sessions.close(first)
    await make_peer().connect(sessions)
    assert (sessions.count, sessions.limit) == (1, 1)


async def test_offers_at_the_same_moment_cannot_share_a_place(open_sessions, make_peer):
    sessions = open_sessions(max_sessions=2)
    offers = [await make_peer().offer() for _ in range(4)]
    answers = await asyncio.gather(*(sessions.answer(offer) for offer in offers), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Answer", "Answer", "CapacityError", "CapacityError"]


async def test_a_refused_offer_takes_no_place(open_sessions, make_peer):
    sessions = open_sessions()
    offer = await make_peer().offer()
    with pytest.raises(OfferError):
        await sessions.answer("v=0\r\n")
    with pytest.raises(CodecError):
        await sessions.answer(offer.replace("H264", "H266"))
    assert sessions.count == 0


async def test_what_aiortc_cannot_answer_is_an_offer_error_and_frees_the_place(open_sessions, make_peer, monkeypatch):
    async def refuse(*_args) -> None:
        raise ValueError("no such thing")

    sessions = open_sessions()
    offer = await make_peer().offer()
    monkeypatch.setattr("aiortc.RTCPeerConnection.setRemoteDescription", refuse)
    with pytest.raises(OfferError, match="no such thing"):
        await sessions.answer(offer)
    await ended(sessions)


async def test_ids_cannot_be_guessed(open_sessions, make_peer):
    sessions = open_sessions(max_sessions=3)
    ids = {(await sessions.answer(await make_peer().offer())).session_id for _ in range(3)}
    assert len(ids) == 3
    assert all(len(session_id) >= 20 for session_id in ids)


async def test_a_closed_session_says_bye_and_is_not_found_again(open_sessions, make_peer):
    sessions, peer = open_sessions(), make_peer()
    session_id = await peer.connect(sessions)
    await peer.until(lambda: peer.of_type("hello"))
    await sessions.close(session_id)
    assert sessions.count == 0
    await peer.until(lambda: peer.of_type("bye"))
    assert peer.of_type("bye") == [{"reason": "closed"}]
    for unknown in [session_id, "nobody"]:
        with pytest.raises(NotFoundError):
            await sessions.close(unknown)


async def test_two_at_once_cannot_both_close_a_session(open_sessions, make_peer):
    sessions, peer = open_sessions(), make_peer()
    session_id = await peer.connect(sessions)
    outcomes = await asyncio.gather(*(sessions.close(session_id) for _ in range(2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), NotFoundError]


@pytest.mark.parametrize("accepted", [False, True], ids=["before ICE", "during ICE"])
async def test_a_session_closed_while_connecting_leaves_nothing(open_sessions, make_peer, accepted):
    sessions, peer = open_sessions(), make_peer()
    answer = await sessions.answer(await peer.offer())
    if accepted:
        await peer.accept(answer.sdp)
        await asyncio.sleep(0)
    await sessions.close(answer.session_id)
    assert sessions.count == 0


@pytest.mark.parametrize("reached", ["ICE new", "ICE checking", "ICE completed", "DTLS connecting", "DTLS connected"])
async def test_a_peer_that_disconnects_while_connecting_is_released(session_clock, open_sessions, make_peer, reached):
    sessions, peer = open_sessions(connect_timeout_s=1000.0), make_peer()
    answer = await sessions.answer(await peer.offer())
    if reached != "ICE new":
        there = peer.reaching(reached)
        await peer.accept(answer.sdp)
        await asyncio.wait_for(there.wait(), PATIENCE_S)
    await peer.close()
    await session_clock.passes_until(lambda: not sessions.count)


async def test_an_abandoned_answer_frees_its_place(open_sessions, make_peer):
    sessions = open_sessions()
    task = asyncio.create_task(sessions.answer(await make_peer().offer()))
    await asyncio.sleep(0)
    assert sessions.count == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ended(sessions)


async def test_a_session_whose_own_task_fails_is_closed_and_logged(open_sessions, make_peer, monkeypatch, caplog):
    def fail(*_args) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("stream_detect.media.clock.RtpClock.read", fail)
    sessions, peer = open_sessions(), make_peer()
    await peer.connect(sessions)
    await ended(sessions)
    assert any("receiver failed" in record.message for record in caplog.records)


async def test_a_peer_that_never_connects_is_closed(session_clock, open_sessions, make_peer):
    sessions = open_sessions(connect_timeout_s=1000.0)
    await sessions.answer(await make_peer().offer())
    await session_clock.passes(900.0)
    assert sessions.count == 1
    session_clock.ahead_s += 200.0
    await ended(sessions)


async def test_a_peer_that_leaves_is_closed_at_once(open_sessions, make_peer):
    sessions, peer = open_sessions(vanish_timeout_s=1000.0), make_peer()
    await peer.connect(sessions)
    await peer.more_frames(3)
    await peer.close()
    await ended(sessions)


async def test_a_peer_that_vanishes_is_closed(session_clock, open_sessions, make_peer):
    sessions, peer = open_sessions(vanish_timeout_s=1000.0), make_peer()
    await peer.connect(sessions)
    await peer.more_frames(3)
    await peer.vanish()
    await session_clock.passes(900.0)
    assert sessions.count == 1
    await session_clock.passes_until(lambda: not sessions.count)


async def test_frames_or_pings_keep_a_session_and_silence_ends_it(session_clock, open_sessions, make_peer):
    sessions, peer = open_sessions(vanish_timeout_s=1000.0), make_peer()
    peer.camera.silent = True
    await peer.connect(sessions)
    await peer.until(lambda: peer.of_type("hello"))
    for pings in (1, 2, 3):
        await session_clock.passes(900.0)
        peer.channel.send(PING)
        await peer.until(lambda pings=pings: len(peer.of_type("pong")) == pings)
    peer.camera.silent = False
    for _ in range(3):
        await peer.more_frames(5)  # some may have been in flight
        await session_clock.passes(900.0)
        assert sessions.count == 1
    peer.camera.silent = True
    await session_clock.passes_until(lambda: not sessions.count)


async def test_shutdown_says_bye_to_all_and_takes_no_more(open_sessions, make_peer):
    sessions, peers = open_sessions(), [make_peer(), make_peer()]
    for peer in peers:
        await peer.connect(sessions)
        await peer.more_frames(2)
    late = await make_peer().offer()
    with in_time():
        await sessions.close_all()
    assert sessions.count == 0
    for peer in peers:
        await peer.until(lambda peer=peer: peer.of_type("bye"))
        assert peer.of_type("bye") == [{"reason": "server_shutdown"}]
    with pytest.raises(CapacityError, match="shutting down"):
        await sessions.answer(late)


async def test_shutdown_does_not_wait_for_a_model_that_hangs(open_sessions, make_peer, engine_of):
    hangs, go_on = threading.Event(), threading.Event()

    def hang(_crop) -> float:
        hangs.set()
        go_on.wait(2 * PATIENCE_S)
        return 0.5

    sessions, peer = open_sessions(engine_of(lambda: ScriptedClassifier(hang))), make_peer()
    await peer.connect(sessions)
    await peer.until(hangs.is_set)
    with in_time():
        await sessions.close_all()
    go_on.set()
