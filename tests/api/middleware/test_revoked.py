"""When a right is revoked, everything that depends on it ends: WebRTC sessions, event streams, uploads.

They end within two seconds; on a busy machine a test waits longer. Otherwise they would never end.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import yaml
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

from stream_detect.access.accounts import Accounts
from stream_detect.access.principal import Principal
from stream_detect.api.middleware.running import Running
from stream_detect.settings import AccessSettings, StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.users import StoredUsers
from stream_detect.types import Role
from tests.api.signing_in import PASSWORD, bearer
from tests.conftest import Server
from tests.patience import PATIENCE_S, soon, until

SDP = {"Content-Type": "application/sdp"}
DIRECTIONS = {"/whip/street": "sendonly", "/whep/street": "recvonly", "/webrtc/check": "sendrecv"}


@dataclass
class Town:
    """A server with users of each role, and a second view of its tables, as from another process.

    Args:
        names: name of the user of each role.
        tokens: token of the user of each role, and of `publisher`.
        ids: ids of these tokens.
    """

    url: str
    accounts: Accounts
    names: dict[str, str]
    tokens: dict[str, str]
    ids: dict[str, str]


@pytest.fixture(scope="module")
def shared_server(run_server, tmp_path_factory) -> Iterator[tuple[Server, Accounts]]:
    """A server and its accounts; each test has users of its own."""
    folder = tmp_path_factory.mktemp("town")
    file = folder / "settings.yaml"
    cameras = [{"name": "street", "url": "whip:"}]
    file.write_text(yaml.safe_dump({"cameras": cameras}), encoding="utf-8")
    with Database.open(StorageSettings(folder=folder / "data"), alone=False) as database:
        accounts = Accounts(StoredUsers(database), AccessSettings())
        accounts.add("keeper", Role.ADMIN, PASSWORD)  # from the start: without a user, a server is open
        with run_server(SETTINGS=str(file), STORAGE__FOLDER=str(folder / "data")) as server:
            yield server, accounts
            server.stop()
            assert "Traceback" not in "".join(server.log)


@pytest.fixture
def town(shared_server: tuple[Server, Accounts]) -> Town:
    server, accounts = shared_server
    number = len(accounts.users())
    names, tokens, ids = {}, {}, {}
    for role in reversed(Role):
        name = names[role.value] = f"{role.value}{number}"
        accounts.add(name, role, PASSWORD)
        made, tokens[role.value] = accounts.add_token(Principal(role, "session", name), "test", role, None, None)
        ids[role.value] = made.id
    made, tokens["publisher"] = accounts.add_token(
        Principal(Role.OPERATOR, "session", names["operator"]), "obs", Role.OPERATOR, None, "street"
    )
    ids["publisher"] = made.id
    with httpx.Client(base_url=server.url, headers=bearer(tokens["publisher"]), timeout=PATIENCE_S) as client:
        until(lambda: client.get("/api/status").status_code not in {401, 429})  # the newest of them
    return Town(server.url, accounts, names, tokens, ids)


@dataclass
class Peer:
    """One end of a WebRTC session."""

    connection: RTCPeerConnection
    answer: httpx.Response
    states: list[str] = field(default_factory=list)


@asynccontextmanager
async def session(town: Town, path: str, headers: dict[str, str]) -> AsyncIterator[Peer]:
    """A connected session."""
    direction = DIRECTIONS[path]
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    if direction == "recvonly":
        connection.addTransceiver("video", direction=direction)
    else:
        connection.addTransceiver(VideoStreamTrack(), direction=direction)
        connection.createDataChannel("results")
    await connection.setLocalDescription(await connection.createOffer())
    async with httpx.AsyncClient(base_url=town.url, timeout=PATIENCE_S) as client:
        answer = await client.post(path, content=connection.localDescription.sdp, headers=SDP | headers)
    assert answer.status_code == 201, answer.text
    await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    try:
        await soon(lambda: connection.connectionState == "connected")
        yield Peer(connection, answer)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("path", "who"),
    [("/whip/street", "publisher"), ("/webrtc/check", "operator"), ("/whep/street", "viewer")],
)
async def test_a_webrtc_session_ends_with_its_token(town, path, who):
    async with session(town, path, bearer(town.tokens[who])) as peer:
        await asyncio.to_thread(town.accounts.remove_token, town.ids[who], None)  # by another process
        await soon(lambda: peer.connection.connectionState == "closed")
        async with httpx.AsyncClient(base_url=town.url, timeout=PATIENCE_S) as client:
            gone = await client.delete(peer.answer.headers["location"], headers=bearer(town.tokens["admin"]))
        assert gone.status_code == 404


async def test_a_session_of_another_token_continues(town):
    async with session(town, "/whep/street", bearer(town.tokens["operator"])) as peer:
        await asyncio.to_thread(town.accounts.remove_token, town.ids["viewer"], None)
        async with session(town, "/whip/street", bearer(town.tokens["publisher"])) as publishing:
            await asyncio.to_thread(town.accounts.remove_token, town.ids["publisher"], None)
            await soon(lambda: publishing.connection.connectionState == "closed")
        assert peer.connection.connectionState == "connected"


async def test_a_user_who_is_disabled_or_loses_the_role_is_seen_out(town):
    async with (
        session(town, "/whep/street", bearer(town.tokens["viewer"])) as viewing,
        session(town, "/webrtc/check", bearer(town.tokens["operator"])) as checking,
        session(town, "/whep/street", bearer(town.tokens["operator"])) as watching,
    ):
        await asyncio.to_thread(lambda: town.accounts.change(town.names["viewer"], disabled=True))
        await soon(lambda: viewing.connection.connectionState == "closed")
        await asyncio.to_thread(lambda: town.accounts.change(town.names["operator"], role=Role.VIEWER))
        await soon(lambda: checking.connection.connectionState == "closed")
        assert watching.connection.connectionState == "connected"


async def test_signing_out_ends_what_the_browser_watches(town):
    origin = {"Origin": town.url}
    async with httpx.AsyncClient(base_url=town.url, timeout=PATIENCE_S) as browser:
        body = {"name": town.names["viewer"], "password": PASSWORD}
        assert (await browser.post("/api/session", json=body, headers=origin)).status_code == 200
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()), **origin}
        async with session(town, "/whep/street", cookie) as peer, events(town, cookie) as stream:
            assert (await browser.delete("/api/session", headers=cookie)).status_code == 204
            await soon(lambda: peer.connection.connectionState == "closed")
            await asyncio.wait_for(stream.ended, PATIENCE_S)


@dataclass
class Stream:
    """An open stream of server-sent events."""

    lines: list[str]
    ended: asyncio.Task[None]


@asynccontextmanager
async def events(town: Town, headers: dict[str, str], path: str = "/api/streams/events") -> AsyncIterator[Stream]:
    """A stream whose first event has arrived."""
    lines: list[str] = []
    async with (
        httpx.AsyncClient(base_url=town.url, timeout=PATIENCE_S) as client,
        client.stream("GET", path, headers=headers) as answer,
    ):
        assert answer.status_code == 200

        async def read() -> None:
            async for line in answer.aiter_lines():
                lines.append(line)  # noqa: PERF401 - others look at it meanwhile

        task = asyncio.create_task(read())
        await soon(lambda: lines)
        yield Stream(lines, task)
        task.cancel()


@pytest.mark.parametrize("path", ["/api/streams/events", "/api/streams/street/results"])
async def test_a_stream_of_events_ends_cleanly_with_its_token(town, path):
    async with events(town, bearer(town.tokens["viewer"]), path) as stream, events(
        town, bearer(town.tokens["operator"]), path
    ) as other:  # fmt: skip
        await asyncio.to_thread(town.accounts.remove_token, town.ids["viewer"], None)
        await asyncio.wait_for(stream.ended, PATIENCE_S)
        assert not other.ended.done()


async def test_an_upload_ends_with_its_token(town):
    sent = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"--x\r\n"
        sent.set()
        while True:
            yield b"-" * 4096
            await asyncio.sleep(0.05)

    async with httpx.AsyncClient(base_url=town.url, timeout=PATIENCE_S) as client:
        headers = bearer(town.tokens["operator"]) | {"Content-Type": "multipart/form-data; boundary=x"}
        posting = asyncio.create_task(client.post("/api/analyses", content=body(), headers=headers))
        await sent.wait()
        await asyncio.to_thread(town.accounts.remove_token, town.ids["operator"], None)
        done, _ = await asyncio.wait({posting}, timeout=PATIENCE_S)
        assert done
        assert posting.exception() is not None or posting.result().status_code in {400, 401}


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"100")]])
async def test_a_download_of_stated_length_is_cut_off_and_any_other_response_is_ended(headers):
    running, sent = Running(), []

    async def download(_scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"a part", "more_body": True})
        await asyncio.Event().wait()

    async def send(message) -> None:
        sent.append(message)

    exchange = ({"method": "GET", "path": "/", "headers": []}, None, send)
    carrying = asyncio.create_task(running.carry(Principal(Role.VIEWER, "token"), Role.VIEWER, download, exchange))
    await soon(lambda: len(sent) == 2)
    running.end_revoked(lambda _key: None)
    assert await carrying
    assert [message["body"] for message in sent[2:]] == ([] if headers else [b""])


async def test_a_stream_ends_when_the_settings_token_is_replaced(start_server, tmp_path):
    file = tmp_path / "settings.yaml"
    camera = "cameras: [{name: street, url: 'whip:'}]\n"  # its state is the first event; without one, nothing for 15 s
    file.write_text(f"{camera}server: {{token: the-token-of-yesterday}}\n", encoding="utf-8")
    server = start_server(SETTINGS=str(file))
    town = Town(server.url, None, {}, {}, {})
    async with events(town, bearer("the-token-of-yesterday")) as stream:
        file.write_text(f"{camera}server: {{token: the-token-of-today}}\n", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        await asyncio.wait_for(stream.ended, PATIENCE_S)
    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as client:
        assert (await client.get("/api/status", headers=bearer("the-token-of-yesterday"))).status_code == 401
        entries = (await client.get("/api/audit", headers=bearer("the-token-of-today"))).json()["items"]
    assert ("settings.reload", "signal", "ok") in {(one["action"], one["by"], one["result"]) for one in entries}


@pytest.mark.parametrize(("addresses", "role"), [('["127.0.0.1"]', "operator"), ('["203.0.113.9"]', None)])
def test_a_proxy_s_users_are_known_by_the_connection_and_not_by_a_forwarded_address(start_server, addresses, role):
    server = start_server(
        SERVER__PROXIES='["127.0.0.1"]',
        ACCESS__PROXY_HEADER="X-Remote-User",
        ACCESS__PROXY_ADDRESSES=addresses,
        ACCESS__SSO_ROLE="operator",
    )
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Remote-User": "dora"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE_S) as client:
        assert client.get("/api/status").status_code == (200 if role else 401)
        assert client.get("/api/me").json()["role"] == role
