"""Which addresses belong to the networks in the settings, and which count as one client."""

import pytest

from stream_detect.access.networks import Networks, client_network


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_a_subscriber_of_ipv6_is_one_client(address, network):
    assert client_network(address) == network


@pytest.mark.parametrize(
    ("address", "is_there"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::9", True),
        ("2001:db9::9", False),
        ("testclient", False),
        ("", False),
    ],
)
def test_an_address_is_in_a_network_whichever_way_it_is_written(address, is_there):
    assert (address in Networks(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])) is is_there
