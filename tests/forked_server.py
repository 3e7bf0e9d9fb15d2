"""Server processes that are forked from one that has imported the server, so that a start costs half as much.

Each has its own environment, folder, memory, threads and signals, and runs the same command as `python server.py`. What
only a fresh interpreter shows (imports, processor time, memory) is tested with `command=FRESH` of `running_server`.
"""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
from io import TextIOWrapper
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTED = [
    "stream_detect.app.server",
    "stream_detect.app.service",
    "stream_detect.cli",
    "stream_detect.models.openvino",
    "stream_detect.settings.file",
    "stream_detect.storage.migrations",
    "httpcore",
    "pydantic.v1",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvloop",
]
"""None of these starts a thread of Python or of OpenVINO."""

_forks = multiprocessing.get_context("forkserver")


class ForkedServer:
    """A process of `stream-detect serve`, with those methods of `subprocess.Popen` that tests use.

    Args:
        environment: all its environment variables.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        _forks.set_forkserver_preload(IMPORTED)
        reading, writing = _forks.Pipe(duplex=False)
        self._process = _forks.Process(target=_serve, args=(environment, writing))
        self._process.start()
        writing.close()
        self.stderr = TextIOWrapper(os.fdopen(os.dup(reading.fileno()), "rb"), errors="replace")
        reading.close()

    @property
    def pid(self) -> int:
        """Its process number."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end, and returns its exit status.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        self._process.join(timeout)
        if (status := self.poll()) is None:
            raise subprocess.TimeoutExpired("stream-detect serve", timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)


def _serve(environment: dict[str, str], stderr: Connection) -> None:
    gc.freeze()  # what was imported is not searched for garbage again
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    os.dup2(stderr.fileno(), 2)
    stderr.close()
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    from stream_detect.cli import main  # noqa: PLC0415 - imported where it is forked from, and not in the tests

    main(["serve"])
