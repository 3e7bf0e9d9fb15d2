"""Ray nodes on hosts with their own networks, started by Ray's command as on real machines; they can be cut off."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]

from tests.cluster.ray_cluster import OBJECT_STORE_BYTES, environment
from tests.network.namespaces import Field, Host
from tests.patience import PATIENCE_S, until

RAY = Path(sys.executable).with_name("ray")
PORT = 6379
PORTS = {
    "metrics-export-port": 52365,
    "dashboard-agent-listen-port": 52366,
    "dashboard-agent-grpc-port": 52367,
    "runtime-env-agent-port": 52368,
}
"""Port of Ray's agents: Ray waits at most 15 s for an agent to choose one, too short on a busy machine."""

STARTED = b"Ray runtime started"
ATTEMPTS, START_S = 3, 4 * PATIENCE_S
CLONE_NEWNET = 0x40000000
TABLE = "inet cut"
QUICK = {
    "RAY_raylet_start_wait_time_s": "30",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "10",
}
"""A failed start is noticed soon; a node counts as lost after some twenty seconds of silence, not a minute."""


class RayHost:
    """A machine with a Ray node. Call `start`, then `close`; in between it may end and be restarted.

    Args:
        host: host of the node.
        name: name of the node.
        head: the machine whose cluster it joins; None for the first.
    """

    def __init__(self, host: Host, name: str, head: "RayHost | None" = None) -> None:
        self.host = host
        self.name = name
        self._head = head
        self._folder = tempfile.TemporaryDirectory(prefix="sd-ray-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Address for nodes that join."""
        return f"{self.host.address}:{PORT}"

    def start(self) -> None:
        """Starts the node and waits until it has joined; tries again if Ray gave its processes too little time."""
        for _ in range(ATTEMPTS):
            log = self._begin()
            until(lambda log=log: STARTED in log.read_bytes() or self.has_ended(), START_S, describe=log.read_text)  # type: ignore[misc]
            if not self.has_ended():
                return
            self.end()
        raise AssertionError(log.read_text())

    def _begin(self) -> Path:
        """Starts Ray's command; returns the file with its output."""
        log = Path(self._folder.name) / "log"
        role = ["--head", "--port", str(PORT), "--include-dashboard", "false"]
        if self._head is not None:
            role = ["--address", self._head.address]
        command = [*self.host.within, str(RAY), "start", "--block", "--disable-usage-stats", "--node-name", self.name]
        command += [part for name, port in PORTS.items() for part in (f"--{name}", str(port))]
        command += ["--node-ip-address", self.host.address, "--num-cpus", "1", "--temp-dir", f"{self._folder.name}/t"]
        command += ["--object-store-memory", str(OBJECT_STORE_BYTES), *role]
        with log.open("wb") as written:
            self._process = subprocess.Popen(
                command, env={**os.environ, **QUICK}, stdout=written, stderr=subprocess.STDOUT
            )
        return log

    def has_ended(self) -> bool:
        """Whether Ray's command ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def end(self) -> None:
        """Ends all processes of this node."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
        self._process.kill()
        self._process.wait()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if any(self._folder.name in part for part in process.cmdline()):
                    process.kill()

    def close(self) -> None:
        """Ends it permanently."""
        self.end()
        self._folder.cleanup()


@contextlib.contextmanager
def ray_hosts(field: Field, networks: dict[str, str]) -> Iterator[dict[str, RayHost]]:
    """Machines with a Ray node each, by name; the first is the head.

    Args:
        field: the network namespaces.
        networks: the first three numbers of each one's /24, by name.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment())
        made: dict[str, RayHost] = {}
        for name, network in networks.items():
            one = RayHost(field.host(name, network), name, next(iter(made.values()), None))
            stack.callback(one.close)
            one.start()
            made[name] = one
        yield made


def cut(router: Host, host: Host, but: Host) -> None:
    """Blocks all traffic between a host and the others, except one."""
    rules = [
        "type filter hook forward priority 0; policy accept",
        f"ip saddr {host.address} ip daddr != {but.address} drop",
        f"ip daddr {host.address} ip saddr != {but.address} drop",
    ]
    router.filter(f"table {TABLE} {{ chain forward {{ {'; '.join(rules)}; }}; }}")


def mend(router: Host) -> None:
    """Removes the block."""
    router.filter(f"delete table {TABLE}")


class HttpWithin:
    """An HTTP client in the network of a host. Its calls block.

    Args:
        host: host from which it connects.
        url: address of the server.
        token: access token.
    """

    def __init__(self, host: Host, url: str, token: str) -> None:
        # The sockets of a thread belong to the network namespace that it entered; other threads are not affected.
        self._thread = ThreadPoolExecutor(1, initializer=_enter, initargs=(host,))
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._thread.submit(self._client.get, path, **more).result()

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self._thread.submit(self._client.post, path, **more).result()

    def close(self) -> None:
        self._client.close()
        self._thread.shutdown()


def _enter(host: Host) -> None:
    with Path(f"/run/netns/{host.name}").open("rb") as namespace:
        done = ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET)
    assert done == 0, os.strerror(ctypes.get_errno())
