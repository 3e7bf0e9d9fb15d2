"""STUN and TURN servers that work, and every way in which they fail, with a real coturn on loopback."""

import asyncio
import socket
import time

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from stream_detect.errors import IceServerError
from stream_detect.settings import IceServer, WebRtcSettings, ice_address
from stream_detect.webrtc.aiortc_private import stun_turn
from stream_detect.webrtc.aiortc_private.connection import close
from stream_detect.webrtc.aiortc_private.stun_turn import Server, try_server
from stream_detect.webrtc.ice_servers import IceServers, time_limited
from stream_detect.webrtc.network import HostAddresses, Network
from stream_detect.webrtc.offer import Codec, read_offer
from stream_detect.webrtc.peer_connection import PeerConnection, PeerEvents
from tests.network.coturn import PASSWORD, SECRET, USER, running
from tests.patience import soon
from tests.ports import free_port


def at(url: str, username: str | None = USER, password: str | None = PASSWORD) -> Server:
    return Server(url, ice_address(url), username, password)


@pytest.fixture
def silent():
    """A UDP socket that never responds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(0.0)
        yield bound


def url_of(sock: socket.socket, scheme: str = "turn") -> str:
    return f"{scheme}:127.0.0.1:{sock.getsockname()[1]}"


def received(sock: socket.socket) -> int:
    """Reads all waiting datagrams of a socket; returns their number."""
    count = 0
    while True:
        try:
            sock.recv(2048)
        except BlockingIOError:
            return count
        count += 1


async def test_what_works_is_not_complained_of(coturn):
    for url in (coturn.url("udp"), coturn.url("tcp"), f"stun:127.0.0.1:{coturn.port}"):
        await try_server(at(url))


async def test_tls_is_spoken_to_a_server_of_a_trusted_certificate(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with running(certificate=certificate) as server:
        await try_server(at(server.tls_url()))


async def test_the_secret_makes_credentials_that_the_server_takes_until_they_expire():
    with running(secret=True) as server:
        settings = WebRtcSettings(
            ice_servers=(IceServer(urls=(server.url(),)),), turn_secret=SECRET, turn_credential_s=600
        )
        (ours,) = IceServers(settings).all()
        await try_server(ours)
        now_s = time.time()
        assert now_s < int(ours.username.partition(":")[0]) <= now_s + 600
        with pytest.raises(IceServerError, match="has expired"):
            await try_server(at(server.url(), *time_limited(SECRET, int(now_s) - 10)))
        with pytest.raises(IceServerError, match="check the secret and this machine's clock"):
            await try_server(at(server.url(), *time_limited("another", int(now_s) + 600)))


def test_credentials_are_those_of_coturns_rest_scheme():
    # echo -n 1700000000:viewer | openssl dgst -sha1 -hmac shared-secret -binary | base64
    assert time_limited("shared-secret", 1_700_000_000, "viewer") == (
        "1700000000:viewer",
        "b7a6RabH/BaOBYRB/VJoGzzmW78=",
    )


async def test_each_failure_is_reported_with_its_cure(coturn, silent, certificate):
    closed = free_port()
    with running(certificate=certificate) as secure:
        for server, words in (
            (at(coturn.url(), password="wrong"), "refuses username and credential (401"),
            (at(coturn.url("tcp"), username="nobody"), "refuses username and credential (401"),
            (at("turn:turn.stream-detect.invalid"), "cannot be resolved"),
            (at("stun:stun.stream-detect.invalid"), "cannot be resolved"),
            (at(url_of(silent)), "does not answer within 3 s: expected a TURN server on UDP port"),
            (at(url_of(silent, "stun")), "does not answer within 3 s: expected a STUN server on UDP port"),
            (at(f"turn:127.0.0.1:{closed}?transport=tcp"), "cannot be reached (Connection refused)"),
            (at(secure.tls_url()), "has a certificate that is not trusted"),
            (at(f"turns:127.0.0.1:{coturn.port}"), "does not "),
        ):
            with pytest.raises(IceServerError) as caught:
                await try_server(server)
            assert str(caught.value).startswith(f"{server.url} {words}"), str(caught.value)
            assert PASSWORD not in str(caught.value)


class Meetings:
    """Our connections with clients."""

    def __init__(self) -> None:
        self._open: list[tuple[RTCPeerConnection, PeerConnection]] = []

    async def answer(self, network: Network) -> tuple[str, float]:
        """Answers an offer over a network; returns the answer and the time that it took."""
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        client.addTransceiver("video", "sendrecv")
        await client.setLocalDescription(await client.createOffer())
        nothing = PeerEvents(lambda: None, lambda _reason: None, lambda: None, "nothing")
        ours = PeerConnection("ours", WebRtcSettings(), nothing, network)
        self._open.append((client, ours))
        ours.add_video("sendrecv", Codec.VP8)
        begun_s = time.monotonic()
        sdp = await ours.answer(read_offer(client.localDescription.sdp, h264=False))
        return sdp, time.monotonic() - begun_s

    async def end(self) -> None:
        """Closes them all."""
        while self._open:
            client, ours = self._open.pop()
            await close(client)
            await ours.close()


@pytest.fixture
async def meetings():
    made = Meetings()
    yield made
    await made.end()


def network_of(*urls: str, password: str = PASSWORD) -> Network:
    """Makes a network with each of these servers."""
    servers = tuple(
        IceServer(urls=(url,), username=USER, credential=password) if url.startswith("turn") else IceServer(urls=(url,))
        for url in urls
    )
    settings = WebRtcSettings(ice_servers=servers)
    return Network(HostAddresses(settings), IceServers(settings))


async def test_a_dead_first_server_neither_hides_a_good_second_nor_delays_the_answers(
    meetings, coturn, silent, monkeypatch
):
    network = network_of(url_of(silent), coturn.url(), url_of(silent, "stun"), f"stun:127.0.0.1:{coturn.port}")
    with monkeypatch.context() as patched:
        patched.setattr(stun_turn, "ANSWER_S", 20.0)  # so that a busy machine is not taken for one that waits
        sdp, took_s = await meetings.answer(network)
    assert "typ relay" in sdp
    assert took_s < 20.0
    watching = asyncio.create_task(network.servers.watch())
    await soon(lambda: len(network.servers.problems) == 2)
    watching.cancel()
    assert all("does not answer within" in problem for problem in network.servers.problems)
    received(silent)
    sdp, _ = await meetings.answer(network)
    assert "typ relay" in sdp
    assert received(silent) == 0, "a server that is known to be dead is not asked"


async def test_a_recovered_server_is_used_again(meetings, caplog):
    caplog.set_level("INFO")
    port = free_port()
    network = network_of(f"turn:127.0.0.1:{port}?transport=tcp")
    servers = network.servers
    watching = asyncio.create_task(servers.watch())
    await soon(lambda: servers.problems)
    assert "typ relay" not in (await meetings.answer(network))[0]
    assert "Connection refused" in caplog.text
    with running(port=port):
        await soon(lambda: not servers.problems)
        assert "works again" in caplog.text
        assert "typ relay" in (await meetings.answer(network))[0]
    watching.cancel()


async def test_a_wrong_password_is_noted_by_the_session_that_meets_it(meetings, coturn, caplog):
    network = network_of(coturn.url(), password="wrong")
    sdp, _ = await meetings.answer(network)
    assert "typ host" in sdp
    assert "typ relay" not in sdp
    assert "(401" in network.servers.problems[0]
    assert "(401" in caplog.text
    assert "wrong" not in caplog.text.replace("wrong username", "")


async def test_relayed_addresses_are_given_back(meetings, coturn):
    """coturn has fewer than fifty ports here, so a leak would exhaust them."""
    network = network_of(coturn.url())
    for _ in range(60):
        sdp, _ = await meetings.answer(network)
        assert "typ relay" in sdp
        await meetings.end()
