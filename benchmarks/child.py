"""A script of this folder as a child process that is started, spoken to line by line, and ended.

Scripts say one word when they are ready, and what they saw, in one line, when their standard input ends.
"""

import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]

STOP_TIMEOUT_S = 30.0


class Child:
    """A running script, killed at the end of its context unless it left before.

    Args:
        script: its file's name.
        arguments: of it.
    """

    def __init__(self, script: str, *arguments: str) -> None:
        self._script = script
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(script)), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._process as process:
            process.kill()

    def wait_for(self, word: str) -> None:
        """Return once it says that it is ready; it gives up by itself.

        Raises:
            RuntimeError: it did; why is on standard error.
        """
        if self._line() != word:
            raise RuntimeError(f"expected {self._script} to say {word}, it ended with status {self._process.wait()}")

    def ask(self) -> str:
        """What it has to say now."""
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        return self._line()

    def cpu_s(self) -> float:
        """User and system time so far, seconds."""
        return float(sum(psutil.Process(self._process.pid).cpu_times()[:2]))

    def leave(self, timeout_s: float = STOP_TIMEOUT_S) -> str:
        """Let it end what it is at; what it saw."""
        output, _ = self._process.communicate(input="", timeout=timeout_s)
        return str(output.splitlines()[-1])

    def _line(self) -> str:
        return self._process.stdout.readline().strip() if self._process.stdout else ""
