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
"""When a port may be free again: a vanished session is closed within ten seconds."""

_NAMED_PORTS = 5
"""Number of used ports listed in a message."""


class HostAddresses:
    """The addresses and UDP ports of this machine for media.

    Args:
        settings: interfaces, ports and public addresses.
    """

    def __init__(self, settings: WebRtcSettings) -> None:
        self._settings = settings

    def addresses(self) -> list[str]:
        """Addresses to bind to: of the chosen interfaces, or of all but loopback; without IPv6 link-local ones.

        Raises:
            CapacityError: none of the chosen interfaces has an address now.
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
                f"expected an address on {' or '.join(interfaces)} (webrtc.interfaces), but there is none at present",
                RETRY_AFTER_S,
            )
        return found

    def bind(self, address: str) -> socket.socket:
        """A UDP socket at an address, on a port of webrtc.udp_ports; non-blocking.

        Raises:
            CapacityError: none of these ports is free.
            OSError: the address no longer belongs to this machine.
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
            f"expected a free port of webrtc.udp_ports {self._settings.udp_ports}, but all are in use; widen the "
            "range, or stop the other programs that use it",
            RETRY_AFTER_S,
        )

    def announced(self, address: str) -> list[str]:
        """Addresses announced to peers instead of this one: if it is private, the public ones of its family."""
        ours = ip_address(address)
        public = [one for one in self._settings.public_addresses if ip_address(one).version == ours.version]
        return public if public and not ours.is_global and address not in public else [address]

    def check(self, sessions: int) -> None:
        """Checks that the interfaces and ports in the settings exist.

        Args:
            sessions: maximum number of sessions; each uses a port.

        Raises:
            SettingsError: an interface is missing, or too many ports are in use.
        """
        there = _interfaces()
        absent = [name for name in self._settings.interfaces if name not in there]
        if absent:
            raise SettingsError(
                f"expected network interfaces of this machine in webrtc.interfaces, received {absent[0]}; there "
                f"are {', '.join(there)}"
            )
        ports = self._settings.ports
        if ports is None:
            return
        taken = [port for port in ports if not _is_free(port)]
        if len(ports) - len(taken) < sessions:
            named = ", ".join(map(str, taken[:_NAMED_PORTS])) + (" ..." if len(taken) > _NAMED_PORTS else "")
            raise SettingsError(
                f"expected at least {sessions} free ports in webrtc.udp_ports {self._settings.udp_ports}, but "
                f"{len(taken)} of its {len(ports)} are in use ({named}); choose another range, or stop the programs "
                "that use them"
            )


@dataclass(frozen=True, slots=True)
class Network:
    """Network parts shared by the connections of a server.

    Args:
        hosts: addresses and ports of this machine.
        servers: STUN and TURN servers.
    """

    hosts: HostAddresses
    servers: IceServers

    @classmethod
    def of(cls, settings: WebRtcSettings) -> "Network":
        """Makes the network from the settings."""
        return cls(HostAddresses(settings), IceServers(settings))


def _interfaces() -> Mapping[str, Sequence[str]]:
    """The addresses of each network interface, without IPv6 link-local ones, which need a scope."""
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
    """Whether a UDP port is free on all addresses."""
    try:
        _udp_socket("0.0.0.0", port).close()  # noqa: S104 - closed at once
    except OSError:
        return False
    return True
