"""Decides whether the wall clock can be trusted when old data are to be deleted.

A machine without a battery may start in 1970 or in any other year; a year ahead, everything would be "too old" at once.
So the time is stored in a file of the storage folder, and after a jump nothing is deleted by age until the server has
run for a day, which is time to correct the clock or to read the log.
"""

import json
import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from stream_detect.errors import StorageError
from stream_detect.media.files import put_whole

FILE_NAME: Final = "stream-detect.clock"
JUMP_S: Final = 12 * 3600.0
"""Shorter steps are harmless: everything is kept for at least a day."""

HOLD_S: Final = 24 * 3600.0
OFF_S: Final = 7 * 24 * 3600.0
"""A machine that is off at night, or over a few days, must not wait for a whole day again each time: it would never
delete anything."""

_NOTE_EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


class RetentionClock:
    """Compares the wall clock with its stored time and with the monotonic clock. Thread-safe.

    A server that was off for longer than `JUMP_S` cannot be distinguished from a jump, so it also deletes nothing until
    it has run for a day; if it is off again meanwhile, for up to `OFF_S`, that day goes on afterwards.

    Args:
        folder: folder of the stored time, the server's own.
        is_new: nothing is stored yet, so no stored time is expected.
        wall: returns unix seconds.
        monotonic: returns monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        is_new: bool,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = folder / FILE_NAME
        self._wall = wall
        self._monotonic = monotonic
        self._lock = Lock()
        self._at_s, self._elapsed_s = wall(), monotonic()
        noted_s, self._hold_s = self._read(is_new=is_new)
        self._noted_at_s = -1e9
        if noted_s is None:
            self._jumped(math.inf, "no time was recorded for the data")
        elif abs(by_s := self._at_s - noted_s) > JUMP_S:
            self._jumped(by_s, f"the clock is {by_s / 3600:+.0f} h from the time that was noted last")
        self._note()

    def may_delete(self) -> bool:
        """Whether old data may be deleted. Blocks for the disk, at most once a minute."""
        with self._lock:
            at_s, elapsed_s = self._wall(), self._monotonic()
            ran_s = elapsed_s - self._elapsed_s
            drift_s = at_s - self._at_s - ran_s
            self._at_s, self._elapsed_s = at_s, elapsed_s
            self._hold_s = max(0.0, self._hold_s - ran_s)
            if abs(drift_s) > JUMP_S:
                self._jumped(drift_s, f"the clock jumped by {drift_s / 3600:+.0f} h")
            if elapsed_s - self._noted_at_s >= _NOTE_EVERY_S:
                self._note()
            return self._hold_s == 0.0

    def _jumped(self, by_s: float, why: str) -> None:
        if self._hold_s and 0 < by_s <= OFF_S:
            return
        self._hold_s = HOLD_S
        _log.warning("%s: nothing is deleted by its age for the next %.0f h", why, HOLD_S / 3600)

    def _read(self, *, is_new: bool) -> tuple[float | None, float]:
        """The last stored time, and how long deletion was suspended then."""
        try:
            noted = json.loads(self._path.read_text(encoding="ascii"))
            return float(noted["at_s"]), float(noted["hold_s"])
        except FileNotFoundError:
            return (self._at_s if is_new else None), 0.0
        except (OSError, ValueError, KeyError, TypeError):
            return None, 0.0

    def _note(self) -> None:
        self._noted_at_s = self._elapsed_s
        note = json.dumps({"at_s": self._at_s, "hold_s": self._hold_s})
        with suppress(StorageError):  # if the disk is full, the older time at worst looks like a jump
            put_whole(self._path, lambda path: _write(path, note))


def _write(path: Path, text: str) -> None:
    """Writes a file for the server's user only, like all files in the folder."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)
