"""Bounds on what a peer can make a connection store and send; peers with any certificates and addresses connect."""

import asyncio
import datetime as dt
import re

import pytest
from aioice import stun
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import certificate_digest
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk, InboundStream
from aiortc.rtp import RtpPacket
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from stream_detect.webrtc.aiortc_private.connection import (
    DATAGRAM_BYTES,
    MAX_DATA_PIECES,
    MAX_DATA_STREAMS,
    MAX_REMOTE_CANDIDATES,
    MAX_SSRCS,
    MAX_UNANSWERED_CHECKS,
    MAX_UNREAD_BYTES,
    bound_checks,
    bound_received,
    close,
    new_connection,
)
from stream_detect.webrtc.aiortc_private.receiver import take_encoded
from tests.patience import PATIENCE_S

HIDDEN = "7d1c9f1e-5c5c-4a55-9d3b-4e8a0c7b5f11.local"


@pytest.fixture
async def connection(nothing_left):
    made = new_connection()
    made.addTransceiver("video", "sendrecv")
    made.createDataChannel("results")
    await made.setLocalDescription()
    yield made
    await close(made)


@pytest.fixture
def excess(connection):
    """The reports about the connection's peer."""
    reasons = []
    bound_received(connection, reasons.append)
    return reasons


def ice_of(connection):
    return connection.sctp.transport.transport._connection


async def test_unread_datagrams_are_dropped_oldest_first(connection, excess):
    ice = ice_of(connection)
    count = MAX_UNREAD_BYTES // (1000 + DATAGRAM_BYTES)
    for number in range(count + 500):
        ice.data_received(number.to_bytes(4, "big") + bytes(996), 1)
    assert ice._queue.qsize() == count
    assert int.from_bytes(ice._queue.get_nowait()[0][:4], "big") == 500
    ice._queue.put_nowait(None)  # the end is never dropped
    assert ice._queue.qsize() == count
    assert excess == []


def chunk(size, stream_id=1, tsn=1, flags=SCTP_DATA_FIRST_FRAG):
    made = DataChunk()
    made.flags, made.stream_id, made.tsn, made.user_data = flags, stream_id, tsn, bytes(size)
    return made


@pytest.fixture
def sctp(connection, excess):
    connection.sctp._last_received_tsn = 0
    return connection.sctp


async def test_a_message_that_never_ends_is_reported_at_the_window(sctp, excess):
    for number in range(1000):
        await sctp._receive_data_chunk(chunk(1100, tsn=number + 1, flags=SCTP_DATA_FIRST_FRAG if not number else 0))
    held = sum(len(one.user_data) for stream in sctp._inbound_streams.values() for one in stream.reassembly)
    assert held <= 1 << 20
    assert "longer than the window" in excess[0]


async def test_so_is_one_in_tiny_pieces(sctp, excess):
    for number in range(MAX_DATA_PIECES + 10):
        await sctp._receive_data_chunk(chunk(1, tsn=2 * number + 2))
    assert sum(len(stream.reassembly) for stream in sctp._inbound_streams.values()) == MAX_DATA_PIECES
    assert len(excess) == 10


async def test_and_one_in_each_of_many_streams(sctp, excess):
    for number in range(MAX_DATA_STREAMS + 10):
        await sctp._receive_data_chunk(chunk(1, stream_id=number, tsn=number + 1))
    assert len(sctp._inbound_streams) == MAX_DATA_STREAMS
    assert isinstance(sctp._get_inbound_stream(65_000), InboundStream)
    assert "32 streams" in excess[0]


async def test_rtp_streams_are_counted(connection, excess):
    (transceiver,) = connection.getTransceivers()
    router = transceiver.receiver.transport._rtp_router
    router.register_receiver(transceiver.receiver, [7], [96])
    routed = [router.route_rtp(RtpPacket(payload_type=96, ssrc=1000 + number)) for number in range(2 * MAX_SSRCS)]
    assert sum(receiver is not None for receiver in routed) == MAX_SSRCS - 1
    assert router.route_rtp(RtpPacket(payload_type=96, ssrc=7)) is transceiver.receiver


async def test_a_leap_of_sequence_numbers_is_no_list_of_lost_packets(connection):
    (transceiver,) = connection.getTransceivers()
    take_encoded(transceiver.receiver, sink=None)
    nack = transceiver.receiver._RTCRtpReceiver__nack_generator
    for number in range(0, 60_000, 20_000):
        assert not nack.add(RtpPacket(sequence_number=number))
        assert nack.missing == set()
    assert nack.add(RtpPacket(sequence_number=40_003))
    assert nack.missing == {40_001, 40_002}


class Request(stun.Message):
    def __init__(self):
        super().__init__(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)


async def test_connectivity_checks_share_a_budget_until_an_address_responds(connection, excess):
    ice = ice_of(connection)
    sent = []
    ice.check_incoming = lambda _message, address, _protocol: ice._remote_candidates.append(
        type("Candidate", (), {"_network_host": address[0], "port": address[1]})
    )
    for protocol in ice._protocols:
        protocol.send_stun = lambda _message, address: sent.append(address)
    bound_checks(connection)
    protocol = ice._protocols[0]
    for number in range(3 * MAX_UNANSWERED_CHECKS):
        protocol.send_stun(Request(), ("192.0.2.1", number))
    assert len(sent) == MAX_UNANSWERED_CHECKS
    ice.check_incoming(None, ("192.0.2.2", 1), protocol)
    protocol.send_stun(Request(), ("192.0.2.2", 1))
    assert sent[-1] == ("192.0.2.2", 1)
    for number in range(100):
        ice.check_incoming(None, ("192.0.2.3", number), protocol)
    assert len(ice._remote_candidates) == MAX_REMOTE_CANDIDATES


def rsa_certificate() -> RTCCertificate:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now - day).not_valid_after(now + 9 * day)
    return RsaCertificate(key=key, cert=builder.sign(key, hashes.SHA256()))


class RsaCertificate(RTCCertificate):
    """The answer of a peer with GStreamer's capabilities."""

    def _create_ssl_context(self, srtp_profiles):
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
        assert isinstance(context, SSL.Context)
        return context


async def test_a_peer_with_an_rsa_certificate_connects(open_sessions, make_peer):
    peer, certificate = make_peer(), rsa_certificate()
    for end in (peer.video.sender, peer.connection.sctp):
        end.transport._RTCDtlsTransport__local_certificate = certificate
    await peer.connect(open_sessions())
    assert certificate_digest(certificate._cert, "sha-256") in peer.connection.localDescription.sdp


@pytest.mark.parametrize("ends", [False, True], ids=["open", "with its end"])
@pytest.mark.parametrize(
    "named",
    [[], [f"1 UDP 2122252543 {HIDDEN} 49203 typ host"], ["1 TCP 2105524479 192.0.2.1 9 typ host tcptype active"]],
    ids=["no candidate", "a name", "TCP alone"],
)
async def test_a_peer_without_known_addresses_connects_by_its_own_checks(open_sessions, make_peer, named, ends):
    sessions, peer = open_sessions(), make_peer()
    offer = (await peer.offer()).splitlines()
    kept = [line for line in offer if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    added = [f"a=candidate:{number} {rest}" for number, rest in enumerate(named)] + ["a=end-of-candidates"] * ends
    sections = [number for number, line in enumerate(kept) if line.startswith("m=")]
    for number in reversed([*sections[1:], len(kept)]):
        kept[number:number] = added
    answer = await sessions.answer("\r\n".join(kept) + "\r\n")
    assert re.search(r"(?m)^a=candidate:", answer.sdp)
    await peer.accept(answer.sdp)
    async with asyncio.timeout(PATIENCE_S):
        await peer._was_connected.wait()
