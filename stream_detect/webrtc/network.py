"""The network of WebRTC connections: the addresses and UDP ports of the server, and the ICE servers."""

import errno
import random
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import ifaddr

from stream_detect.errors import CapacityError, SettingsError
from stream_detect.settings import WebRtcSettings
from stream_detect.webrtc.ice_servers import IceServers

RETRY_AFTER_S = 10
"""When there may be a free port again: a session that vanished is closed within ten seconds."""

_NAMED_PORTS = 5
"""Ports in use that a message names."""


class HostAddresses:
    """The addresses and UDP ports of this machine that media use.

    Args:
        settings: interfaces, ports, public addresses.
    """

    def __init__(self, settings: WebRtcSettings) -> None:
        self._settings = settings

    def addresses(self) -> list[str]:
        """Those to bind to: of the chosen interfaces, or of all but loopback; without link-local ones of IPv6.

        Raises:
            CapacityError: none of the chosen interfaces has one now.
        """
        interfaces = self._settings.interfaces
        found = [
            address
            for name, those in _interfaces().items()
            for address in those
            if (name in interfaces if interfaces else address not in {"127.0.0.1", "::1"})
        ]
        if interfaces and not found:
            raise CapacityError(
                f"expected an address on {' or '.join(interfaces)} (webrtc.interfaces), and there is none now",
                RETRY_AFTER_S,
            )
        return found

    def bind(self, address: str) -> socket.socket:
        """A UDP socket at an address, on a port of webrtc.udp_ports; non-blocking.

        Raises:
            CapacityError: none of these ports is free.
            OSError: the address is not ours any more.
        """
        ports = self._settings.ports
        if ports is None:
            return _udp_socket(address, 0)
        begin = random.randrange(len(ports))  # noqa: S311 - spreads sessions, protects nothing
        for number in range(len(ports)):
            try:
                return _udp_socket(address, ports[(begin + number) % len(ports)])
            except OSError as error:
                if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise
        raise CapacityError(
            f"expected a free port of webrtc.udp_ports {self._settings.udp_ports}, and all are in use; widen the "
            "range, or end what else uses it",
            RETRY_AFTER_S,
        )

    def announced(self, address: str) -> list[str]:
        """What peers are told instead of an address: the public ones of its family, if it is private."""
        ours = ip_address(address)
        public = [one for one in self._settings.public_addresses if ip_address(one).version == ours.version]
        return public if public and not ours.is_global and address not in public else [address]

    def check(self, sessions: int) -> None:
        """Whether what the settings name is there.

        Args:
            sessions: that there may be at once; each takes a port.

        Raises:
            SettingsError: an interface is absent, or too many ports are in use.
        """
        there = _interfaces()
        absent = [name for name in self._settings.interfaces if name not in there]
        if absent:
            raise SettingsError(
                f"expected network interfaces of this machine in webrtc.interfaces, {absent[0]} is none of "
                f"{', '.join(there)}"
            )
        ports = self._settings.ports
        if ports is None:
            return
        taken = [port for port in ports if not _is_free(port)]
        if len(ports) - len(taken) < sessions:
            named = ", ".join(map(str, taken[:_NAMED_PORTS])) + (" ..." if len(taken) > _NAMED_PORTS else "")
            raise SettingsError(
                f"expected at least {sessions} free ports in webrtc.udp_ports {self._settings.udp_ports}, and "
                f"{len(taken)} of its {len(ports)} are in use ({named}); choose another range, or end what uses them"
            )


@dataclass(frozen=True, slots=True)
class Network:
    """What the connections of a server share.

    Args:
        hosts: addresses and ports of this machine.
        servers: STUN and TURN.
    """

    hosts: HostAddresses
    servers: IceServers

    @classmethod
    def of(cls, settings: WebRtcSettings) -> "Network":
        """As the settings say."""
        return cls(HostAddresses(settings), IceServers(settings))


def _interfaces() -> Mapping[str, Sequence[str]]:
    """The addresses of each network interface by its name, link-local ones of IPv6 left out: they need a scope."""
    return {
        adapter.name: [
            *(ip.ip for ip in adapter.ips if isinstance(ip.ip, str)),
            *(ip.ip[0] for ip in adapter.ips if not isinstance(ip.ip, str) and ip.ip[2] == 0),
        ]
        for adapter in ifaddr.get_adapters()
    }


def _udp_socket(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    sock.settimeout(0.0)
    return sock


def _is_free(port: int) -> bool:
    """Whether a UDP port is free on every address."""
    try:
        _udp_socket("0.0.0.0", port).close()  # noqa: S104 - closed at once
    except OSError:
        return False
    return True
