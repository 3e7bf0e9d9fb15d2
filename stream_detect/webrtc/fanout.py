"""Fan-out: coded pictures enter from a studio's thread, each viewer of their codec is handed them on the event loop."""

import asyncio
from collections import deque
from typing import Protocol

from stream_detect.webrtc.lanes import Coded
from stream_detect.webrtc.offer import Codec
from stream_detect.webrtc.pace import shared_bitrate_bps

MAX_UNDELIVERED = 4
"""Coded pictures that may wait for the event loop; while they do, further ones are left out before they are encoded."""


class Viewer(Protocol):
    """Who watches. Used on the event loop."""

    @property
    def codec(self) -> Codec:
        """What it watches in."""
        ...

    @property
    def bitrate_bps(self) -> int:
        """What its line takes, as far as is known."""
        ...

    async def take(self, coded: Coded) -> None:
        """A picture for it; must neither wait nor raise: the others are next."""
        ...


class Fanout:
    """Hands pictures to viewers. Used on the event loop, but for what says otherwise."""

    def __init__(self) -> None:
        self._viewers: tuple[Viewer, ...] = ()
        self._codecs: frozenset[Codec] = frozenset()
        self._undelivered: deque[Coded] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def codecs(self) -> frozenset[Codec]:
        """Those that somebody watches in. Safe from any thread."""
        return self._codecs

    @property
    def is_free(self) -> bool:
        """Whether there is room for another picture. Safe from any thread."""
        return len(self._undelivered) < MAX_UNDELIVERED

    @property
    def viewers(self) -> tuple[Viewer, ...]:
        """Who watch now."""
        return self._viewers

    def deliver(self, coded: Coded) -> None:
        """Takes a picture, from any thread, and returns at once."""
        loop = self._loop
        if loop is not None:
            self._undelivered.append(coded)
            loop.call_soon_threadsafe(self._arrived.set)

    def attach(self, viewer: Viewer) -> None:
        """Pictures go to this viewer, too."""
        self._set((*self._viewers, viewer))
        if self._task is None:
            self._loop = asyncio.get_running_loop()
            self._task = self._loop.create_task(self._run(), name="fan-out")

    def detach(self, viewer: Viewer) -> None:
        """No more pictures for this one."""
        self._set(tuple(other for other in self._viewers if other is not viewer))
        if not self._viewers and self._task is not None:
            self._task.cancel()
            self._task = self._loop = None
            self._undelivered.clear()

    def bitrate_bps(self, codec: Codec) -> int | None:
        """What to encode for; None when nobody watches in this codec."""
        estimates_bps = [viewer.bitrate_bps for viewer in self._viewers if viewer.codec is codec]
        return shared_bitrate_bps(estimates_bps) if estimates_bps else None

    def _set(self, viewers: tuple[Viewer, ...]) -> None:
        self._viewers = viewers
        self._codecs = frozenset(viewer.codec for viewer in viewers)

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._undelivered:
                coded = self._undelivered.popleft()
                for viewer in self._viewers:
                    if viewer.codec is coded.codec:
                        await viewer.take(coded)
