"""Sessions are remembered by owner until they end, and those of revoked owners end side by side."""

import asyncio
import logging

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, VideoStreamTrack

from stream_detect.access.principal import Principal
from stream_detect.api.middleware import running as running_module
from stream_detect.api.middleware.running import Running
from stream_detect.types import Role
from tests.patience import soon


class Sessions:
    """An application that opens sessions and deletes them; it fits `Running.application`."""

    def __init__(self):
        self.running = Running(self)
        self.running.runs = self.runs
        self.open, self.held, self.broken = set(), set(), set()

    def runs(self, path):
        return path in self.open

    async def __call__(self, scope, _receive, send):
        path = scope["path"]
        if scope["method"] == "POST":
            path = scope["location"]
            self.open.add(path)
            headers = [(b"location", path.encode())]
            await send({"type": "http.response.start", "status": 201, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        if path in self.broken:
            raise ZeroDivisionError
        while path in self.held:  # noqa: ASYNC110 - a test releases it
            await asyncio.sleep(0.01)
        self.open.discard(path)

    async def begin(self, name, path, root_path=""):
        async def send(_message):
            pass

        owner = Principal(Role.OPERATOR, "session", name, key=f"session {name}")
        scope = {"method": "POST", "path": "/webrtc/check", "headers": [], "location": path, "root_path": root_path}
        await self.running.carry(owner, Role.OPERATOR, self, (scope, None, send))


@pytest.fixture
def sessions():
    return Sessions()


async def test_a_session_that_has_ended_is_no_use_of_its_owner_s_sign_in(sessions):
    used = []

    def role_of(key):
        used.append(key)
        return Role.OPERATOR

    await sessions.begin("anna", "/webrtc/check/1")
    sessions.running.end_revoked(role_of)
    sessions.open.clear()  # its peer has vanished, and nobody deleted it
    sessions.running.end_revoked(role_of)
    sessions.running.end_revoked(role_of)
    assert used == ["session anna"]


async def test_a_session_ends_below_a_prefix_with_which_its_path_begins(sessions):
    await sessions.begin("anna", "/webrtc/check/1", root_path="/web")
    sessions.running.end_revoked(lambda _key: None)
    await soon(lambda: not sessions.open)


async def test_a_session_whose_end_takes_long_or_fails_delays_no_other(sessions, caplog):
    await sessions.begin("anna", "/webrtc/check/1")
    await sessions.begin("anna", "/webrtc/check/2")
    await sessions.begin("anna", "/webrtc/check/3")
    await sessions.begin("bert", "/webrtc/check/4")
    sessions.held.add("/webrtc/check/1")
    sessions.broken.add("/webrtc/check/2")
    sessions.running.end_revoked(lambda key: None if key == "session anna" else Role.OPERATOR)
    await soon(lambda: "/webrtc/check/3" not in sessions.open)
    sessions.running.end_revoked(lambda _key: None)
    await soon(lambda: "/webrtc/check/4" not in sessions.open)
    assert "/webrtc/check/1" in sessions.open
    sessions.held.clear()
    await soon(lambda: sessions.open == {"/webrtc/check/2"})
    assert "a session could not be ended" in caplog.text


async def test_the_oldest_session_of_too_many_ends_and_the_log_says_why(sessions, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(running_module, "MAX_SESSIONS", 2)
    for number in range(3):
        await sessions.begin("anna", f"/webrtc/check/{number}")
    await soon(lambda: sessions.open == {"/webrtc/check/1", "/webrtc/check/2"})
    await soon(lambda: "more than 2 sessions are open" in caplog.text)
    assert "revoked" not in caplog.text


async def test_the_application_knows_which_sessions_run(make):
    inside = make({"cameras": [{"name": "street", "url": "whip:"}]})
    runs = inside.access.running.runs
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver(VideoStreamTrack(), direction="sendrecv")
    connection.createDataChannel("results")
    await connection.setLocalDescription(await connection.createOffer())
    offer, sdp = connection.localDescription.sdp, {"Content-Type": "application/sdp"}
    offers = {
        "/webrtc/check": offer,
        "/whip/street": offer,
        "/whep/street": offer.replace("a=sendrecv", "a=recvonly"),
    }
    for path, text in offers.items():
        answer = await asyncio.to_thread(inside.client.post, path, content=text, headers=sdp)
        assert answer.status_code == 201, answer.text
        location = answer.headers["location"]
        assert runs(location)
        assert not runs(f"{path}/another")
        await asyncio.to_thread(inside.client.delete, location)
        assert not runs(location)
    await connection.close()
