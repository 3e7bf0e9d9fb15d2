"""Peer connections with what aiortc lacks: limits on what peers cause to be kept and sent, RSA peers, a clean end."""

import asyncio
from collections.abc import Callable
from typing import Any

from aioice import stun
from aioice.ice import CandidatePair
from aiortc import (
    RTCCertificate,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCSctpTransport,
)
from aiortc.rtcsctptransport import InboundStream
from OpenSSL import SSL

# ruff: noqa: SLF001 - this package is where private parts are used

CIPHERS = b":".join(
    f"ECDHE-{key}-{cipher}".encode()
    for key in ("ECDSA", "RSA")
    for cipher in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA")
)
"""aiortc offers ECDSA ciphers only; GStreamer's webrtcbin and software based on it use certificates with RSA keys."""

MAX_UNREAD_BYTES = 4 << 20
"""Maximum size of unread datagrams, because anybody can send them before the connection is established; the oldest are
dropped first."""

DATAGRAM_BYTES = 128
"""Overhead of a waiting datagram."""

MAX_REMOTE_CANDIDATES = 32
"""Addresses that one ICE connection checks, including those learnt from incoming checks."""

MAX_UNANSWERED_CHECKS = 48
"""UDP packets that one offer can make the server send to addresses that have not sent anything. A peer sends checks of
its own, each of which is answered by a check; ours only open our firewall. Eight pairs have six each, sixteen three."""

MAX_SSRCS = 64
"""RTP streams that a connection distinguishes: aiortc keeps statistics of each for ever."""

MAX_DATA_STREAMS = 32
"""SCTP streams that a peer may use; a data channel uses one."""

MAX_DATA_PIECES = 2048
"""Pieces of unfinished messages that are kept; 1 MiB, aiortc's receive window, arrives in 900."""


class _Certificate(RTCCertificate):
    """A certificate whose connections also accept peers with RSA keys."""

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(CIPHERS)
        return context


def new_connection() -> RTCPeerConnection:
    """A peer connection without STUN and TURN servers; `gathering.gather_by` sets the servers that it uses."""
    # An empty list, because aiortc uses a public STUN server for None.
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    private: Any = connection
    private._RTCPeerConnection__certificates = [_Certificate.generateCertificate()]
    return connection


def bound_received(connection: RTCPeerConnection, on_excess: Callable[[str], None]) -> None:
    """Limits what a peer can make a connection store. Call it before the connection gathers candidates.

    Args:
        connection: with its remote description.
        on_excess: called with the reason in words if a peer exceeds a limit; the connection must then be closed.
    """
    for transport in transports_of(connection):
        ice: Any = transport.transport._connection
        ice._queue = _DatagramQueue()
        _bound_streams(transport)
    if connection.sctp is not None:
        _bound_messages(connection.sctp, on_excess)


class _DatagramQueue(asyncio.Queue[tuple[bytes, int] | None]):
    """Received datagrams, at most MAX_UNREAD_BYTES. Drop policy: the oldest are dropped. None ends reading."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0

    def put_nowait(self, item: tuple[bytes, int] | None) -> None:
        while item is not None and self._bytes + _size(item) > MAX_UNREAD_BYTES and not self.empty():
            self.get_nowait()
        super().put_nowait(item)

    def _put(self, item: tuple[bytes, int] | None) -> None:
        self._bytes += _size(item)
        super()._put(item)

    def _get(self) -> tuple[bytes, int] | None:
        item = super()._get()
        self._bytes -= _size(item)
        return item


def _size(item: tuple[bytes, int] | None) -> int:
    return 0 if item is None else len(item[0]) + DATAGRAM_BYTES


def _bound_streams(transport: RTCDtlsTransport) -> None:
    """Drops the packets of further RTP streams."""
    router: Any = transport._rtp_router
    route = router.route_rtp

    def bounded(packet: Any) -> Any:
        table = router.ssrc_table
        return route(packet) if packet.ssrc in table or len(table) < MAX_SSRCS else None

    router.route_rtp = bounded


def _bound_messages(sctp: RTCSctpTransport, on_excess: Callable[[str], None]) -> None:
    """Reports a peer that exceeds the receive window or uses too many streams or pieces, and drops its data."""
    private: Any = sctp
    receive, streams = private._receive_data_chunk, private._inbound_streams
    find = private._get_inbound_stream

    def stream(stream_id: int) -> InboundStream:
        if stream_id in streams or len(streams) < MAX_DATA_STREAMS:
            found: InboundStream = find(stream_id)
            return found
        on_excess(f"the peer uses more than {MAX_DATA_STREAMS} streams of data")
        return InboundStream()

    async def bounded(chunk: Any) -> None:
        pieces = sum(len(stream.reassembly) for stream in streams.values())
        if len(chunk.user_data) > private._advertised_rwnd or pieces >= MAX_DATA_PIECES:
            on_excess("the peer sends a message that is longer than the window that it was given")
            return
        await receive(chunk)

    private._receive_data_chunk, private._get_inbound_stream = bounded, stream


def bound_checks(connection: RTCPeerConnection) -> None:
    """Limits the ICE checks that an offer makes us send. Call it after candidates have been gathered."""
    budget = _CheckBudget()
    for transport in transports_of(connection):
        budget.keep(transport.transport._connection)


class _CheckBudget:
    """Number of checks that a connection may still send to addresses that have not sent anything."""

    def __init__(self) -> None:
        self._left = MAX_UNANSWERED_CHECKS
        self._heard: set[tuple[str, int]] = set()

    def keep(self, ice: Any) -> None:
        check_incoming = ice.check_incoming

        def checked(message: stun.Message, address: tuple[str, int], protocol: Any) -> None:
            known = {(one._network_host, one.port) for one in ice._remote_candidates}
            if address in known or len(known) < MAX_REMOTE_CANDIDATES:
                self._heard.add(address)
                check_incoming(message, address, protocol)

        ice.check_incoming = checked
        for protocol in ice._protocols:
            self._keep_protocol(ice, protocol)

    def _keep_protocol(self, ice: Any, protocol: Any) -> None:
        send_stun = protocol.send_stun

        def send(message: stun.Message, address: tuple[str, int]) -> None:
            if message.message_class is stun.Class.REQUEST and not self._is_heard(ice, address):
                if self._left == 0:
                    return
                self._left -= 1
            send_stun(message, address)

        protocol.send_stun = send

    def _is_heard(self, ice: Any, address: tuple[str, int]) -> bool:
        if address in self._heard:
            return True
        if any(pair.remote_addr == address and pair.state is CandidatePair.State.SUCCEEDED for pair in ice._check_list):
            self._heard.add(address)  # an ICE lite peer answers checks and sends none
            return True
        return False


async def close(connection: RTCPeerConnection) -> None:
    """Closes a connection and all its tasks.

    If it is closed at the moment when its checks succeed, aioice still starts the consent task, which would loop for
    ever without a pair. So this waits for the end of the checks, which is immediate, and cancels the task.
    """
    transports: list[Any] = [transport.transport for transport in transports_of(connection)]
    await connection.close()
    for transport in transports:
        checked = transport._RTCIceTransport__start
        if checked is not None:
            await checked.wait()
        ice = transport._connection
        if ice._query_consent_task is not None:
            ice._query_consent_task.cancel()
        ice._queue = asyncio.Queue()  # frees unread data, whoever still refers to the connection


def transports_of(connection: RTCPeerConnection) -> set[RTCDtlsTransport]:
    """The transports of a connection: one if all media are bundled."""
    transports = {transceiver.receiver.transport for transceiver in connection.getTransceivers()}
    if connection.sctp is not None:
        transports.add(connection.sctp.transport)
    return transports
