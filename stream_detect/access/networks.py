"""Addresses of clients: which of them are in networks that the settings name, and which count as one client."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


class Networks:
    """Addresses and networks in the settings, such as those of reverse proxies; supports `in` for addresses.

    Args:
        networks: "10.0.0.1", "10.0.0.0/8", "2001:db8::/32".

    Raises:
        ValueError: one is neither an address nor a network.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ip_network(network) for network in networks)

    def __contains__(self, address: object) -> bool:
        known = _parsed(str(address))
        return known is not None and any(known in network for network in self._networks)


def client_network(address: str) -> str:
    """Key for counting clients: an IPv4 address, or the /64 of an IPv6 address, which one subscriber has."""
    known = _parsed(address)
    if known is None:
        return address
    return f"{IPv6Address(int(known) >> 64 << 64)}/64" if isinstance(known, IPv6Address) else str(known)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """An address, with IPv4-mapped IPv6 addresses as IPv4; None if invalid."""
    try:
        known = ip_address(address)
    except ValueError:
        return None
    return getattr(known, "ipv4_mapped", None) or known
