"""A server behind NAT: its ports, the addresses that it announces, and its interfaces."""

import json
import re
import socket

import pytest

from stream_detect.errors import CapacityError, SettingsError
from stream_detect.settings import Settings, VideoSettings, WebRtcSettings
from stream_detect.types import Thresholds
from stream_detect.webrtc.hub import OverlayStyle
from stream_detect.webrtc.network import HostAddresses
from stream_detect.webrtc.whep import Viewers
from tests.network import coturn
from tests.network.processes import client, serving
from tests.ports import free_ports
from tests.webrtc.peers import Screen

PORTS = "50000-50099"
PUBLIC = "203.0.113.1"
# Forwarded ports, and source NAT for everything outgoing: a home router, or Docker's bridge.
FORWARDED = """
table ip home {
  chain inwards {
    type nat hook prerouting priority dstnat;
    iifname "to-client" udp dport 50000-50099 dnat to 10.77.1.2;
    iifname "to-client" tcp dport 8080 dnat to 10.77.1.2;
  }
  chain outwards {
    type nat hook postrouting priority srcnat;
    oifname "to-client" masquerade;
  }
}
"""
# The client is behind a stateful firewall, which blocks unsolicited packets.
STATEFUL = """
table inet own {
  chain inwards {
    type filter hook input priority 0;
    udp dport 3478 accept;
    ct state new meta l4proto udp drop;
  }
}
"""


@pytest.fixture
def home(field):
    """A server in a home network, and a client elsewhere without a route to the home's private addresses."""
    server = field.host("server", "10.77.1")
    elsewhere = field.host("client", PUBLIC.rpartition(".")[0], routed=False)
    field.router.filter(FORWARDED)
    elsewhere.filter(STATEFUL)
    return server, elsewhere


def test_a_server_behind_nat_is_reached_at_its_public_address_and_ports(home):
    inside, elsewhere = home
    with (
        serving(
            inside,
            SERVER__PORT="8080",
            WEBRTC__UDP_PORTS=PORTS,
            WEBRTC__PUBLIC_ADDRESSES=json.dumps([PUBLIC]),
            WEBRTC__INTERFACES='["server0"]',
        ),
        client(elsewhere, f"http://{PUBLIC}:8080", "check") as process,
    ):
        found = process.flow()
    assert found["candidates"] == [f"host {PUBLIC}"]
    assert all(50_000 <= port <= 50_099 for port in found["ports"])


def test_a_server_behind_nat_learns_its_public_address_by_stun(home):
    inside, elsewhere = home
    with (
        coturn.running(elsewhere.address, 3478, within=elsewhere.within) as stun,
        serving(
            inside,
            SERVER__PORT="8080",
            WEBRTC__UDP_PORTS=PORTS,
            WEBRTC__ICE_SERVERS=json.dumps([{"urls": [f"stun:{stun.host}"]}]),
        ),
        client(elsewhere, f"http://{PUBLIC}:8080", "check") as process,
    ):
        found = process.flow()
    assert f"srflx {PUBLIC}" in found["candidates"]


def test_without_its_public_address_nobody_finds_it(home):
    """Shows that the previous test can fail."""
    inside, elsewhere = home
    with (
        serving(inside, SERVER__PORT="8080", WEBRTC__UDP_PORTS=PORTS),
        client(elsewhere, f"http://{PUBLIC}:8080", "check") as process,
    ):
        assert process.fails()


@pytest.fixture
def taken():
    """Two successive UDP ports that are in use; returns their range, as in the settings."""
    first = free_ports(2)
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        one.bind(("0.0.0.0", first))
        other.bind(("0.0.0.0", first + 1))
        yield f"{first}-{first + 1}"


def test_ports_in_use_are_reported_at_the_start(taken):
    first = int(taken.partition("-")[0])
    hosts = HostAddresses(WebRtcSettings(udp_ports=f"{first}-{first + 3}"))
    hosts.check(2)
    with pytest.raises(
        SettingsError, match=rf"at least 3 free ports .* 2 of its 4 are in use \({first}, {first + 1}\)"
    ):
        hosts.check(3)


def test_too_few_ports_are_reported_at_the_start():
    with pytest.raises(ValueError, match=r"at least 68 ports in webrtc.udp_ports.* received 10 in 50000-50009"):
        Settings(webrtc=WebRtcSettings(udp_ports="50000-50009"))


@pytest.mark.parametrize("ports", ["50000", "50001-50000", "80-90", "50000-70000", "a-b", ""])
def test_a_range_that_is_none_is_reported(ports):
    with pytest.raises(ValueError, match="expected the first and last port, from 1024 to 65535, such as 50000-50199"):
        WebRtcSettings(udp_ports=ports)


async def test_a_session_without_a_free_port_is_refused_until_there_is_one(taken):
    settings = WebRtcSettings(udp_ports=taken, interfaces=("lo",))
    viewers = Viewers(settings, VideoSettings(), OverlayStyle(Thresholds(), 1.0), 8)
    screen = Screen()
    offer = await screen.offer()
    with pytest.raises(CapacityError, match=f"expected a free port of webrtc.udp_ports {taken}, but all are in use"):
        await viewers.answer("door", offer)
    await viewers.close_all()
    await screen.close()


async def test_sessions_take_a_port_of_the_range_each_and_give_it_back():
    first = free_ports(2)
    viewers = Viewers(_pair(first), VideoSettings(), OverlayStyle(Thresholds(), 1.0), 8)
    screens = [Screen() for _ in range(4)]
    ports = []
    for screen in screens:
        answer = await viewers.answer("door", await screen.offer())
        ports.append(re.findall(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+)", answer.sdp))
        if len(ports) % 2 == 0:
            assert sorted(ports[-2:]) == [[str(first)], [str(first + 1)]]
            for session in list(viewers._sessions.all()):
                await viewers.close("door", session.session_id)
    await viewers.close_all()
    for screen in screens:
        await screen.close()


def _pair(first: int) -> WebRtcSettings:
    return WebRtcSettings(udp_ports=f"{first}-{first + 1}", interfaces=("lo",))


def test_candidates_are_of_the_chosen_interfaces_only():
    assert set(HostAddresses(WebRtcSettings(interfaces=("lo",))).addresses()) <= {"127.0.0.1", "::1"}
    assert not {"127.0.0.1", "::1"} & set(HostAddresses(WebRtcSettings()).addresses())
    nowhere = HostAddresses(WebRtcSettings(interfaces=("nowhere0",)))
    with pytest.raises(SettingsError, match=r"received nowhere0; there are .*lo"):
        nowhere.check(1)
    with pytest.raises(CapacityError, match="expected an address on nowhere0"):
        nowhere.addresses()


def test_public_addresses_stand_in_for_private_ones_of_their_family():
    hosts = HostAddresses(WebRtcSettings(public_addresses=("203.0.113.1", "2001:db8::1")))
    assert hosts.announced("10.0.0.5") == ["203.0.113.1"]
    assert hosts.announced("fd00::5") == ["2001:db8::1"]
    assert hosts.announced("9.9.9.9") == ["9.9.9.9"]
    assert HostAddresses(WebRtcSettings(public_addresses=("203.0.113.1",))).announced("fd00::5") == ["fd00::5"]
