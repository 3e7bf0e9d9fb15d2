"""Gathers the candidates of an ICE connection on chosen addresses and ports, with every STUN and TURN server.

aioice binds to any port of every address, and waits five seconds for the first server of each kind, whether it works
or not.
"""

import asyncio
import copy
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from aioice import Candidate, turn
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol
from aiortc import RTCPeerConnection

from stream_detect.errors import IceServerError
from stream_detect.webrtc.aiortc_private.connection import transports_of
from stream_detect.webrtc.aiortc_private.stun_turn import Server, allocate, is_ipv4, reflexive

# ruff: noqa: SLF001 - this package is where private parts are used

HEAD_START_S = 0.5
"""Time after which the next server of a kind is tried in parallel: a near one answers within a tenth of it."""

T = TypeVar("T")


class CandidateAddresses(Protocol):
    """The addresses of this machine for candidates."""

    def addresses(self) -> Sequence[str]:
        """Addresses to bind to."""
        ...

    def bind(self, address: str) -> socket.socket:
        """A UDP socket at an address, non-blocking.

        Raises:
            CapacityError: there is no free port.
            OSError: the address no longer exists.
        """
        ...

    def announced(self, address: str) -> Sequence[str]:
        """Addresses announced to peers instead of this address."""
        ...


class ServerList(Protocol):
    """The STUN and TURN servers."""

    def usable(self, kind: str) -> Sequence[Server]:
        """Servers of a kind that are not known to fail, the preferred one first."""
        ...

    def note(self, server: Server, problem: str) -> None:
        """Records that a server worked (an empty problem) or failed, with the reason in words."""
        ...


def gather_by(connection: RTCPeerConnection, hosts: CandidateAddresses, servers: ServerList) -> None:
    """Sets the source of a connection's candidates. Call it before it gathers them."""
    for transport in transports_of(connection):
        gathering = _Gathering(transport.transport._connection, hosts, servers)
        gathering.ice.get_component_candidates = gathering.candidates


class _Gathering:
    """The candidates of one ICE connection."""

    def __init__(self, ice: Any, hosts: CandidateAddresses, servers: ServerList) -> None:
        self.ice: Any = ice
        self._hosts = hosts
        self._servers = servers

    async def candidates(self, component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:  # noqa: ARG002, ASYNC109 - aioice's
        """Replaces `aioice.Connection.get_component_candidates`.

        Raises:
            CapacityError: there is no free port.
        """
        ice: Connection = self.ice
        for address in self._hosts.addresses():
            await self._bind(address, component)
        bound = list(ice._protocols)
        local = [protocol for protocol in bound if is_ipv4(protocol)]
        asked = []
        if local:
            asked.append(self._ask("stun", lambda server: reflexive(local, server)))
        asked.append(self._ask("turn", lambda server: self._relay(component, server)))
        found = await asyncio.gather(*asked)
        return [*self._announced(bound), *(candidate for several in found for candidate in several or ())]

    async def _bind(self, address: str, component: int) -> None:
        try:
            sock = self._hosts.bind(address)
        except OSError:  # it was just removed from its interface
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, turn.UDP_SOCKET_BUFFER_SIZE)
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(lambda: StunProtocol(self.ice), sock=sock)
        host, port = sock.getsockname()[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )
        self.ice._protocols.append(protocol)

    def _announced(self, bound: Sequence[StunProtocol]) -> list[Candidate]:
        """The announced host candidates; our own checks still start at the bound address."""
        told = []
        for protocol in bound:
            for address in self._hosts.announced(protocol.local_candidate.host):
                candidate = copy.copy(protocol.local_candidate)
                candidate.host = address
                told.append(candidate)
        return told

    async def _relay(self, component: int, server: Server) -> list[Candidate]:
        candidate, protocol = await allocate(self.ice, component, server)
        self.ice._protocols.append(protocol)
        return [candidate]

    async def _ask(self, kind: str, ask: Callable[[Server], Coroutine[None, None, T]]) -> T | None:
        """Result of the first successful server of a kind; None if there is none.

        The next one is tried when one fails, or has not answered for HEAD_START_S.
        """
        waiting = list(self._servers.usable(kind))
        asking: dict[asyncio.Task[T], Server] = {}
        try:
            while waiting or asking:
                if waiting:
                    server = waiting.pop(0)
                    asking[asyncio.create_task(ask(server))] = server
                done, _ = await asyncio.wait(
                    asking, timeout=HEAD_START_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    server = asking.pop(task)
                    try:
                        answer = task.result()
                    except IceServerError as error:
                        self._servers.note(server, str(error))
                    else:
                        self._servers.note(server, "")
                        return answer
            return None
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
