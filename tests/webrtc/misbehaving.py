"""Peers that misbehave towards a real server, each in its own way, for some seconds."""

import asyncio
import random
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import av
import httpx
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import VIDEO_TIME_BASE
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk
from aiortc.rtp import RtpPacket

from stream_detect.webrtc.aiortc_private.connection import close
from tests.media.coded import QUICK, coded
from tests.patience import soon

LASTS_S = 3.0
"""Duration of each misbehaviour."""

CONNECT_S = 10.0
SDP = {"Content-Type": "application/sdp"}
REALTIME = {"deadline": "realtime", "cpu-used": "16", "lag-in-frames": "0"}


class CodedTrack(MediaStreamTrack):
    """Sends the same encoded frames repeatedly, without encoding."""

    kind = "video"

    def __init__(self, packets: Sequence[bytes], fps: float = 30.0) -> None:
        super().__init__()
        self._packets, self._fps = cycle(packets), fps
        self._sent = 0
        self._began_s = time.monotonic()

    async def recv(self) -> "av.Packet[Any]":
        await asyncio.sleep(max(0.0, self._began_s + self._sent / self._fps - time.monotonic()))
        packet = av.Packet(next(self._packets))
        packet.pts = packet.dts = round(self._sent * 90_000 / self._fps)
        packet.time_base = VIDEO_TIME_BASE
        self._sent += 1
        return packet


@dataclass
class Target:
    """The server, and encoded frames for peers, made once because encoding large ones takes long."""

    client: httpx.AsyncClient
    dice: random.Random
    videos: dict[str, list[bytes]]

    async def post(self, path: str, offer: str) -> httpx.Response:
        return await self.client.post(path, content=offer, headers=SDP)


def target(client: httpx.AsyncClient) -> Target:
    """Uses a server with the `whip:` camera `street`."""
    small, other = coded("libx264", (320, 240), 1, **QUICK), coded("libx264", (640, 352), 1, **QUICK)
    small_vp8, large_vp8 = (coded("libvpx", wh, 1, **REALTIME) for wh in ((320, 240), (4096, 4096)))
    videos = {
        "small": small,
        "changing": small + other,
        "large VP8": large_vp8,
        "large H264": coded("libx264", (4096, 4096), 1, **QUICK),
        "growing VP8": [*small_vp8 * 20, *large_vp8],
    }
    return Target(client, random.Random(7), videos)  # noqa: S311


class NoPlaceError(Exception):
    """Another misbehaving peer has taken the place."""


@asynccontextmanager
async def peer(
    at: Target, path: str, direction: str, video: str = "small", codec: str = "H264"
) -> AsyncIterator[RTCPeerConnection]:
    """A connected peer."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        track = CodedTrack(at.videos[video]) if direction != "recvonly" else "video"
        transceiver = connection.addTransceiver(track, direction)
        known = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([one for one in known if one.mimeType == f"video/{codec}"])
        if path == "/webrtc/check":
            connection.createDataChannel("results")
        await connection.setLocalDescription(await connection.createOffer())
        answer = await at.post(path, connection.localDescription.sdp)
        if answer.status_code in {409, 503}:
            raise NoPlaceError
        assert answer.status_code == 201, answer.text
        await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        await soon(lambda: connection.connectionState in {"connected", "failed", "closed"}, CONNECT_S)
        yield connection
    except TimeoutError as error:  # a later offer from the same address took its place
        raise NoPlaceError from error
    finally:
        await close(connection)


async def offers(at: Target, path: str, direction: str, count: int = 8) -> list[httpx.Response]:
    """Offers from peers that never connect."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", direction)
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    await close(connection)
    return [await at.post(path, sdp) for _ in range(count)]


async def never_connects(at: Target) -> None:
    for path, direction in (("/webrtc/check", "sendrecv"), ("/whep/street", "recvonly"), ("/whip/street", "sendonly")):
        await offers(at, path, direction)


async def floods_ports(at: Target) -> None:
    """Datagrams to the candidates of an answer, from a peer that never connects."""
    (answer,) = await offers(at, "/webrtc/check", "sendrecv", 1)
    found = re.findall(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", answer.text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        end_s = time.monotonic() + LASTS_S
        while time.monotonic() < end_s:
            for address, port in found:
                for first in (0, 22, 128):  # STUN, DTLS, RTP
                    sender.sendto(bytes([first]) + at.dice.randbytes(1199), (address, int(port)))
            await asyncio.sleep(0.001)


async def sends_large_vp8(at: Target) -> None:
    async with peer(at, "/whip/street", "sendonly", "large VP8", "VP8"):
        await asyncio.sleep(LASTS_S)


async def sends_large_h264(at: Target) -> None:
    async with peer(at, "/webrtc/check", "sendrecv", "large H264"):
        await asyncio.sleep(LASTS_S)


async def grows(at: Target) -> None:
    async with peer(at, "/whip/street", "sendonly", "growing VP8", "VP8"):
        await asyncio.sleep(LASTS_S)


async def changes_its_size(at: Target) -> None:
    async with peer(at, "/webrtc/check", "sendrecv", "changing"):
        await asyncio.sleep(LASTS_S)


async def vanishes(at: Target) -> None:
    """Connected but silent, until the server closes the session."""
    async with peer(at, "/webrtc/check", "sendrecv") as connection:
        sctp = connection.sctp
        assert sctp is not None
        transport: Any = sctp.transport.transport

        async def nothing(_data: bytes) -> None:
            return

        transport._send = transport._connection.send = nothing
        await asyncio.sleep(LASTS_S)


async def sends_an_endless_message(at: Target) -> None:
    async with peer(at, "/webrtc/check", "sendrecv") as connection:
        sctp = connection.sctp
        assert sctp is not None
        await soon(lambda: sctp.state == "connected")
        end_s, first = time.monotonic() + LASTS_S, True
        while time.monotonic() < end_s and connection.connectionState == "connected":
            for _ in range(20):
                chunk = DataChunk()
                chunk.flags, first = SCTP_DATA_FIRST_FRAG if first else 0, False
                chunk.tsn, sctp._local_tsn = sctp._local_tsn, (sctp._local_tsn + 1) & 0xFFFF_FFFF
                chunk.stream_id, chunk.stream_seq, chunk.protocol, chunk.user_data = 9, 0, 51, bytes(1100)
                try:
                    await sctp._send_chunk(chunk)
                except ConnectionError:
                    return
            await asyncio.sleep(0.005)


async def sends_nonsense_as_video(at: Target) -> None:
    """Packets of ever new streams, with jumping sequence numbers and undecodable content."""
    async with peer(at, "/whip/street", "sendonly") as connection:
        (transceiver,) = connection.getTransceivers()
        payload_type = transceiver._codecs[0].payloadType
        assert payload_type is not None
        end_s = time.monotonic() + LASTS_S
        while time.monotonic() < end_s and connection.connectionState == "connected":
            packet = RtpPacket(payload_type=payload_type, marker=1, sequence_number=at.dice.randrange(1 << 16))
            packet.timestamp, packet.ssrc = at.dice.randrange(1 << 32), at.dice.randrange(1 << 32)
            packet.payload = at.dice.randbytes(at.dice.randrange(1, 1100))
            try:
                await transceiver.sender.transport._send_rtp(packet.serialize())
            except ConnectionError:
                return
            await asyncio.sleep(0.001)


async def opens_many_channels(at: Target) -> None:
    async with peer(at, "/webrtc/check", "sendrecv") as connection:
        for number in range(200):
            connection.createDataChannel(f"{number} {'x' * 1000}")
        await asyncio.sleep(LASTS_S)


async def offers_nonsense(at: Target) -> None:
    answers = await offers(at, "/webrtc/check", "sendrecv", 1)
    for _ in range(30):
        lines = answers[0].text.splitlines()
        for _ in range(at.dice.randrange(1, 4)):
            lines[at.dice.randrange(len(lines))] = at.dice.choice(lines)[: at.dice.randrange(40)]
        assert (await at.post("/webrtc/check", "\r\n".join(lines))).status_code < 500


MISBEHAVIOURS: tuple[Callable[[Target], Awaitable[None]], ...] = (
    never_connects,
    floods_ports,
    sends_large_vp8,
    sends_large_h264,
    grows,
    changes_its_size,
    vanishes,
    sends_an_endless_message,
    sends_nonsense_as_video,
    opens_many_channels,
    offers_nonsense,
)
