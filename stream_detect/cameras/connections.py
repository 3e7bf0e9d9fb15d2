"""The connections of one camera: each attempt opens and reads its source on its own thread."""

import logging
import random
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Event, Thread, current_thread
from typing import Protocol

from stream_detect.analysis.engine import Engine
from stream_detect.cameras.observer import Observer, Viewing
from stream_detect.cameras.supervisor import Clocks
from stream_detect.errors import SourceError
from stream_detect.settings import MonitoringSettings
from stream_detect.sources.address import Address, redacted
from stream_detect.sources.hls import Position
from stream_detect.sources.reader import PacketTap, Reader, ReaderSettings, SourceFrame


class FrameSource(Protocol):
    """An open `Reader`. Its attributes may be read, and `keyframes_only` set, from any thread."""

    keyframes_only: bool
    packet_s: float
    """Monotonic seconds of the newest packet; long ago before the first."""

    @property
    def codec(self) -> str:
        """As FFmpeg names it."""
        ...

    @property
    def decode_errors(self) -> int:
        """So far."""
        ...

    @property
    def received_bytes(self) -> int:
        """So far."""
        ...

    @property
    def trouble(self) -> str:
        """Why frames are missing while packets come, and what mends it; empty when all is well."""
        ...

    def pictures(self) -> Iterator[SourceFrame]:
        """Each frame as it comes; ends when it is to stop, raises `SourceError` when it ends otherwise."""
        ...


OpenReader = Callable[
    [Address, ReaderSettings, Event, Sequence[PacketTap], Position], AbstractContextManager[FrameSource, bool | None]
]
"""Address, limits, when to stop, who wants the packets, how far an HLS stream was played -> a reader that opens on
entering."""


@dataclass(frozen=True, slots=True)
class CameraParts:
    """What a camera is made of, next to its settings.

    Args:
        engine: gives it an analysis of its own.
        monitoring: time-outs and pauses.
        observer: is notified of states and results.
        viewing: where its frames go while somebody watches.
        taps: who wants its packets, by its name; asked at each connection.
        open_reader: makes a reader; a scripted one in tests.
        clocks: what the time is.
    """

    engine: Engine
    monitoring: MonitoringSettings
    observer: Observer
    viewing: Viewing
    taps: Callable[[str], Sequence[PacketTap]] = lambda _name: ()
    open_reader: OpenReader = Reader
    clocks: Clocks = Clocks(time.monotonic, time.time, random.random)  # noqa: RUF009 - frozen


MAX_HANGING = 3
"""Threads left behind in a read that never returns before no further connection is tried: they must not pile up."""

log = logging.getLogger(__name__)


class Connections:
    """The connections of one camera, the newest last; one that hangs is left behind.

    `begin` is called by one thread at a time.

    Args:
        camera: its name.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._threads: list[Thread] = []

    @property
    def hang(self) -> bool:
        """Whether so many do not end that no further one is to begin."""
        return sum(thread.is_alive() for thread in self._threads) >= MAX_HANGING

    @property
    def newest(self) -> Thread | None:
        """The thread of the newest; None before the first, and on that thread itself, which cannot wait for its end."""
        thread = self._threads[-1] if self._threads else None
        return None if thread is current_thread() else thread

    def begin(
        self,
        open_reader: Callable[[], AbstractContextManager[FrameSource, bool | None]],
        take: Callable[[FrameSource], SourceError],
        failed: Callable[[SourceError], None],
    ) -> None:
        """Begins one; returns at once.

        Args:
            open_reader: makes the reader, which opens on entering; called on the connection's thread.
            take: takes its frames; returns why there are no more.
            failed: is given the reason of its end.
        """
        # A daemon only so that a read that never returns cannot keep the process from ending.
        thread = Thread(
            target=self._connect, args=(open_reader, take, failed), name=f"camera {self._camera}", daemon=True
        )
        self._threads = [*(thread for thread in self._threads if thread.is_alive()), thread]
        thread.start()

    def wait(self, thread: Thread, deadline_s: float) -> None:
        """Waits for the end of one, until a time (monotonic); then it is left behind."""
        thread.join(max(deadline_s - time.monotonic(), 0.0))
        if thread.is_alive():
            log.warning("camera %s: its connection did not end in time and is left behind", self._camera)

    def _connect(
        self,
        open_reader: Callable[[], AbstractContextManager[FrameSource, bool | None]],
        take: Callable[[FrameSource], SourceError],
        failed: Callable[[SourceError], None],
    ) -> None:
        """The thread of a connection."""
        try:
            with open_reader() as reader:
                # Said before the reader is closed: taking leave of a dead server takes its time.
                failed(take(reader))
        except SourceError as error:
            failed(error)
        except Exception as error:  # noqa: BLE001 - the thread's edge: whatever fails, the camera is tried again
            details = redacted("".join(traceback.format_exception(error)))
            log.error(  # noqa: TRY400 - the exception itself may carry the address with its password
                "camera %s: unexpected %s\n%s", self._camera, type(error).__name__, details
            )
            failed(SourceError(f"unexpected {type(error).__name__}"))
