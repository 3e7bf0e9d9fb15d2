"""Listeners of server-sent events receive the current state; slow ones skip updates, and places are bounded."""

import asyncio
import json
import threading
from contextlib import ExitStack

import pytest

from stream_detect.api.schemas.cameras import CameraBody
from stream_detect.api.streams import Listener, StreamMessage
from stream_detect.app import listeners as module
from stream_detect.app.listeners import AnalysisListeners, CameraListeners
from stream_detect.cameras.status import CameraCounts, CameraStatus
from stream_detect.errors import CapacityError
from stream_detect.settings import CameraSettings
from stream_detect.storage.records import Event
from stream_detect.types import CameraState, Result, StateChange, Verdict, VerdictState
from tests.patience import PATIENCE_S

LIVE = StateChange("door", CameraState.LIVE, "pictures come", 100.0)
EVENT = Event("0" * 32, "door", "offline", 100.0, None, "nobody answers")


def result(sequence: int) -> Result:
    verdict = Verdict(VerdictState.REAL, "steady", 0.1, 12, 12)
    return Result(sequence, 1.0, 1.0, None, (64, 48), verdict, (), 0.01, 0)


def body(name: str, reason: str = "pictures come") -> CameraBody:
    change = StateChange(name, CameraState.LIVE, reason, 100.0)
    status = CameraStatus(name, change, CameraCounts(), 25.0, (64, 48), "h264", 0, None, None, None)
    return CameraBody.of(CameraSettings(name=name, url="rtsp://u:secret@10.0.0.1/a"), "api", status)


async def next_of(mailbox: Listener, count: int = 1) -> list[tuple[str, dict]]:
    """The next messages, in order."""
    heard = []
    async with asyncio.timeout(PATIENCE_S):
        async for message in mailbox:
            heard.append((message.kind, json.loads(message.data)))
            if len(heard) == count:
                break
    return heard


async def test_results_and_states_of_one_camera_reach_who_listens_to_it():
    listeners = CameraListeners()
    with listeners.camera("door") as door, listeners.camera("yard") as yard:
        listeners.result("door", result(1), 100.0)
        ((kind, value),) = await next_of(door)
        assert (kind, value["sequence"], value["state"], value["dropped"]) == (
            "result", 1, "real", {"samples": 0, "frames": 0},
        )  # fmt: skip
        listeners.state(LIVE)
        assert await next_of(door) == [("state", {"state": "live", "reason": "pictures come", "at_s": 100.0})]
        listeners.state(StateChange("yard", CameraState.STALLED, "silent", 101.0))
        assert await next_of(yard) == [("state", {"state": "stalled", "reason": "silent", "at_s": 101.0})]


async def test_a_slow_listener_finds_the_newest_result_only():
    listeners = CameraListeners()
    with listeners.camera("door") as mailbox:
        for sequence in range(100):
            listeners.result("door", result(sequence), 100.0)
        listeners.state(LIVE)
        heard = await next_of(mailbox, 2)
    assert [(kind, value.get("sequence")) for kind, value in heard] == [("result", 99), ("state", None)]


async def test_what_waits_is_bounded_and_the_oldest_goes():
    mailbox = Listener()
    for number in range(10_000):
        mailbox.put(f"event {number}", StreamMessage("event", str(number)))
    heard = await next_of(mailbox, 512)
    assert heard[-1] == ("event", 9_999)


async def test_events_and_removals_reach_who_listens_to_all():
    listeners = CameraListeners()
    with listeners.cameras() as mailbox:
        listeners.announce(EVENT, "began")
        listeners.removed("door")
        heard = await next_of(mailbox, 2)
    assert [kind for kind, _ in heard] == ["event", "removed"]
    assert (heard[0][1]["id"], heard[0][1]["ended_s"]) == ("0" * 32, None)
    assert heard[1][1] == {"name": "door"}


async def test_messages_may_be_put_from_any_thread():
    listeners = CameraListeners()
    with listeners.camera("door") as mailbox:
        thread = threading.Thread(target=listeners.result, args=("door", result(7), 100.0))
        thread.start()
        assert (await next_of(mailbox))[0][1]["sequence"] == 7
        thread.join()


async def test_listening_ends_when_the_camera_is_removed_and_when_the_server_stops():
    listeners = CameraListeners()
    with listeners.camera("door") as of_door, listeners.cameras() as of_all:
        listeners.removed("door")
        assert await next_of(of_door) == []
        listeners.close()
        assert await next_of(of_all, 2) == [("removed", {"name": "door"})]
        with pytest.raises(CapacityError), listeners.camera("door"):
            pass


async def ends(listener: Listener) -> bool:
    """Waits for the end of its stream."""
    async with asyncio.timeout(PATIENCE_S):
        async for _ in listener:
            pass
    return True


async def test_who_holds_most_admitted_gives_up_its_oldest_when_all_are_taken():
    listeners = CameraListeners(3)
    with ExitStack() as listening:
        oldest = listening.enter_context(listeners.cameras("greedy"))
        newer, modest, late = (
            listening.enter_context(listeners.camera("door", client)) for client in ("greedy", "modest", "another")
        )
        assert await ends(oldest)
        listeners.state(LIVE)
        for listener in (newer, modest, late):
            assert await next_of(listener) == [("state", {"state": "live", "reason": "pictures come", "at_s": 100.0})]
        listening.enter_context(listeners.cameras("greedy"))
        assert newer not in list(listeners._admitted)
        assert {modest, late} <= set(listeners._admitted)
    with listeners.camera("door"), listeners.camera("yard"):
        pass
    assert listeners._of_camera == {}
    assert not list(listeners._admitted)


async def test_analyses_have_admitted_of_their_own():
    listeners = AnalysisListeners(1)
    with listeners.analysis("a" * 32, "greedy") as oldest, listeners.analysis("b" * 32, "another"):
        assert await ends(oldest)
    assert listeners._of == {}


async def test_only_cameras_that_changed_are_listed_again(monkeypatch):
    monkeypatch.setattr(module, "CAMERAS_EVERY_S", 0.01)
    listeners, bodies = CameraListeners(), {"door": body("door"), "yard": body("yard")}
    with listeners.cameras() as mailbox:
        listing = asyncio.create_task(listeners.list_cameras(lambda: list(bodies.values())))
        assert {value["name"] for _, value in await next_of(mailbox, 2)} == {"door", "yard"}
        bodies["yard"] = body("yard", "silent")
        assert [(kind, value["name"]) for kind, value in await next_of(mailbox)] == [("camera", "yard")]
        listing.cancel()


async def test_a_camera_that_was_removed_while_the_list_was_read_does_not_come_back(monkeypatch):
    monkeypatch.setattr(module, "CAMERAS_EVERY_S", 0.01)
    listeners = CameraListeners()
    left = [body("door"), body("yard")]

    def read() -> list[CameraBody]:
        listed = list(left)
        if len(left) == 2:
            left.pop(0)
            listeners.removed("door")
        return listed

    with listeners.cameras() as mailbox:
        listing = asyncio.create_task(listeners.list_cameras(read))
        heard = await next_of(mailbox, 2)
        listing.cancel()
    assert [(kind, value["name"]) for kind, value in heard] == [("removed", "door"), ("camera", "yard")]


def test_nothing_is_sent_when_the_loop_is_closed():
    listeners = CameraListeners()

    async def listen() -> None:
        listeners._of_all.add(Listener())

    asyncio.run(listen())
    listeners.announce(EVENT, "began")
