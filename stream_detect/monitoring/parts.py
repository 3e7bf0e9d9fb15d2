"""What a camera is made of, and what it needs of a reader."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from stream_detect.analysis.engine import Engine
from stream_detect.monitoring.observer import Observer, Viewing
from stream_detect.monitoring.supervisor import Clocks
from stream_detect.settings import MonitoringSettings
from stream_detect.sources.address import Address
from stream_detect.sources.reader import PacketTap, Picture, Reader, ReaderSettings


class PictureSource(Protocol):
    """An open `Reader`. Its attributes may be read, and `keyframes_only` set, from any thread."""

    keyframes_only: bool

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

    def pictures(self) -> Iterator[Picture]:
        """Each picture as it comes; ends when told to stop, raises `SourceError` when it ends otherwise."""
        ...


OpenReader = Callable[
    [Address, ReaderSettings, Event, Sequence[PacketTap]], AbstractContextManager[PictureSource, bool | None]
]
"""Address, limits, when to stop, who wants the packets -> a reader that opens on entering."""


@dataclass(frozen=True, slots=True)
class CameraParts:
    """What a camera is made of, next to its settings.

    Args:
        engine: gives it an analysis of its own.
        monitoring: time-outs and pauses.
        observer: is told of states and results.
        viewing: where its pictures go while somebody watches.
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
