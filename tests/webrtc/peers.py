"""Viewers and publishers of a camera, as real aiortc connections; and a camera with numbered frames."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import is_rtcp

from stream_detect.webrtc.aiortc_private.connection import close
from tests.patience import PATIENCE_S, soon

BIT_PX = 16
BITS = 12


def numbered(number: int, wh: tuple[int, int] = (320, 240)) -> av.VideoFrame:
    """A grey frame of moving squares, with its number in black and white squares along the lower edge."""
    rows, columns = np.mgrid[: wh[1], : wh[0]]
    luma = np.where(((columns + number) // 8 + rows // 8) % 2, 60, 200).astype(np.uint8)
    for bit in range(BITS):
        luma[-BIT_PX:, bit * BIT_PX : (bit + 1) * BIT_PX] = 235 if number >> bit & 1 else 16
    frame = av.VideoFrame.from_ndarray(luma, format="gray").reformat(format="yuv420p")
    frame.pts, frame.time_base = number * 3600, Fraction(1, 90_000)
    return frame


def number_of(frame: av.VideoFrame) -> int:
    """The number drawn by `numbered`."""
    luma = frame.reformat(format="gray").to_ndarray()
    row = frame.height - BIT_PX // 2
    return sum(int(luma[row, bit * BIT_PX + BIT_PX // 2] > 128) << bit for bit in range(BITS))


class ShownCamera:
    """Sends numbered frames to a hub from its own thread, like a camera, while there are viewers."""

    def __init__(self, hub: Any, fps: float = 25.0) -> None:
        self.shown = 0
        self._hub, self._fps = hub, fps
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shown camera")
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(1 / self._fps):
            if self._hub.viewers:
                self._hub.show(numbered(number % (1 << BITS)))
                self.shown += 1
            number += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class End:
    """Common part of viewers and publishers: a connection, with simulated loss."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    @property
    def transport(self) -> Any:
        (transceiver,) = self.connection.getTransceivers()
        return transceiver.receiver.transport.transport

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))

    async def until(self, holds: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        await soon(holds, within_s)

    def vanish(self) -> None:
        """Neither sends nor receives anything from now on."""

        async def nothing(_data: bytes) -> None:
            return

        self.transport._send = nothing
        self.transport._connection.send = nothing
        self.lose(1.0)

    def lose(self, share: float, seed: int = 7) -> None:
        """Loses this share of incoming media packets."""
        dice = random.Random(seed)  # noqa: S311
        receive = self.transport._recv

        async def lossy() -> bytes:
            while True:
                data = await receive()
                if not 127 < data[0] < 192 or is_rtcp(data) or dice.random() >= share:
                    return data

        self.transport._recv = lossy


class Screen(End):
    """A viewer that records the number and the time of arrival of every frame."""

    def __init__(self, *codecs: str) -> None:
        super().__init__()
        self.numbers: list[int] = []
        self.arrivals_s: list[float] = []
        self.codec: str | None = None
        self._readers: list[asyncio.Task[None]] = []
        transceiver = self.connection.addTransceiver("video", direction="recvonly")
        transceiver.setCodecPreferences(
            [c for c in RTCRtpSender.getCapabilities("video").codecs if c.name in {*(codecs or ("H264",)), "rtx"}]
        )
        self.connection.on("track", lambda track: self._readers.append(asyncio.create_task(self._read(track))))

    async def _read(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame)
                self.numbers.append(number_of(frame))
                self.arrivals_s.append(time.monotonic())
        except MediaStreamError:
            pass

    async def watch(self, viewers: Any, camera: str = "door") -> str:
        """Opens a session; returns its id."""
        answer = await viewers.answer(camera, await self.offer())
        await self.accept(answer.sdp)
        return answer.session_id

    async def more(self, count: int) -> list[int]:
        """The numbers of the next frames."""
        seen = len(self.numbers)
        await self.until(lambda: len(self.numbers) >= seen + count)
        return self.numbers[seen:]

    async def close(self) -> None:
        await close(self.connection)
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


class Publisher(End):
    """Sends a track of numbered frames."""

    def __init__(self, track: MediaStreamTrack, codec: str = "H264") -> None:
        super().__init__()
        self.track = track
        transceiver = self.connection.addTransceiver(track, direction="sendonly")
        transceiver.setCodecPreferences(
            [c for c in RTCRtpSender.getCapabilities("video").codecs if c.name in {codec, "rtx"}]
        )

    async def publish(self, publishers: Any, sink: Any, camera: str = "street") -> str:
        """Opens a session; its id."""
        answer = await publishers.answer(camera, await self.offer(), sink)
        await self.accept(answer.sdp)
        return answer.session_id

    async def close(self) -> None:
        await close(self.connection)
        self.track.stop()
