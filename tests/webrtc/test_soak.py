"""Peers misbehave for a minute (STREAM_DETECT_SOAK_S seconds): the server answers all the while, and is as before."""

import asyncio
import os
import time

import httpx
import psutil
import pytest
import yaml

from tests.patience import PATIENCE_S, until
from tests.webrtc.misbehaving import MISBEHAVIOURS, NoPlaceError, target

SOAK_S = float(os.environ.get("STREAM_DETECT_SOAK_S", "60"))
MORE_MB = 60.0
"""Memory that may be kept, by the allocator and by caches that fill."""

POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Of asyncio's default pool, which makes one only while all others work, and keeps them."""

SLOWEST_S = 2.0
SETTINGS = {
    "webrtc": {"vanish_timeout_s": 2.0, "connect_timeout_s": 2.0, "max_sessions": 8},
    "cameras": [{"name": "studio", "url": "whip:"}],
}


@pytest.fixture
def server(start_server, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    return start_server(SETTINGS=str(file))


class Weighed:
    """What the server's process takes when no session is left."""

    def __init__(self, server) -> None:
        def idle() -> bool:
            return server.get("/api/status")["sessions"] == 0 and server.get("/api/cameras/studio")["viewers"] == 0

        until(idle)
        process = psutil.Process(server.process.pid)
        self.files, self.threads = process.num_fds(), process.num_threads()
        self.mb = process.memory_info().rss / 1e6

    def __str__(self) -> str:
        return f"{self.mb:.0f} MB, {self.threads} threads, {self.files} files"


def settled(server, before: "Weighed | None" = None) -> Weighed:
    """Weighed, when it has given back what it gives back: at once, or within half a minute."""
    found = Weighed(server)
    end_s = time.monotonic() + 30.0
    while before is not None and not is_as(found, before) and time.monotonic() < end_s:
        found = Weighed(server)
    return found


def is_as(now: Weighed, before: Weighed) -> bool:
    return (
        now.mb < before.mb + MORE_MB and now.threads <= before.threads + POOL_THREADS and now.files <= before.files + 3
    )


async def pings(client: httpx.AsyncClient, slowest_s: list[float]) -> None:
    while True:
        began_s = time.monotonic()
        assert (await client.get("/healthz")).status_code == 200
        slowest_s.append(time.monotonic() - began_s)
        await asyncio.sleep(0.25)


@pytest.mark.slow
@pytest.mark.timeout(SOAK_S + 600)
async def test_peers_that_misbehave_leave_nothing_behind(server):
    limits = httpx.Timeout(PATIENCE_S)
    async with httpx.AsyncClient(base_url=server.url, timeout=limits) as client:
        at = await asyncio.to_thread(target, client)
        for misbehave in MISBEHAVIOURS:  # caches and pools fill
            await misbehave(at)
        before = await asyncio.to_thread(settled, server)
        times_s: list[float] = []
        pinging = asyncio.create_task(pings(client, times_s))
        end_s = time.monotonic() + SOAK_S
        outcomes: list[object] = []
        while time.monotonic() < end_s:
            pair = (misbehave(at) for misbehave in at.dice.sample(MISBEHAVIOURS, 2))
            outcomes += await asyncio.gather(*pair, return_exceptions=True)
        pinging.cancel()
        after = await asyncio.to_thread(settled, server, before)
    assert [error for error in outcomes if error is not None and not isinstance(error, NoPlaceError)] == []
    assert outcomes.count(None) > len(outcomes) / 2
    assert is_as(after, before), f"{before} before; {after} after {len(outcomes)} peers"
    assert sorted(times_s)[int(0.95 * len(times_s))] < SLOWEST_S
    assert "Traceback" not in "".join(server.log)
