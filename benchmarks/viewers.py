"""Viewers as processes: each runs `peer.py`, comes in when started and hangs up when told.

Enters: the server's address, the clip, the codec. Leaves: each viewer's `Record`.
"""

import subprocess
import sys
from pathlib import Path
from typing import Self

from clip import Codec
from record import Record

PEER = Path(__file__).with_name("peer.py")
STOP_TIMEOUT_S = 20.0


class Viewer:
    """One viewer; killed at the end of its context unless it left before.

    Args:
        offer_url: where it posts its offer.
        folder: holds the clip, `clip-CODEC.npz`.
        codec: what it offers.
        read_all: read every returned picture's counter, or only the first one's.
    """

    def __init__(self, offer_url: str, folder: Path, codec: Codec, *, read_all: bool = False) -> None:
        command = [sys.executable, str(PEER), offer_url, str(folder / f"clip-{codec}.npz"), "--codec", codec]
        self._process = subprocess.Popen(
            [*command, "--read-all"] if read_all else command,
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
        """Return once the first picture is back; a viewer gives up by itself after half a minute.

        Raises:
            RuntimeError: it could not connect; it said why on standard error.
        """
        # Until it is told to leave, a viewer writes this line only: nothing stays behind in the pipe's buffer.
        line = self._process.stdout.readline() if self._process.stdout else ""
        if line.strip() != "connected":
            raise RuntimeError(f"expected a viewer to connect, its process ended with status {self._process.wait()}")

    def leave(self) -> Record:
        """Let it hang up; what it saw."""
        output, _ = self._process.communicate(input="", timeout=STOP_TIMEOUT_S)
        return Record.parse(output.splitlines()[-1])
