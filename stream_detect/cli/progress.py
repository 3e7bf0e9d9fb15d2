"""Progress of `analyze`: bars with the remaining time on a terminal, otherwise plain lines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

_PLAIN_EVERY_S = 15.0
_NAME_COLUMNS = 40
_MOST_BARS = 16


class ProgressReporter(Protocol):
    """Shows the progress of files. Thread-safe."""

    def share(self, number: int, share: float) -> None:
        """A file, by its number from 0, is done to this share."""
        ...

    def done(self, number: int, line: str) -> None:
        """A file is done; prints a line with the result, unless it is empty."""
        ...


@contextmanager
def reporting(names: list[str], lines: TextIO, screen: TextIO) -> Iterator[ProgressReporter]:
    """Chooses how to show progress.

    Args:
        names: names of the files.
        lines: stream for results.
        screen: stream for progress.
    """
    if not screen.isatty():
        yield _Plain(names, lines, screen)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(file=screen), transient=True) as progress:
        yield _Bars(names, lines, progress)


class _Bars:
    """A bar for each running file, and one for all."""

    def __init__(self, names: list[str], lines: TextIO, progress: Progress) -> None:
        self._names = names
        self._lines = lines
        self._progress = progress
        self._all = progress.add_task(f"{len(names)} files", total=len(names), visible=len(names) > 1)
        self._bars: dict[int, TaskID] = {}
        self._ended: set[int] = set()
        self._shares: dict[int, float] = {}
        self._over = 0
        self._lock = Lock()

    def share(self, number: int, share: float) -> None:
        with self._lock:
            if number in self._ended:
                return
            self._shares[number] = share
            if number not in self._bars and len(self._bars) < _MOST_BARS:
                self._bars[number] = self._progress.add_task(_short(self._names[number]), total=1.0)
            if number in self._bars:
                self._progress.update(self._bars[number], completed=share)
            if share >= 1.0:
                self._end(number)
            self._progress.update(self._all, completed=self._over + sum(self._shares.values()))

    def done(self, number: int, line: str) -> None:
        with self._lock:
            self._end(number)
            self._progress.update(self._all, completed=self._over + sum(self._shares.values()))
        if not line:
            return
        if self._lines.isatty():  # the bars' own screen: print above them
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            self._lines.write(f"{line}\n")

    def _end(self, number: int) -> None:
        if number not in self._ended:
            self._ended.add(number)
            self._over += 1
            self._shares.pop(number, None)
            if number in self._bars:
                self._progress.remove_task(self._bars.pop(number))


class _Plain:
    """A line for each finished file, and now and then the progress of a long one."""

    def __init__(self, names: list[str], lines: TextIO, screen: TextIO) -> None:
        self._names = names
        self._lines = lines
        self._screen = screen
        self._began_s: dict[int, float] = {}
        self._shown_s = time.monotonic()
        self._lock = Lock()

    def share(self, number: int, share: float) -> None:
        now_s = time.monotonic()
        with self._lock:
            took_s = now_s - self._began_s.setdefault(number, now_s)
            if now_s - self._shown_s < _PLAIN_EVERY_S or not 0 < share < 1:
                return
            self._shown_s = now_s
            left_s = took_s * (1 - share) / share
            self._screen.write(f"{self._names[number]}: {share:.0%}, about {left_s:.0f} s left\n")
            self._screen.flush()

    def done(self, number: int, line: str) -> None:
        with self._lock:
            self._began_s.pop(number, None)
            if line:
                self._lines.write(f"{line}\n")
                self._lines.flush()


def _short(name: str) -> str:
    return name if len(name) <= _NAME_COLUMNS else f"...{name[3 - _NAME_COLUMNS :]}"
