"""Viewers of a camera in a process of their own: they receive over WHEP, decode next to nothing, and record what came.

It takes what to do and the address to offer to, and at the end writes a line of JSON to standard output:

    watch URL --viewers N            the line "connected" once all have a picture; when standard input is closed, for
                                     each viewer the times at which pictures were complete
    join URL --times N               seconds from each POST until a whole picture that decodes by itself was there
    study URL --camera ADDRESS --results ADDRESS
                                     "connected", then, when standard input is closed, a `Sight`: what the camera sent,
                                     what came back, and the results between them

aiortc's own receiver runs as ever, reports and all, but its decoder thread has a `Blind` in the place of the decoder. A
picture is complete when its last packet is there, as browsers take it.
"""

import argparse
import asyncio
import json
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from typing import Any
from unittest.mock import patch

import av
import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.codecs.base import Decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket
from av.frame import Frame
from clip import HEIGHT_PX, read_counter
from sight import Drawn, Judged, Numbered, Sight

from stream_detect.sources.address import parse_address
from stream_detect.sources.opening import ReaderSettings, open_source

FIRST_S = 30.0
PAUSE_S = (0.2, 0.8)
"""Between two joins, at random, so that they fall anywhere between two keyframes of the camera."""

NAL_MASK, NAL_IDR, START_CODE = 0x1F, 5, b"\0\0\0\1"

Complete = Callable[[bytes, float], None]


class Blind(Decoder):
    """Takes a decoder's place."""

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:  # noqa: ARG002 - Decoder's
        """Nothing."""
        return []


class Eye:
    """Puts one receiver's pictures together from their packets, beside aiortc's jitter buffer.

    Args:
        on_picture: takes each whole picture (Annex B) and the monotonic time of its last packet.
    """

    def __init__(self, on_picture: Complete) -> None:
        self._on_picture = on_picture
        self._parts: list[bytes] = []
        self._timestamp = -1

    def watch(self, receiver: RTCRtpReceiver) -> None:
        """Look at all packets of a receiver."""
        inner: Any = receiver
        handle = inner._handle_rtp_packet  # noqa: SLF001 - a benchmark's own reading of the wire

        async def seen(packet: RtpPacket, arrival_time_ms: int) -> None:
            await handle(packet, arrival_time_ms)
            self._take(packet)

        inner._handle_rtp_packet = seen  # noqa: SLF001

    def _take(self, packet: RtpPacket) -> None:
        at_s = time.monotonic()
        if packet.timestamp != self._timestamp:
            self._timestamp, self._parts = packet.timestamp, []
        self._parts.append(getattr(packet, "_data", b""))
        if packet.marker:
            self._on_picture(b"".join(self._parts), at_s)


def is_key(picture: bytes) -> bool:
    """Whether a picture (Annex B, H.264) decodes by itself."""
    return any(unit and unit[0] & NAL_MASK == NAL_IDR for unit in picture.split(START_CODE))


@asynccontextmanager
async def viewing(url: str, on_picture: Complete) -> AsyncIterator[float]:
    """One viewer, from its POST (whose monotonic time it gives) to its DELETE."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = connection.addTransceiver("video", direction="recvonly")
    offered = RTCRtpReceiver.getCapabilities("video")
    codecs = offered.codecs if offered else []
    transceiver.setCodecPreferences([each for each in codecs if each.mimeType in {"video/H264", "video/rtx"}])
    Eye(on_picture).watch(transceiver.receiver)
    async with httpx.AsyncClient(timeout=30) as client:
        await connection.setLocalDescription(await connection.createOffer())
        posted_s = time.monotonic()
        answer = await client.post(
            url, content=connection.localDescription.sdp, headers={"Content-Type": "application/sdp"}
        )
        answer.raise_for_status()
        await connection.setRemoteDescription(RTCSessionDescription(sdp=answer.text, type="answer"))
        try:
            yield posted_s
        finally:
            await client.delete(str(httpx.URL(url).join(answer.headers["location"])))
            await connection.close()


async def told_to_end() -> None:
    """Return when standard input is closed."""
    await asyncio.to_thread(sys.stdin.read)


async def watch(url: str, viewers: int) -> list[list[float]]:
    """Be so many viewers; times of each one's pictures."""
    times: list[list[float]] = [[] for _ in range(viewers)]
    async with AsyncExitStack() as stack:
        for own in times:
            first = asyncio.Event()

            def note(_picture: bytes, at_s: float, own: list[float] = own, first: asyncio.Event = first) -> None:
                own.append(at_s)
                first.set()

            await stack.enter_async_context(viewing(url, note))
            await asyncio.wait_for(first.wait(), FIRST_S)
        print("connected", flush=True)
        await told_to_end()
    return times


async def join(url: str, times: int) -> list[float]:
    """Come, see one picture that decodes by itself, and leave, again and again."""
    taken_s = []
    for _ in range(times):
        whole: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        def note(picture: bytes, at_s: float, whole: asyncio.Future[float] = whole) -> None:
            if not whole.done() and is_key(picture):
                whole.set_result(at_s)

        async with viewing(url, note) as posted_s:
            taken_s.append(await asyncio.wait_for(whole, FIRST_S) - posted_s)
        await asyncio.sleep(random.uniform(*PAUSE_S))  # noqa: S311 - no secret
    return taken_s


async def study(url: str, camera: str, results: str) -> Sight:
    """Be one viewer who reads every picture's number, beside the camera's own pictures and the server's results."""
    sight = Sight()
    decoder = av.CodecContext.create("h264", "r")
    first = asyncio.Event()

    def note(picture: bytes, at_s: float) -> None:
        first.set()
        for frame in decoder.decode(av.Packet(picture)):
            counter = _counter(frame)
            if counter is not None:
                sight.drawn.append(Drawn(at_s, counter))

    threading.Thread(target=_follow, args=(camera, sight), daemon=True).start()
    async with viewing(url, note):
        await asyncio.wait_for(first.wait(), FIRST_S)
        listening = asyncio.create_task(_listen(results, sight))
        print("connected", flush=True)
        await told_to_end()
        listening.cancel()
    return sight


def _follow(camera: str, sight: Sight) -> None:
    """Notes each picture as it leaves the camera; on a thread of its own."""
    opened = open_source(parse_address(camera, from_settings_file=False), ReaderSettings())
    for packet in opened.container.demux(opened.stream):
        at_s = time.monotonic()
        for frame in packet.decode():
            counter = _counter(frame)
            if counter is not None:
                sight.sent.append(Numbered(at_s, counter))


async def _listen(url: str, sight: Sight) -> None:
    async with httpx.AsyncClient(timeout=None) as client, client.stream("GET", url) as stream:  # noqa: S113 - endless
        kind = ""
        async for line in stream.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data" and kind == "result":
                result = json.loads(value)
                scored = any(face["score"] is not None for face in result["faces"])
                sight.judged.append(Judged(result["pts"], result["latency_ms"], scored))


def _counter(frame: av.VideoFrame) -> int | None:
    return read_counter(np.asarray(frame.to_ndarray()[:HEIGHT_PX], np.uint8))


async def main() -> Any:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["watch", "join", "study"])
    parser.add_argument("url")
    parser.add_argument("--viewers", type=int, default=1)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--camera", default="")
    parser.add_argument("--results", default="")
    given = parser.parse_args()
    av.logging.set_level(None)
    with patch("aiortc.rtcrtpreceiver.get_decoder", lambda _codec: Blind()):
        if given.what == "watch":
            return await watch(given.url, given.viewers)
        if given.what == "join":
            return await join(given.url, given.times)
        return asdict(await study(given.url, given.camera, given.results))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
