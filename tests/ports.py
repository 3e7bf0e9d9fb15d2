"""Reserves ports for programs that need to know them before they listen."""

import itertools
import os
import socket

FIRST, END = 10_000, 32_000
"""Below Linux's ephemeral ports (32768 to 60999)."""

WORKERS = 16
SHARE = (END - FIRST) // WORKERS
"""Number of ports per worker of pytest-xdist, so that two workers never choose the same."""

_asked = itertools.count(10 * os.getpid())  # another test run at the same time starts elsewhere


def free_port() -> int:
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of `count` successive ports that are free on all addresses, for TCP and UDP."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    for _ in range(SHARE):
        ports = [FIRST + worker * SHARE + next(_asked) % SHARE for _ in range(count)]
        if ports[-1] - ports[0] == count - 1 and all(map(_is_free, ports)):
            return ports[0]
    raise AssertionError(f"expected {count} free ports of {SHARE}, and there are none")


def _is_free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(type=kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # like servers
                probe.bind(("0.0.0.0", port))
    except OSError:
        return False
    return True
