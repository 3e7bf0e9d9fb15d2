"""`watcher.py`'s processes as objects: started, told to leave, what they saw."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

SCRIPT = Path(__file__).with_name("watcher.py")
STOP_TIMEOUT_S = 30.0


class Watchers:
    """A process of viewers, killed at the end of its context unless it left before.

    Args:
        arguments: of `watcher.py`.
    """

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._process as process:
            process.kill()

    def wait_connected(self) -> None:
        """Return once all of its viewers have a picture.

        Raises:
            RuntimeError: they have none; why is on standard error.
        """
        line = self._process.stdout.readline() if self._process.stdout else ""
        if line.strip() != "connected":
            raise RuntimeError(f"expected viewers to connect, their process ended with {self._process.wait()}")

    def leave(self, timeout_s: float = STOP_TIMEOUT_S) -> Any:
        """Let them hang up, or end what they are at; what they saw."""
        output, _ = self._process.communicate(input="", timeout=timeout_s)
        return json.loads(output.splitlines()[-1])
