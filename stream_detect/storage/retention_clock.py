"""Decides whether the wall clock can be trusted when old data are to be deleted.

A machine without a battery may start in 1970 or in any other year; a year ahead, everything would be "too old" at once.
So the time is stored in a file of the storage folder, and after a jump nothing is deleted by age until the server has
run for a day, which is time to correct the clock or to read the log.
"""

import json
import logging
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
"""A shorter step deletes nothing much too early: all that is kept, is kept for a day at least."""

HOLD_S: Final = 24 * 3600.0
_NOTE_EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


class RetentionClock:
    """Compares the wall clock with what was noted, and with the monotonic clock while the process runs. Thread-safe.

    A server that was off for longer than `JUMP_S` cannot be distinguished from a jump: it deletes nothing for a day
    either.

    Args:
        folder: of the note; the server's own.
        is_new: nothing is kept yet, so that no note is expected.
        wall: unix seconds.
        monotonic: seconds.
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
            self._jumped("no time was recorded for the data")
        elif abs(self._at_s - noted_s) > JUMP_S:
            self._jumped(f"the clock is {(self._at_s - noted_s) / 3600:+.0f} h from the time that was noted last")
        self._note()

    def may_delete(self) -> bool:
        """Whether things may be deleted because they are old. Blocks for the disk, once a minute at most."""
        with self._lock:
            at_s, elapsed_s = self._wall(), self._monotonic()
            ran_s = elapsed_s - self._elapsed_s
            drift_s = at_s - self._at_s - ran_s
            self._at_s, self._elapsed_s = at_s, elapsed_s
            self._hold_s = max(0.0, self._hold_s - ran_s)
            if abs(drift_s) > JUMP_S:
                self._jumped(f"the clock jumped by {drift_s / 3600:+.0f} h")
            if elapsed_s - self._noted_at_s >= _NOTE_EVERY_S:
                self._note()
            return self._hold_s == 0.0

    def _jumped(self, why: str) -> None:
        self._hold_s = HOLD_S
        _log.warning("%s: nothing is deleted by its age for the next %.0f h", why, HOLD_S / 3600)

    def _read(self, *, is_new: bool) -> tuple[float | None, float]:
        """The time noted last, and for how long nothing was to be deleted then."""
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
        with suppress(StorageError):  # a full disk: the older note makes a jump of it at worst
            put_whole(self._path, lambda path: _write(path, note))


def _write(path: Path, text: str) -> None:
    """For the server's user alone, as all in the folder."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)
