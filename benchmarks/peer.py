"""One viewer in a process of its own: sends the ready-made clip, counts what comes back, writes it all down.

Its arguments are the address to offer to, the clip's file and the codec. It writes to standard output the line
"connected" when the first picture is back and, once standard input is closed, one line of JSON: a `Record`.

The peer must not be what is measured. It encodes nothing, and it decodes a returned picture only to read its counter:
the first one, which shows from which sent picture the timestamps count, or all of them when asked to. aiortc's decoder
thread stays, with `Watcher` in the place of the decoder.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, cast, get_args
from unittest.mock import patch

import av
import httpx
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.codecs.base import Decoder
from aiortc.codecs.h264 import H264Decoder
from aiortc.codecs.vpx import Vp8Decoder
from aiortc.jitterbuffer import JitterFrame
from av.frame import Frame
from clip import CLOCK_HZ, HEIGHT_PX, RATE_HZ, TICKS, Codec, load_clip, read_counter
from record import Judged, Record, Returned

SETTLE_S = 0.5
"""Between "connected" and the first picture, so that the server's receiver surely gets it and counts from it."""
PING_S = 2.0


class ClipTrack(MediaStreamTrack):
    """Sends the encoded pictures at 30 Hz from the moment of connection, the clip over and over."""

    kind = "video"

    def __init__(self, pictures: tuple[bytes, ...], record: Record) -> None:
        super().__init__()
        self.connected = asyncio.Event()
        self._pictures = pictures
        self._record = record
        self._start_s = 0.0

    async def recv(self) -> "av.Packet[Any]":
        """The next picture, when its time has come."""
        number = len(self._record.sent_s)
        if number == 0:
            await self.connected.wait()
            self._start_s = time.monotonic() + SETTLE_S
        await asyncio.sleep(max(0.0, self._start_s + number / RATE_HZ - time.monotonic()))
        packet = av.Packet(self._pictures[number % len(self._pictures)])
        packet.pts, packet.time_base = number * TICKS, Fraction(1, CLOCK_HZ)
        self._record.sent_s.append(time.monotonic())
        return packet


class Watcher(Decoder):
    """Takes a decoder's place: notes every picture that comes back, gives none to the track."""

    def __init__(self, codec: Codec, record: Record, *, read_all: bool) -> None:
        self.first = asyncio.Event()
        self._decoder: Decoder = H264Decoder() if codec == "h264" else Vp8Decoder()
        self._loop = asyncio.get_running_loop()
        self._record = record
        self._read_all = read_all
        self._base: int | None = None

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        """Note the picture; called on aiortc's decoder thread."""
        at_s = time.monotonic()
        number = round(encoded_frame.timestamp / TICKS)
        counter = self._read(encoded_frame) if self._read_all or self._base is None else None
        if self._base is None and counter is not None:
            self._base = counter - number
            self._loop.call_soon_threadsafe(self.first.set)
        if self._base is not None:
            self._record.returned.append(Returned(at_s, self._base + number, len(encoded_frame.data), counter))
        return []

    def _read(self, encoded_frame: JitterFrame) -> int | None:
        for frame in self._decoder.decode(encoded_frame):
            luma = cast("av.VideoFrame", frame).to_ndarray()[:HEIGHT_PX]
            return read_counter(np.asarray(luma, np.uint8))
        return None


def note_result(record: Record, message: str | bytes) -> None:
    """Keep what the benchmark needs of a data channel's message; other types are passed over."""
    at_s = time.monotonic()
    envelope = json.loads(message)
    if envelope["type"] != "result":
        return
    value = envelope["value"]
    record.judged.append(
        Judged(
            at_s=at_s,
            number=round(value["pts"] / TICKS),
            latency_ms=value["latency_ms"],
            faces=len(value["faces"]),
            scored=any(face["score"] is not None for face in value["faces"]),
            state=value["state"],
            dropped_samples=value["dropped"]["samples"],
            error=value["error"],
        )
    )


@asynccontextmanager
async def signalled(connection: RTCPeerConnection, url: str) -> AsyncIterator[None]:
    """Offer the connection to the server; end the session where the server gave it an address, and close."""
    async with httpx.AsyncClient(timeout=30) as client:
        await connection.setLocalDescription(await connection.createOffer())
        local = connection.localDescription
        answer = await client.post(url, json={"sdp": local.sdp, "type": local.type})
        answer.raise_for_status()
        await connection.setRemoteDescription(RTCSessionDescription(**answer.json()))
        try:
            yield
        finally:
            if session := answer.headers.get("location"):
                await client.delete(str(httpx.URL(url).join(session)))
            await connection.close()


async def watch(url: str, clip: Path, codec: Codec, *, read_all: bool) -> Record:
    """Be a viewer until standard input is closed."""
    pictures = load_clip(clip)
    record = Record(len(pictures))
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    track = ClipTrack(pictures, record)
    transceiver = connection.addTransceiver(track, direction="sendrecv")
    offered = [
        each for each in RTCRtpSender.getCapabilities("video").codecs if each.mimeType.lower() == f"video/{codec}"
    ]
    transceiver.setCodecPreferences(offered)
    channel = connection.createDataChannel("results")
    channel.on("message", lambda message: note_result(record, message))

    @connection.on("connectionstatechange")
    def start() -> None:
        if connection.connectionState == "connected":
            track.connected.set()

    watcher = Watcher(codec, record, read_all=read_all)
    with patch("aiortc.rtcrtpreceiver.get_decoder", lambda _codec: watcher):
        async with signalled(connection, url):
            await asyncio.wait_for(watcher.first.wait(), timeout=30)
            print("connected", flush=True)
            closed = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
            while not closed.done():
                if channel.readyState == "open":
                    channel.send(json.dumps({"type": "ping", "value": {"id": len(record.sent_s)}}))
                await asyncio.wait([closed], timeout=PING_S)
    return record


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--codec", choices=get_args(Codec), required=True)
    parser.add_argument("--read-all", action="store_true", help="decode every returned picture and read its counter")
    arguments = parser.parse_args()
    seen = asyncio.run(watch(arguments.url, arguments.clip, arguments.codec, read_all=arguments.read_all))
    print(json.dumps(asdict(seen)))
