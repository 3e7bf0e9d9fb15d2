"""Connections: what opens a camera enters; each attempt reads on a thread of its own, and why it ended leaves."""

import logging
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Thread, current_thread

from stream_detect.errors import SourceError
from stream_detect.monitoring.parts import PictureSource
from stream_detect.sources.address import redacted

MAX_HANGING = 3
"""Threads left behind in a read that never returns before no further connection is tried: they must not pile up."""

log = logging.getLogger(__name__)


class Connections:
    """Those of one camera, the newest last; one that hangs is left behind. `begin` is called by one thread at a time.

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
        open_reader: Callable[[], AbstractContextManager[PictureSource, bool | None]],
        take: Callable[[PictureSource], SourceError],
        failed: Callable[[SourceError], None],
    ) -> None:
        """Begins one; returns at once.

        Args:
            open_reader: makes the reader, which opens on entering; called on the connection's thread.
            take: takes its pictures; returns why there are no more.
            failed: is told why it ended.
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
        open_reader: Callable[[], AbstractContextManager[PictureSource, bool | None]],
        take: Callable[[PictureSource], SourceError],
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
