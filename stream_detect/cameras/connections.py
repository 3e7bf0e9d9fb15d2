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
    """Arrival of the newest packet in monotonic seconds; long ago before the first."""

    @property
    def codec(self) -> str:
        """FFmpeg's name of the codec."""
        ...

    @property
    def decode_errors(self) -> int:
        """Number of decoding errors so far."""
        ...

    @property
    def received_bytes(self) -> int:
        """Number of bytes received so far."""
        ...

    @property
    def trouble(self) -> str:
        """Why frames are missing although packets arrive, and how to fix it; empty if all is well."""
        ...

    def pictures(self) -> Iterator[SourceFrame]:
        """Yields frames as they arrive; returns when told to stop, raises `SourceError` if it ends otherwise."""
        ...


OpenReader = Callable[
    [Address, ReaderSettings, Event, Sequence[PacketTap], Position], AbstractContextManager[FrameSource, bool | None]
]
"""Makes a reader, which opens when entered, from: address, limits, stop event, packet taps, position in an HLS stream.
"""


@dataclass(frozen=True, slots=True)
class CameraParts:
    """Parts of a camera, in addition to its settings.

    Args:
        engine: makes its analysis.
        monitoring: time-outs and pauses.
        observer: is notified of states and results.
        viewing: receives its frames while somebody watches.
        taps: returns the receivers of its packets by its name; called for each connection.
        open_reader: makes a reader; a scripted one in tests.
        clocks: the clocks.
    """

    engine: Engine
    monitoring: MonitoringSettings
    observer: Observer
    viewing: Viewing
    taps: Callable[[str], Sequence[PacketTap]] = lambda _name: ()
    open_reader: OpenReader = Reader
    clocks: Clocks = Clocks(time.monotonic, time.time, random.random)  # noqa: RUF009 - frozen


MAX_HANGING = 3
"""Limit of threads that hang in a read before no further connection is tried, so that they do not pile up."""

log = logging.getLogger(__name__)


class Connections:
    """The connections of one camera, newest last; one that hangs is abandoned.

    `begin` must be called by one thread at a time.

    Args:
        camera: name of the camera.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._threads: list[Thread] = []

    @property
    def hang(self) -> bool:
        """Whether so many connections hang that no other one must be started."""
        return sum(thread.is_alive() for thread in self._threads) >= MAX_HANGING

    @property
    def newest(self) -> Thread | None:
        """Thread of the newest one; None before the first, and on that thread itself, which cannot wait for its end."""
        thread = self._threads[-1] if self._threads else None
        return None if thread is current_thread() else thread

    def begin(
        self,
        open_reader: Callable[[], AbstractContextManager[FrameSource, bool | None]],
        take: Callable[[FrameSource], SourceError],
        failed: Callable[[SourceError], None],
    ) -> None:
        """Starts a connection; returns at once.

        Args:
            open_reader: makes the reader, which opens when entered; called on the connection's thread.
            take: processes its frames; returns why there are no more.
            failed: called with the reason for its end.
        """
        # A daemon, so that a read that never returns cannot keep the process alive.
        thread = Thread(
            target=self._connect, args=(open_reader, take, failed), name=f"camera {self._camera}", daemon=True
        )
        self._threads = [*(thread for thread in self._threads if thread.is_alive()), thread]
        thread.start()

    def wait(self, thread: Thread, deadline_s: float) -> None:
        """Waits for the end of a thread until a time (monotonic); then abandons it."""
        thread.join(max(deadline_s - time.monotonic(), 0.0))
        if thread.is_alive():
            log.warning("camera %s: its connection did not end in time and is abandoned", self._camera)

    def _connect(
        self,
        open_reader: Callable[[], AbstractContextManager[FrameSource, bool | None]],
        take: Callable[[FrameSource], SourceError],
        failed: Callable[[SourceError], None],
    ) -> None:
        """The thread of a connection."""
        try:
            with open_reader() as reader:
                # Before the reader is closed, because closing the connection to a dead server takes time.
                failed(take(reader))
        except SourceError as error:
            failed(error)
        except Exception as error:  # noqa: BLE001 - the thread's edge: whatever fails, the camera is tried again
            details = redacted("".join(traceback.format_exception(error)))
            log.error(  # noqa: TRY400 - the exception itself may carry the address with its password
                "camera %s: unexpected %s\n%s", self._camera, type(error).__name__, details
            )
            failed(SourceError(f"unexpected {type(error).__name__}"))
