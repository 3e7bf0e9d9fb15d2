"""The cost of cameras on workers: processor time, memory and missed samples of a server with all of its processes."""

import time
from dataclasses import dataclass
from pathlib import Path

from load import FPS, MIN_FPS_SHARE, missed
from watch import watching

from tests.rtsp.films import FILMS
from tests.rtsp.peer import RtspServer


@dataclass(frozen=True, slots=True)
class ClusterLoad:
    """A window.

    Args:
        cpu: processors a camera, of the server and all processes that it started, Ray's among them.
        head_cpu: processors a camera, of the server's own process.
        missed: samples, of all cameras.
        worker_rss_mb: resident memory a worker, MiB; of the server without workers.
        void: why it means nothing, if so.
    """

    cpu: float
    head_cpu: float
    missed: int
    worker_rss_mb: float
    void: tuple[str, ...]


def cluster_load(workers: int, count: int, folder: Path, warm_s: float, seconds: float) -> ClusterLoad:
    """Watch so many cameras with so many workers; 0: in the server's own process."""
    with RtspServer(folder) as peer:
        addresses = [peer.mount(f"face{number}", FILMS["face"]) for number in range(count)]
        with watching(addresses, folder, environment={"CLUSTER__WORKERS": str(workers)}) as watch:
            time.sleep(warm_s)
            before, start_s = watch.cameras(), time.monotonic()
            all_s, own_s = watch.footprint().cpu_s, watch.own_cpu_s()
            time.sleep(seconds)
            all_s, own_s = watch.footprint().cpu_s - all_s, watch.own_cpu_s() - own_s
            after, seconds = watch.cameras(), time.monotonic() - start_s
            memory_mb = watch.worker_rss_mb() if workers else watch.footprint().rss_mb
    slow = [
        f"{workers} workers: {b.name} got {(b.pictures - a.pictures) / seconds:.1f} fps"
        for a, b in zip(before, after, strict=True)
        if (b.pictures - a.pictures) / seconds < MIN_FPS_SHARE * FPS
    ]
    return ClusterLoad(
        cpu=all_s / seconds / count,
        head_cpu=own_s / seconds / count,
        missed=sum(missed(a, b) for a, b in zip(before, after, strict=True)),
        worker_rss_mb=memory_mb,
        void=tuple(slow),
    )
