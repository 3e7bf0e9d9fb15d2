"""The floor's process as an object: started on the same streams as the server, asked what it did, weighed, ended."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]

SCRIPT = Path(__file__).with_name("floor.py")
STOP_TIMEOUT_S = 10.0

Done = tuple[int, int]
"""Pictures decoded and samples taken of one stream, so far."""


class Reference:
    """A running `floor.py`, ended with its context.

    Args:
        addresses: of the streams.
        every: each such picture is a sample.
    """

    def __init__(self, addresses: Sequence[str], every: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *addresses, "--every", str(every)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._process as process:
            process.kill()

    def wait_ready(self) -> None:
        """Return once it decodes all streams.

        Raises:
            RuntimeError: it cannot.
        """
        if self._line() != "ready":
            raise RuntimeError(f"expected the floor to be ready, its process ended with {self._process.wait()}")

    def cpu_s(self) -> float:
        """User and system time so far, seconds."""
        return float(sum(psutil.Process(self._process.pid).cpu_times()[:2]))

    def done(self) -> list[Done]:
        """What it did so far, one item a stream."""
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        return [(pictures, samples) for pictures, samples in json.loads(self._line())]

    def _line(self) -> str:
        return self._process.stdout.readline().strip() if self._process.stdout else ""
