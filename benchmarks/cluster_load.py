"""The cost of cameras on workers: processor time, memory, missed samples, rows written to the database."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from load import MIN_FPS_SHARE, missed
from watch import RATE_HZ, Watch, watching

from tests.rtsp.films import Film
from tests.rtsp.peer import RtspServer
from tests.storage.conftest import Cluster as PostgreSQL

FILM = Film(fps=10)
"""640x480. With 25 fps the decoding of 24 cameras alone would fill two processors, and samples are 5 a second."""

EVERY = round(FILM.fps / RATE_HZ)
"""Frames a sample."""


@dataclass(frozen=True, slots=True)
class ClusterLoad:
    """A window; without workers all of it is the server's own.

    Args:
        cpu: processors a camera, of the server's process and its workers.
        head_cpu: processors a camera, of the server's process.
        ray_cpu: processors, of Ray's own processes together.
        missed: samples, of all cameras.
        rows_s: rows that were written to the database a second and camera.
        worker_rss_mb: resident memory a worker, MiB; of the server without workers.
        void: why it means nothing, if so.
    """

    cpu: float
    head_cpu: float
    ray_cpu: float
    missed: int
    rows_s: float
    worker_rss_mb: float
    void: tuple[str, ...]


class Database:
    """An empty PostgreSQL database that counts what is written to it.

    Args:
        url: its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self) -> int:
        """Rows that were inserted, changed or deleted so far, as PostgreSQL's statistics say, a second late."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(
                "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
            ).fetchone()
        return int(row[0] or 0) if row else 0


@contextmanager
def database() -> Iterator[Database]:
    """One, on a PostgreSQL server of its own."""
    with tempfile.TemporaryDirectory(prefix="sd-pg-") as name:  # its user is another one than ours
        Path(name).chmod(0o755)
        server = PostgreSQL(Path(name))
        server.start()
        try:
            yield Database(server.new())
        finally:
            server.stop()


@contextmanager
def films(count: int, folder: Path) -> Iterator[list[str]]:
    """Addresses of so many cameras; each sends what was encoded once."""
    with RtspServer(folder) as peer:
        yield [peer.mount(f"face{number}", FILM) for number in range(count)]


def cluster_load(workers: int, count: int, folder: Path, warm_s: float, seconds: float) -> ClusterLoad:
    """Watch so many cameras with so many workers; 0: in the server's own process."""
    with films(count, folder) as addresses, database() as written:
        environment = {"CLUSTER__WORKERS": str(workers), "STORAGE__DATABASE_URL": written.url}
        with watching(addresses, folder, environment=environment, max_cameras=max(count, 1)) as watch:
            time.sleep(warm_s)
            return _window(watch, written, workers, seconds)


def _window(watch: Watch, written: Database, workers: int, seconds: float) -> ClusterLoad:
    before, rows, spent, start_s = watch.cameras(), written.rows(), watch.processor_time(), time.monotonic()
    time.sleep(seconds)
    after, rows, spent = watch.cameras(), written.rows() - rows, watch.processor_time() - spent
    seconds = time.monotonic() - start_s
    pairs = list(zip(before, after, strict=True))
    rates = {b.name: (b.pictures - a.pictures) / seconds for a, b in pairs}
    return ClusterLoad(
        cpu=(spent.own_s + spent.workers_s) / seconds / len(pairs),
        head_cpu=spent.own_s / seconds / len(pairs),
        ray_cpu=spent.others_s / seconds,
        missed=sum(missed(a, b, EVERY) for a, b in pairs),
        rows_s=rows / seconds / len(pairs),
        worker_rss_mb=watch.worker_rss_mb() if workers else watch.footprint().rss_mb,
        void=tuple(
            f"{workers} workers: {name} got {rate:.1f} fps"
            for name, rate in rates.items()
            if rate < MIN_FPS_SHARE * FILM.fps
        ),
    )
