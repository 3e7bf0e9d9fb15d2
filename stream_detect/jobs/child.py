"""The process that examines files, run as `python -m stream_detect.jobs.child` by `jobs.processes`.

One file at a time is decoded, judged and, on request, annotated, within the limits of `jobs.sandbox`: a malicious file
ends this process, and not the server. Messages pass over the standard input and output. The process ends by itself
when its parent is gone, when it was idle for a while, and after a file that left too much memory allocated.
"""

import gc
import json
import os
import queue
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from stream_detect.jobs.sandbox import confine

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS, JOB, GO_ON, STOP = b"S", b"J", b"G", b"X"
"""Kinds of messages to this process: settings, a job, the reply to a progress message, the end of a job."""

READY, OPENING, ALIVE, LAST, RESULT, ERROR = b"R", b"O", b"A", b"L", b"D", b"E"
"""Kinds of messages from it: ready; models loaded and file opened; progress; the process ends after this job; result;
error."""

HEADER = struct.Struct("!cI")
"""Header of a message: its kind and the length of its content."""

NUMBER = struct.Struct("!Id")
"""Number of a job, with a share or with seconds."""

SIGN_EVERY_S = 0.1
"""Time between progress messages; work continues only after the previous one was answered."""


class Link:
    """Messages from and to the parent; a thread reads them.

    Args:
        incoming: descriptor to read from.
        outgoing: descriptor to write to.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = os.fdopen(incoming, "rb")
        self._outgoing = outgoing
        self._writing = threading.Lock()
        self.jobs: queue.Queue[dict[str, Any]] = queue.Queue(1)
        self._asking = threading.Lock()
        self._number = 0
        self._stopped = False
        self._answered = threading.Event()
        self._asked_s: float | None = None
        self._last_s = 0.0
        self.on_first_sign: Callable[[], None] = lambda: None
        self.share = 0.0
        self.rested_s = 0.0
        """How long the parent has paused this job so far."""

    def receive(self) -> tuple[bytes, bytes]:
        """The next message; ends the process if the parent is gone."""
        header = self._incoming.read(HEADER.size)
        if len(header) < HEADER.size:
            os._exit(0)
        kind, length = HEADER.unpack(header)
        return kind, self._incoming.read(length)

    def send(self, kind: bytes, content: bytes = b"") -> None:
        """Sends a message."""
        left = memoryview(HEADER.pack(kind, len(content)) + content)
        with self._writing:
            try:
                while left:
                    left = left[os.write(self._outgoing, left) :]
            except OSError:
                os._exit(0)  # the parent is gone

    def read_for_ever(self) -> None:
        """Reads what the parent sends; run on a separate thread."""
        while True:
            kind, content = self.receive()
            if kind == JOB:
                job = json.loads(content)
                self._number, self._stopped, self._asked_s, self.share, self.rested_s = (
                    job["number"],
                    False,
                    None,
                    0.0,
                    0.0,
                )
                self.jobs.put(job)
                continue
            number, seconds = NUMBER.unpack(content)
            if number != self._number:
                continue
            if kind == STOP:
                self._stopped = True
            else:
                self.rested_s += seconds
            self._answered.set()

    def is_stopped(self) -> bool:
        """Sends progress and waits while the parent pauses the job; returns whether the job is to stop.

        Called often, on each thread that decodes or scores.
        """
        with self._asking:
            first, self.on_first_sign = self.on_first_sign, lambda: None
            first()
            now_s = time.monotonic()
            if now_s - self._last_s >= SIGN_EVERY_S and not self._stopped:
                if self._asked_s is not None:
                    self._answered.wait()
                    now_s = time.monotonic()
                self._answered.clear()
                self._asked_s = self._last_s = now_s
                self.send(ALIVE, NUMBER.pack(self._number, self.share))
            return self._stopped

    def note_share(self, share: float) -> None:
        """Records the share done, in [0, 1]; sent with the next progress message."""
        self.share = share


def main() -> None:
    """Runs until the parent ends, or until there was no job for some time."""
    link = Link(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # output of libraries must not mix with messages
    network_is_off = confine()
    _, content = link.receive()
    given = json.loads(content)
    threading.Thread(target=link.read_for_ever, name="parent", daemon=True).start()

    gc.disable()  # while modules are imported, nothing becomes garbage
    from stream_detect.jobs.examiner import Examiner  # noqa: PLC0415 - libraries start threads: only once confined

    examiner = Examiner(link, given["settings"])
    gc.freeze()
    gc.enable()
    link.send(READY, json.dumps({"network_is_off": network_is_off}).encode())
    examiner.serve(given["idle_s"])
    sys.stderr.flush()
    os._exit(0)  # do not wait for threads of libraries


if __name__ == "__main__":
    main()
