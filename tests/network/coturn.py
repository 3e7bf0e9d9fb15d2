"""Runs a real coturn for a test."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import until
from tests.ports import free_port, free_ports

REALM, USER, PASSWORD, SECRET = "field", "viewer", "battery-staple", "shared-secret"
RELAY_PORTS = 49
ABSENT = "coturn is absent: apt-get install coturn"


@dataclass
class Coturn:
    """A listening coturn.

    Args:
        host: address on which it listens and relays.
        port: port for UDP, TCP and, with a certificate, TLS.
        process: the running process.
    """

    host: str
    port: int
    process: subprocess.Popen[bytes]

    def url(self, transport: str = "udp") -> str:
        return f"turn:{self.host}:{self.port}?transport={transport}"

    def tls_url(self) -> str:
        return f"turns:{self.host}:{self.port}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def turnserver() -> str:
    """Path of the program; skips the test if it is absent."""
    program = shutil.which("turnserver", path="/usr/bin:/usr/sbin:/usr/local/bin")
    if program is None:
        pytest.skip(ABSENT)
    return program


@contextlib.contextmanager
def running(
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    secret: bool = False,
    certificate: tuple[Path, Path] | None = None,
    within: Sequence[str] = (),
) -> Iterator[Coturn]:
    """A TURN server.

    Args:
        host: address on which it listens and relays.
        port: its port; by default a free one.
        secret: whether it accepts time-limited credentials of SECRET instead of USER and PASSWORD.
        certificate: certificate and key for TLS.
        within: prefix of the command (`ip netns exec NAME`).
    """
    port = port or free_port()
    first = free_ports(RELAY_PORTS)
    access = (
        ["--use-auth-secret", f"--static-auth-secret={SECRET}"]
        if secret
        else ["--lt-cred-mech", f"--user={USER}:{PASSWORD}"]
    )
    tls = ["--no-tls"] if certificate is None else [f"--cert={certificate[0]}", f"--pkey={certificate[1]}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [*within, turnserver(), "-n", "--no-cli", "--no-dtls", "--no-stdout-log", "--simple-log"]
        command += [f"--listening-ip={host}", f"--relay-ip={host}", f"--listening-port={port}", f"--realm={REALM}"]
        command += [f"--tls-listening-port={port}"] if certificate is not None else []
        command += [f"--log-file={folder}/log", f"--pidfile={folder}/pid", f"--userdb={folder}/db", *access, *tls]
        command += [f"--min-port={first}", f"--max-port={first + RELAY_PORTS - 1}"]
        command += ["--allow-loopback-peers", "--fingerprint", "--verbose"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        made = Coturn(host, port, process)
        log = Path(folder) / "log"
        try:
            until(lambda: log.exists() and "listener opened on" in log.read_text(), describe=lambda: _said(log))
            yield made
        finally:
            made.stop()


def _said(log: Path) -> str:
    return log.read_text() if log.exists() else "coturn wrote no log"
