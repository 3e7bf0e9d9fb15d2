"""The processes that examine files, on the parent's side: started when needed, supervised, ended and replaced."""

import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import stream_detect
from stream_detect import errors
from stream_detect.errors import ReviewCancelledError, ReviewCrashedError, ReviewError, StreamDetectError
from stream_detect.jobs.child import (
    ALIVE,
    ERROR,
    GO_ON,
    HEADER,
    JOB,
    LAST,
    NUMBER,
    OPENING,
    READY,
    RESULT,
    SETTINGS,
    STOP,
)
from stream_detect.review.examination import Hooks
from stream_detect.review.models import ExaminationSettings
from stream_detect.review.packing import unpack
from stream_detect.review.results import Reviewed

IDLE_S = 20.0
"""A process without a job for this time ends: its models take some 200 MB, and load in about a second."""

_LONGER_S = 5.0
"""How much longer a process waits for a job than the server keeps it."""

STOP_WITHIN_S = 1.0
"""A cancelled job ends between two packets; if it does not end within this time, it is killed."""

_ASK_EVERY_S = 0.1
_START_WITHIN_S = 120.0
"""Time limit for the process to start and to load models."""

_CHUNK_BYTES = 1 << 16
MAX_RESULTS_BYTES = 1 << 29
"""Maximum size of results: an hour of a crowd takes some 50 MB."""

_UNFORESEEN = "this failed unexpectedly; the log says more"
_PRIVATE = ("STREAM_DETECT_", "RAY_")
"""Prefixes of environment variables that are hidden from a process that reads untrusted files, because settings and a
cluster's token are secrets."""

log = logging.getLogger(__name__)


class ReviewProcesses:
    """One process per running job, reused for the next file. Thread-safe; calls block.

    Args:
        settings: passed to the processes.
    """

    def __init__(self, settings: ExaminationSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._closed = False

    def review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> Reviewed:
        """Examines a file, like `review.examination.examine`.

        Raises:
            ReviewCrashedError: its process ended, or was killed because it made no progress.
            StreamDetectError: see `examine`.
        """
        return unpack(self.packed_review(file, models, rate_hz, hooks))

    def packed_review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> bytes:
        """Like `review`, in the form of `review.packing`."""
        job = {"kind": "review", "file": str(file), "models": list(models), "rate_hz": rate_hz}
        return self._ask(job, hooks)

    def annotate(self, file: Path, to: Path, results: Path, model: str, hooks: Hooks) -> None:
        """Draws the annotated video or picture, like `review.annotated_video.annotate`.

        Raises:
            ReviewCrashedError: the process ended.
            StreamDetectError: see `annotate`.
        """
        job = {"kind": "annotate", "file": str(file), "to": str(to), "results": str(results), "model": model}
        self._ask(job, hooks)

    def close(self) -> None:
        """Ends all processes, including those with a job."""
        with self._lock:
            self._closed = True
            processes = list(self._all)
            self._all.clear()
            self._idle.clear()
        for process in processes:
            process.kill()

    def _ask(self, job: dict[str, Any], hooks: Hooks) -> bytes:
        process = self._taken()
        try:
            content = process.ask(job, hooks)
        finally:
            with self._lock:
                if process.is_usable and not self._closed:
                    self._idle.append(process)
                else:
                    self._all.discard(process)
                    process.kill()
        hooks.on_progress(1.0)
        return content

    def _taken(self) -> "_Process":
        with self._lock:
            if self._closed:
                raise ReviewCancelledError("the server is shutting down")
            while self._idle:
                process = self._idle.pop()
                if process.is_usable:
                    return process
                self._all.discard(process)
                process.kill()
            process = _Process(self._settings)
            self._all.add(process)
            return process


class _Process:
    """One process. Used by one thread at a time, except for `kill`.

    Args:
        settings: passed to it.
    """

    def __init__(self, settings: ExaminationSettings) -> None:
        self._stall_s = settings.review.stall_s
        self._number = 0
        self._received = bytearray()
        self._killed = False
        root = str(Path(stream_detect.__file__).parents[1])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "stream_detect.jobs.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment | {"PYTHONPATH": path},
        )
        given = {"settings": settings.model_dump(mode="json"), "idle_s": IDLE_S + _LONGER_S}
        self._send(SETTINGS, json.dumps(given).encode())
        self._is_opening = False
        self._is_busy = False
        self._is_last = False
        self._idle_since_s: float | None = None

    @property
    def is_usable(self) -> bool:
        """Whether it runs and can take a job."""
        idle = self._idle_since_s is not None and time.monotonic() - self._idle_since_s > IDLE_S
        return not self._killed and not self._is_last and not idle and self._process.poll() is None

    def ask(self, job: Mapping[str, Any], hooks: Hooks) -> bytes:
        """Runs a job in it.

        Raises:
            ReviewCrashedError: it ended, or was killed because it made no progress.
            ReviewCancelledError: the job was cancelled.
            StreamDetectError: the error of the job.
        """
        self._number += 1
        try:
            self._send(JOB, json.dumps({**job, "number": self._number}).encode())
            return self._watched(hooks)
        except _EndedError:
            self.kill()
            if hooks.cancelled():
                raise ReviewCancelledError("cancelled") from None
            raise ReviewCrashedError(self._reason()) from None
        except BaseException:
            if self._is_busy:
                self.kill()
            raise

    def kill(self) -> None:
        """Ends it at once."""
        self._killed = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _watched(self, hooks: Hooks) -> bytes:
        self._is_busy, self._is_opening = True, False
        alive_s, stopped_s = time.monotonic(), None
        while True:
            frame = self._receive(_ASK_EVERY_S)
            now_s = time.monotonic()
            if stopped_s is None and hooks.cancelled():
                stopped_s = now_s
                self._answer(STOP, 0.0)
            if frame is None:
                if stopped_s is not None and now_s - stopped_s > STOP_WITHIN_S:
                    self.kill()
                    raise ReviewCancelledError("cancelled")
                self._check_alive(now_s - alive_s)
                continue
            kind, content = frame
            alive_s = now_s
            if kind == READY:
                self._note_ready(content)
            elif kind in {OPENING, LAST}:
                self._is_opening |= kind == OPENING
                self._is_last |= kind == LAST
            elif kind == ALIVE:
                hooks.on_progress(min(max(NUMBER.unpack(content)[1], 0.0), 1.0))
                hooks.give_way()
                alive_s = time.monotonic()
                self._answer(GO_ON, alive_s - now_s)
            else:
                self._is_busy, self._idle_since_s = False, now_s
                if kind == RESULT:
                    return content
                raise _error(content if kind == ERROR else b"")

    def _check_alive(self, silent_s: float) -> None:
        limit_s = self._stall_s if self._is_opening else _START_WITHIN_S
        if silent_s <= limit_s:
            return
        self.kill()
        raise ReviewCrashedError(
            f"nothing was decoded for {limit_s:g} s (review.stall_s); the analysis was aborted"
            if self._is_opening
            else f"the models were not loaded within {limit_s:g} s: the machine is too busy; submit the file again"
        )

    def _note_ready(self, content: bytes) -> None:
        if not json.loads(content)["network_is_off"]:
            log.warning("this system cannot cut off the process that decodes files from the network")

    def _answer(self, kind: bytes, seconds: float) -> None:
        self._send(kind, NUMBER.pack(self._number, seconds))

    def _send(self, kind: bytes, content: bytes) -> None:
        try:
            pipe = self._process.stdin
            left = memoryview(HEADER.pack(kind, len(content)) + content)
            while left and pipe is not None:
                left = left[pipe.write(left) :]
        except (OSError, ValueError) as error:  # ValueError: closed by another thread's `kill`
            raise _EndedError from error

    def _receive(self, within_s: float) -> tuple[bytes, bytes] | None:
        """The next message; None if there is none in time."""
        while True:
            if len(self._received) >= HEADER.size:
                kind, length = HEADER.unpack_from(self._received)
                if length > MAX_RESULTS_BYTES:
                    raise _EndedError
                end = HEADER.size + length
                if len(self._received) >= end:
                    content = bytes(memoryview(self._received)[HEADER.size : end])
                    del self._received[:end]
                    return kind, content
            try:
                pipe = self._process.stdout
                waiting = select.poll()
                waiting.register(pipe.fileno() if pipe is not None else -1, select.POLLIN | select.POLLHUP)
                if not waiting.poll(within_s * 1000):
                    return None
                chunk = os.read(pipe.fileno() if pipe is not None else -1, _CHUNK_BYTES)
            except (OSError, ValueError) as error:
                raise _EndedError from error
            if not chunk:
                raise _EndedError
            self._received += chunk

    def _reason(self) -> str:
        status = self._process.returncode
        if status == -signal.SIGXCPU:
            return "the process that decodes the file used more processor time than review.max_run_s allows"
        if status == -signal.SIGKILL:
            return "the process that decodes the file was killed (SIGKILL): this machine may have run out of memory"
        name = signal.Signals(-status).name if status is not None and status < 0 else f"status {status}"
        return f"the process that decodes the file crashed ({name}): the file is damaged or malicious"


class _EndedError(Exception):
    """The process ended, or sent an invalid message."""


def _error(content: bytes) -> StreamDetectError:
    try:
        sent = json.loads(content)
        text = str(sent["text"])
        known = [kind for name in sent["kinds"] if isinstance(kind := getattr(errors, str(name), None), type)]
    except (ValueError, KeyError, TypeError):
        return ReviewError(_UNFORESEEN)
    if not known:
        log.error("a review failed: %s", text)
        return ReviewError(_UNFORESEEN)
    return known[0](text) if issubclass(known[0], StreamDetectError) else ReviewError(text)
