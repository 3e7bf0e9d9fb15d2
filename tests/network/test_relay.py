"""Media over a relay: two networks, a firewall that drops UDP between them, and a coturn that both can reach."""

import contextlib
import json

from tests.network import coturn
from tests.network.processes import client, serving

NO_UDP = """
table inet wall {
  chain between {
    type filter hook forward priority 0;
    ip saddr 10.77.1.0/24 ip daddr 10.77.2.0/24 meta l4proto udp drop;
    ip saddr 10.77.2.0/24 ip daddr 10.77.1.0/24 meta l4proto udp drop;
  }
}
"""


def test_checks_publishers_and_viewers_meet_by_the_relay(field, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text('cameras: [{name: street, url: "whip:"}]')
    server_host, client_host = field.host("server", "10.77.1"), field.host("client", "10.77.2")
    turn_host = field.host("turn", "10.77.3")
    field.router.filter(NO_UDP)
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(coturn.running(turn_host.address, 3478, secret=True, within=turn_host.within))
        server = stack.enter_context(
            serving(
                server_host,
                WEBRTC__ICE_SERVERS=json.dumps([{"urls": [relay.url()]}]),
                WEBRTC__TURN_SECRET=coturn.SECRET,
                SETTINGS=str(settings),
            )
        )
        publisher = stack.enter_context(client(client_host, server.url, "whip", "street"))
        flows = [publisher.flow()]
        for what in (("whep", "street"), ("whep", "street", "--trickle"), ("check",)):
            with client(client_host, server.url, *what) as process:
                flows.append(process.flow())
        for each in flows:
            assert "relay" in each["pair"] or "prflx" in each["pair"], each
            assert f"relay {turn_host.address}" in each["candidates"], each


def test_without_a_relay_nothing_connects(field):
    """Shows that the previous test can fail."""
    server_host, client_host = field.host("server", "10.77.1"), field.host("client", "10.77.2")
    field.router.filter(NO_UDP)
    with serving(server_host) as server, client(client_host, server.url, "check") as process:
        assert process.fails()
