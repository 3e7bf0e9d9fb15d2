"""A server and its clients as processes in network namespaces."""

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


@contextlib.contextmanager
def client(host: Host, url: str, *what: str) -> Iterator[subprocess.Popen]:
    """A client in a namespace."""
    command = [*host.within, sys.executable, "-m", "tests.network.client", url, TOKEN, *what]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
        process.stdin.close()
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def flow(process: subprocess.Popen) -> dict[str, Any]:
    """How a client's media go."""
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return json.loads(line)
