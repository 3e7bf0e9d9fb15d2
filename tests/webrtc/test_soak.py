"""Peers misbehave for a minute (STREAM_DETECT_SOAK_S seconds): the server keeps responding, and recovers completely."""

import asyncio
import os
import re
import subprocess
import sys
import time

import httpx
import psutil
import pytest
import yaml

from tests.conftest import FRESH
from tests.patience import PATIENCE_S, until
from tests.webrtc.misbehaving import MISBEHAVIOURS, NoPlaceError, target

SOAK_S = float(os.environ.get("STREAM_DETECT_SOAK_S", "60"))
MORE_MB = 60.0
"""Memory that the allocator and caches may keep."""

POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Threads of asyncio's default pool, which adds one only if all others are busy, and keeps them."""

SLOWEST_S = 2.0
"""Limit for 95 % of the responses, beyond the time of an idle server on the same machine."""

PING_EVERY_S = 0.25
SETTINGS = {
    "webrtc": {"vanish_timeout_s": 2.0, "connect_timeout_s": 2.0, "max_sessions": 8},
    "cameras": [{"name": "street", "url": "whip:"}],
}


@pytest.fixture
def idle_url(tmp_path):
    """Address of a server process that does nothing but respond, to measure the machine's own delays."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        port = re.search(r"port (\d+)", process.stdout.readline())
        yield f"http://127.0.0.1:{port[1]}"
        process.kill()


@pytest.fixture
def server(start_server, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    return start_server(FRESH, SETTINGS=str(file))


class Weighed:
    """Resources of the server's process without sessions."""

    def __init__(self, server) -> None:
        def idle() -> bool:
            return server.get("/api/status")["sessions"] == 0 and server.get("/api/cameras/street")["viewers"] == 0

        until(idle)
        process = psutil.Process(server.process.pid)
        self.files, self.threads = process.num_fds(), process.num_threads()
        self.mb = process.memory_info().rss / 1e6

    def __str__(self) -> str:
        return f"{self.mb:.0f} MB, {self.threads} threads, {self.files} files"


def settled(server, before: "Weighed | None" = None) -> Weighed:
    """Measures once memory has been returned, which may take half a minute."""
    found = Weighed(server)
    end_s = time.monotonic() + 30.0
    while before is not None and not is_as(found, before) and time.monotonic() < end_s:
        found = Weighed(server)
    return found


def is_as(now: Weighed, before: Weighed) -> bool:
    return (
        now.mb < before.mb + MORE_MB and now.threads <= before.threads + POOL_THREADS and now.files <= before.files + 3
    )


async def pings(client: httpx.AsyncClient, url: str, took_s: list[float]) -> None:
    while True:
        began_s = time.monotonic()
        assert (await client.get(url)).status_code == 200
        took_s.append(time.monotonic() - began_s)
        await asyncio.sleep(PING_EVERY_S)


def slow(took_s: list[float]) -> float:
    return sorted(took_s)[int(0.95 * len(took_s))]


@pytest.mark.slow
@pytest.mark.timeout(SOAK_S + 600)
async def test_peers_that_misbehave_leave_nothing_behind(server, idle_url):
    limits = httpx.Timeout(PATIENCE_S)
    async with httpx.AsyncClient(base_url=server.url, timeout=limits) as client:
        at = await asyncio.to_thread(target, client)
        for misbehave in MISBEHAVIOURS:  # caches and pools fill up
            await misbehave(at)
        before = await asyncio.to_thread(settled, server)
        took_s: dict[str, list[float]] = {"/healthz": [], idle_url: []}
        pinging = [asyncio.create_task(pings(client, url, times_s)) for url, times_s in took_s.items()]
        end_s = time.monotonic() + SOAK_S
        outcomes: list[object] = []
        while time.monotonic() < end_s:
            pair = (misbehave(at) for misbehave in at.dice.sample(MISBEHAVIOURS, 2))
            outcomes += await asyncio.gather(*pair, return_exceptions=True)
        for each in pinging:
            each.cancel()
        after = await asyncio.to_thread(settled, server, before)
    assert [error for error in outcomes if error is not None and not isinstance(error, NoPlaceError)] == []
    assert outcomes.count(None) > len(outcomes) / 2
    assert is_as(after, before), f"{before} before; {after} after {len(outcomes)} peers"
    assert slow(took_s["/healthz"]) < SLOWEST_S + slow(took_s[idle_url])
    assert "Traceback" not in "".join(server.log)
