"""Requests the public address from STUN servers and a relayed one from TURN servers, and explains failures.

aioice asks one server of each kind, waits five seconds for it, and reports no failure.
"""

import asyncio
import contextlib
import os
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from aioice import Candidate, stun, turn
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol

from stream_detect.errors import IceServerError
from stream_detect.settings import IceAddress

# ruff: noqa: SLF001 - this package is where private parts are used

ANSWER_S = 3.0
"""Time limit for one server: a TCP and a TLS handshake and two requests take five round trips of at most half a second.
"""

OTHERS_S = 0.1
"""How long to wait, after a server's first answer, for its answers on the other network interfaces: on those without a
route to it there will be none."""

DELETE_S = 1.0
"""Time limit for releasing a relayed address; the server releases it by itself after ten minutes."""


@dataclass(frozen=True, slots=True)
class Server:
    """A STUN or TURN server with its current credential.

    Args:
        url: its URL in the settings.
        address: its host and port.
        username: username for a TURN server.
        password: password for a TURN server.
    """

    url: str
    address: IceAddress
    username: str | None = None
    password: str | None = None


async def try_server(server: Server) -> None:
    """Requests an address from a server as a session would, and releases it.

    Raises:
        IceServerError: it does not work; the message states the reason and what to do.
    """
    receiver = Connection(ice_controlling=False)
    if server.address.kind == "turn":
        _, protocol = await allocate(receiver, 1, server)
        await protocol.close()
        return
    loop = asyncio.get_running_loop()
    async with _in_words(server):
        there = await _resolved(server)
        _, protocol = await loop.create_datagram_endpoint(lambda: StunProtocol(receiver), local_addr=("0.0.0.0", 0))  # noqa: S104 - asks, does not listen
        try:
            await protocol.request(_binding(), there)
        finally:
            await protocol.close()


async def reflexive(protocols: Sequence[StunProtocol], server: Server) -> list[Candidate]:
    """Our addresses as seen by a STUN server, for the host candidates that reach it.

    Args:
        protocols: protocols of IPv4 host candidates.
        server: the STUN server.

    Raises:
        IceServerError: it answers none of them.
    """
    async with _in_words(server):
        there = await _resolved(server)
        asking = [asyncio.create_task(_mapped(protocol, there)) for protocol in protocols]
        try:
            first = await _first(asking)
            await asyncio.wait(asking, timeout=OTHERS_S)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        others = (task for task in asking if not task.cancelled() and task.exception() is None)
        return list({candidate.host: candidate for candidate in (first, *(task.result() for task in others))}.values())


async def allocate(ice: Connection, component: int, server: Server) -> tuple[Candidate, StunProtocol]:
    """Allocates a relayed address on a TURN server.

    Args:
        ice: connection whose datagrams are relayed.
        component: ICE component.
        server: the TURN server.

    Raises:
        IceServerError: it refuses.
    """
    where = server.address
    async with _in_words(server):
        transport, protocol = await turn.create_turn_endpoint(
            lambda: StunProtocol(ice),
            server_addr=(where.host, where.port),
            username=server.username,
            password=server.password,
            ssl=where.tls,
            transport=where.transport,
        )
    _bound_deletion(transport)
    host, port = protocol.transport.get_extra_info("sockname")
    related = protocol.transport.get_extra_info("related_address")
    protocol.local_candidate = Candidate(
        foundation=candidate_foundation("relay", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "relay"),
        host=host,
        port=port,
        type="relay",
        related_address=related[0],
        related_port=related[1],
    )
    return protocol.local_candidate, protocol


async def _first(asking: Sequence["asyncio.Task[Candidate]"]) -> Candidate:
    """The first success; if there is none, the last error."""
    failure: BaseException | None = None
    for next_one in asyncio.as_completed(asking):
        try:
            return await next_one
        except (stun.TransactionError, OSError) as error:
            failure = error
    raise failure or stun.TransactionTimeout


async def _mapped(protocol: StunProtocol, there: tuple[str, int]) -> Candidate:
    response, _ = await protocol.request(_binding(), there)
    ours = protocol.local_candidate
    host, port = response.attributes["XOR-MAPPED-ADDRESS"]
    return Candidate(
        foundation=candidate_foundation("srflx", "udp", ours.host),
        component=ours.component,
        transport=ours.transport,
        priority=candidate_priority(ours.component, "srflx"),
        host=host,
        port=port,
        type="srflx",
        related_address=ours.host,
        related_port=ours.port,
    )


def _binding() -> stun.Message:
    return stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)


async def _resolved(server: Server) -> tuple[str, int]:
    """The IPv4 address of a STUN server: only IPv4 candidates are behind address translation."""
    where = server.address
    found = await asyncio.get_running_loop().getaddrinfo(
        where.host, where.port, family=socket.AF_INET, type=socket.SOCK_DGRAM
    )
    host, port = found[0][4][:2]
    return str(host), int(port)


def _bound_deletion(transport: turn.TurnTransport) -> None:
    """Prevents that a dead TURN server delays the end of a session: aioice would ask it for half a minute."""
    inner: Any = transport._TurnTransport__inner_protocol  # type: ignore[attr-defined] # private
    delete = inner.delete

    async def bounded() -> None:
        try:
            async with asyncio.timeout(DELETE_S):
                await delete()
        except TimeoutError:
            inner.transport.close()

    inner.delete = bounded


@contextlib.asynccontextmanager
async def _in_words(server: Server) -> AsyncIterator[None]:
    """Limits the time for a server, and converts errors to words."""
    try:
        async with asyncio.timeout(ANSWER_S):
            yield
    except (OSError, stun.TransactionError, ValueError) as error:
        raise IceServerError(f"{server.url} {_words(error, server)}") from error


def _words(error: BaseException, server: Server) -> str:
    """Why a server does not work, after its URL."""
    address = server.address
    match error:
        case stun.TransactionFailed():
            words = _refusal(error, server)
        case socket.gaierror():
            words = f"cannot be resolved ({error.strerror}): expected the name or address of a server"
        case ssl.SSLCertVerificationError():
            words = (
                f"has a certificate that is not trusted ({error.verify_message}): expected one for {address.host} by "
                "an authority of this system, or of SSL_CERT_FILE"
            )
        case ssl.SSLError():
            words = f"does not speak TLS as expected ({error.reason or error}): turns: needs TLS on port {address.port}"
        case TimeoutError() | stun.TransactionTimeout():
            words = (
                f"does not answer within {ANSWER_S:g} s: expected a {address.kind.upper()} server on "
                f"{address.transport.upper()} port {address.port} that no firewall hides"
            )
        case OSError(errno=int(number)):
            words = f"cannot be reached ({os.strerror(number)})"
        case _:
            words = f"does not answer as expected ({error})"
    return words


def _refusal(error: stun.TransactionFailed, server: Server) -> str:
    """Meaning of a TURN server's error code (RFC 8656, 7.2)."""
    code, reason = error.response.attributes.get("ERROR-CODE", (0, "no reason given"))
    expiry = re.match(r"\d{9,11}(?=:|$)", server.username or "")
    if code in {401, 438} and expiry and int(expiry[0]) < time.time():
        return (
            f"refuses the username, which has expired ({code} {reason}): set a valid one, or set webrtc.turn_secret to "
            "the server's secret, from which new ones are derived"
        )
    if code in {401, 438}:
        return (
            f"refuses username and credential ({code} {reason}): check those in webrtc.ice_servers; with "
            "webrtc.turn_secret, check the secret and this machine's clock"
        )
    if code == 486:
        return f"has reached its quota for this username ({code} {reason}): raise the server's quota"
    return f"refuses to relay ({code} {reason})" if server.address.kind == "turn" else f"refuses ({code} {reason})"


def is_ipv4(protocol: StunProtocol) -> bool:
    """Whether a host candidate is an IPv4 one."""
    return ip_address(protocol.local_candidate.host).version == 4
