"""Runs a server and its clients as processes in network namespaces."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.conftest import ROOT, Server, running_server
from tests.network.namespaces import Host
from tests.patience import PATIENCE_S

TOKEN = "correct-horse-battery"


@contextlib.contextmanager
def serving(host: Host, **settings: str) -> Iterator[Server]:
    """A server in a namespace."""
    command = (*host.within, sys.executable, "server.py")
    with running_server(command, SERVER__HOST=host.address, TOKEN=TOKEN, **settings) as server:
        yield server


class Client:
    """`tests.network.client` in a namespace, with its input and output."""

    def __init__(self, command: list[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def flow(self) -> dict[str, Any]:
        """The route of its media."""
        status, line, complaint = self._line()
        assert status is None, complaint
        found: dict[str, Any] = json.loads(line)
        return found

    def fails(self) -> bool:
        """Whether it ended without media."""
        status, _, _ = self._line()
        return status == 1

    def _line(self) -> tuple[int | None, str, str]:
        """The output of a client, or its exit status if it prints nothing."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        if line := self._process.stdout.readline():
            return None, line, ""
        return self._process.wait(PATIENCE_S), "", self._process.stderr.read()

    def leave(self) -> None:
        """Ends it cleanly, by closing its input."""
        self._process.communicate(timeout=PATIENCE_S)

    def end(self) -> None:
        """Ends it in any case."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def client(host: Host, url: str, *what: str) -> Iterator[Client]:
    """A client in a namespace."""
    made = Client([*host.within, sys.executable, "-m", "tests.network.client", url, TOKEN, *what])
    try:
        yield made
        made.leave()
    finally:
        made.end()
