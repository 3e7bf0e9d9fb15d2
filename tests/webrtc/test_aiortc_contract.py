"""The assumptions of aiortc_private about aiortc and aioice hold in the installed versions."""

import inspect
from importlib.metadata import version
from pathlib import Path

import pytest
from aioice import Connection, turn
from aiortc import RTCCertificate, RTCRtpSender

import stream_detect
from stream_detect.webrtc.aiortc_private import CHECKED_WITH
from stream_detect.webrtc.aiortc_private.connection import bound_checks, bound_received, close, new_connection

SOURCES = Path(stream_detect.__file__).parent


@pytest.mark.parametrize("name", CHECKED_WITH)
def test_the_version_is_the_one_that_was_checked(name):
    assert version(name) == CHECKED_WITH[name], (
        f"read what changed in {name}, run tests/webrtc, tests/browser and the soak, then renew CHECKED_WITH"
    )


def test_nothing_else_touches_private_parts():
    touching = {
        path.relative_to(SOURCES).parts[:2]
        for path in SOURCES.rglob("*.py")
        if "SLF001" in (text := path.read_text(encoding="utf-8")) and ("aiortc" in text or "aioice" in text)
    }
    assert touching == {("webrtc", "aiortc_private")}


@pytest.fixture
async def connection(nothing_left):
    """A connection with a video, a data channel, and candidates."""
    made = new_connection()
    made.addTransceiver("video", "sendrecv")
    made.createDataChannel("results")
    await made.setLocalDescription()
    yield made
    await close(made)


ATTRIBUTES = {
    "connection": ["_RTCPeerConnection__certificates"],
    "ice transport": ["_connection", "_RTCIceTransport__start"],
    "ice": [
        "_check_list",
        "_nominated",
        "_protocols",
        "_query_consent_task",
        "_queue",
        "_remote_candidates",
        "check_incoming",
        "get_component_candidates",
    ],
    "stun protocol": ["send_stun", "transport"],
    "dtls": ["_rtp_router", "_send_rtp"],
    "router": ["route_rtp", "ssrc_table"],
    "sctp": ["_advertised_rwnd", "_get_inbound_stream", "_inbound_streams", "_receive_data_chunk"],
    "receiver": [
        "_RTCRtpReceiver__codecs",
        "_RTCRtpReceiver__decoder_error",
        "_RTCRtpReceiver__decoder_queue",
        "_RTCRtpReceiver__jitter_buffer",
        "_RTCRtpReceiver__nack_generator",
        "_RTCRtpReceiver__remote_bitrate_estimator",
        "_RTCRtpReceiver__rtx_ssrc",
        "_handle_rtp_packet",
    ],
    "sender": [
        "_RTCRtpSender__ntp_timestamp",
        "_RTCRtpSender__octet_count",
        "_RTCRtpSender__packet_count",
        "_RTCRtpSender__rtp_exited",
        "_RTCRtpSender__rtp_started",
        "_RTCRtpSender__rtp_timestamp",
        "_handle_rtcp_packet",
        "_retransmit",
        "_rtx_ssrc",
        "_run_rtp",
        "_ssrc",
    ],
}


async def test_every_attribute_that_is_touched_is_there(connection):
    (transceiver,) = connection.getTransceivers()
    dtls = transceiver.receiver.transport
    objects = {
        "connection": connection,
        "ice transport": dtls.transport,
        "ice": dtls.transport._connection,
        "stun protocol": dtls.transport._connection._protocols[0],
        "dtls": dtls,
        "router": dtls._rtp_router,
        "sctp": connection.sctp,
        "receiver": transceiver.receiver,
        "sender": transceiver.sender,
    }
    absent = {
        name: [attribute for attribute in attributes if not hasattr(objects[name], attribute)]
        for name, attributes in ATTRIBUTES.items()
    }
    assert not any(absent.values()), absent
    assert hasattr(RTCCertificate, "_create_ssl_context")
    assert hasattr(RTCRtpSender, "send")
    inner = turn.TurnClientUdpProtocol(("127.0.0.1", 9), None, None, 600, 500)
    assert turn.TurnTransport(inner)._TurnTransport__inner_protocol.delete
    gathering = inspect.signature(Connection.get_component_candidates)
    assert list(gathering.parameters) == ["self", "component", "addresses", "timeout"]


async def test_bounds_replace_existing_attributes(connection):
    bound_received(connection, lambda _reason: None)
    bound_checks(connection)
    ice = connection.sctp.transport.transport._connection
    assert type(ice._queue).__name__ == "_DatagramQueue"
    assert ice.check_incoming.__name__ == "checked"
    assert connection.sctp._receive_data_chunk.__name__ == "bounded"
