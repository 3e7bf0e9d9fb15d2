"""A server under test as a child process: started, waited for, measured, stopped.

It has the address to offer to, the seconds until it was ready, and the CPU seconds and memory of the process and its
children, as the kernel counts them.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import httpx
import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "STREAM_DETECT_"
MAX_SESSIONS = 8
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.02
MEBIBYTE = 1 << 20
RAY_WORKER = "ray::Worker"
"""What Ray calls the process of a worker of ours; a process of its own that waits for work is a `ray::IDLE`."""


class ServerKind(StrEnum):
    """The two servers that are set side by side."""

    OURS = "ours"
    ECHO = "echo"


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process and its children hold at one moment.

    Args:
        cpu_s: user and system time since the start, seconds.
        rss_mb: resident memory, MiB.
        threads: running threads.
        files: open files and sockets.
    """

    cpu_s: float
    rss_mb: float
    threads: int
    files: int


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """User and system time of a server so far, by whose it is.

    Args:
        own_s: of its own process, seconds.
        workers_s: of its cluster's workers on this machine.
        others_s: of all other processes that it started: Ray's own.
    """

    own_s: float
    workers_s: float
    others_s: float

    def __sub__(self, earlier: "ProcessorTime") -> "ProcessorTime":
        return ProcessorTime(
            self.own_s - earlier.own_s, self.workers_s - earlier.workers_s, self.others_s - earlier.others_s
        )


class ServerUnderTest:
    """A running server.

    Args:
        kind: which one.
        folder: for its log; it also runs in there, away from any settings file of the user.
        settings: of ours, by their names in the environment less the prefix ("VIDEO__H264"); all others are defaults.
    """

    def __init__(self, kind: ServerKind, folder: Path, settings: Mapping[str, str]) -> None:
        self.kind = kind
        self.ready_s = 0.0
        port = _free_port()
        self.origin = f"http://127.0.0.1:{port}"
        self._log = folder / f"{kind}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        if kind is ServerKind.OURS:
            command = [sys.executable, str(ROOT / "server.py")]
            ours = {"SERVER__PORT": str(port), "WEBRTC__MAX_SESSIONS": str(MAX_SESSIONS), **settings}
            environment |= {PREFIX + name: value for name, value in ours.items()}
        else:
            command = [sys.executable, str(ROOT / "benchmarks/stock_echo.py"), "--port", str(port)]
        self._command, self._environment = command, environment
        self.start()

    @property
    def offer_url(self) -> str:
        """Where a peer posts its offer."""
        return self.origin + ("/webrtc/check" if self.kind is ServerKind.OURS else "/offer")

    def start(self) -> None:
        """Begins to start it; again, at the same port, after it ended."""
        self._started_s = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._log.parent, env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """Ends its process as kill -9 does."""
        self._process.kill()
        self._process.wait()

    def wait_ready(self) -> Self:
        """Return once `/readyz` says 200; sets `ready_s`, counted from the start of the process.

        Raises:
            RuntimeError: it ended, or was not ready in five minutes; the message has the end of its log.
        """
        with httpx.Client(timeout=5) as client:
            while (elapsed_s := time.monotonic() - self._started_s) < START_TIMEOUT_S and self._process.poll() is None:
                try:
                    if client.get(f"{self.origin}/readyz").status_code == httpx.codes.OK:
                        self.ready_s = time.monotonic() - self._started_s
                        return self
                except httpx.TransportError:
                    pass  # not listening yet
                time.sleep(POLL_S)
        raise RuntimeError(
            f"expected {self.kind} to be ready, waited {elapsed_s:.0f} s, exit status {self._process.poll()}; "
            "its log ends:\n" + self._log.read_text(errors="replace")[-2000:]
        )

    def footprint(self) -> Footprint:
        """Of the process and its children, now."""
        first = psutil.Process(self._process.pid)
        family = [first, *first.children(recursive=True)]
        ended = first.cpu_times()
        return Footprint(
            cpu_s=ended.children_user + ended.children_system + sum(sum(each.cpu_times()[:2]) for each in family),
            rss_mb=sum(each.memory_info().rss for each in family) / MEBIBYTE,
            threads=sum(each.num_threads() for each in family),
            files=sum(each.num_fds() for each in family),
        )

    def processor_time(self) -> ProcessorTime:
        """Of the process, and of those that it started and that have not ended."""
        first = psutil.Process(self._process.pid)
        spent = [(each.name(), sum(each.cpu_times()[:2])) for each in first.children(recursive=True)]
        workers_s = sum(seconds for name, seconds in spent if name.startswith(RAY_WORKER))
        return ProcessorTime(sum(first.cpu_times()[:2]), workers_s, sum(seconds for _, seconds in spent) - workers_s)

    def stop(self) -> None:
        """End the process: kindly, then by force."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(kind: ServerKind, folder: Path, settings: Mapping[str, str]) -> Iterator[ServerUnderTest]:
    """A server that is ready, stopped at the end."""
    server = ServerUnderTest(kind, folder, settings)
    try:
        yield server.wait_ready()
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
