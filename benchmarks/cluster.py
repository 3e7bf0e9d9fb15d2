"""`make bench-cluster`: measures cameras on workers, on one machine; prints a table, writes JSON.

The same cameras are watched by one process, by two workers and by four, and the rows that they write to PostgreSQL are
counted (`cluster_load.py`). Workers, nodes and the server of a Ray cluster of three nodes are killed
(`cluster_kills.py`). Messages between head and workers are weighed (`cluster_wire.py`). From these figures it computes
what 1,000 and 10,000 cameras would need. The nodes share this machine's processors: what a node more brings, this does
not show.
"""

import argparse
import logging
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster_kills import Recoveries, recoveries
from cluster_load import ClusterLoad, cluster_load
from cluster_wire import Wire, wire
from figures import Figure, Target
from rich.console import Console
from tables import figure_table, machine, print_tables, void_reasons, write_report

WORKERS = (2, 4)
FLEETS = (1_000, 10_000)
MAX_CPU_RATIO = 1.15
MAX_RECOVER_S = 15.0
NODE_CORES = 16
BUSY = 0.7
"""Share of a node's processors that its cameras may take: one node less must still do."""

LINK_BYTES_S = 125e6
"""A network of 1 Gbit/s."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What so many cameras need, computed.

    Args:
        cameras: how many.
        nodes: of `NODE_CORES` processors.
        head_cores: processors that the head's process keeps busy; Python's lock ends near 1.
        head_mbit_s: messages through the head.
        database_rows_s: rows that the head writes a second.
        breaks_first: what is at its limit first, and at how many cameras.
    """

    cameras: int
    nodes: int
    head_cores: float
    head_mbit_s: float
    database_rows_s: float
    breaks_first: str


def plan(cameras: int, load: ClusterLoad, weighed: Wire) -> Plan:
    """For so many cameras like those of `load`, from its figures."""
    bytes_s = weighed.bytes_per_camera_hour / 3600
    limits = {"the head's process (one processor)": 1 / load.head_cpu, "the head's network": LINK_BYTES_S / bytes_s}
    first = min(limits, key=lambda name: limits[name])
    return Plan(
        cameras=cameras,
        nodes=math.ceil(cameras * (load.cpu - load.head_cpu) / (NODE_CORES * BUSY)),
        head_cores=round(cameras * load.head_cpu, 2),
        head_mbit_s=round(cameras * bytes_s * 8 / 1e6, 2),
        database_rows_s=round(cameras * load.rows_s),
        breaks_first=f"{first}, at {limits[first]:,.0f} cameras",
    )


def load_figures(loads: Mapping[int, ClusterLoad]) -> list[Figure]:
    """Of one process (0 workers) and of workers."""
    found = [
        Figure("cpu_per_camera", "processors a camera, one process", "", None, (loads[0].cpu,), loads[0].void),
        Figure(
            "missed_samples",
            "samples missed, worst of all runs",
            "",
            Target(0),
            (max(one.missed for one in loads.values()),),
        ),
    ]
    for workers in WORKERS:
        one = loads[workers]
        void = (*loads[0].void, *one.void)
        key = f"{workers}_workers"
        found += [
            Figure(
                f"cpu_per_camera_ratio_{key}",
                f"processors a camera, {workers} workers and the server's process / one process",
                "",
                Target(MAX_CPU_RATIO),
                (one.cpu / loads[0].cpu,),
                void,
            ),
            Figure(f"worker_rss_mb_{key}", f"memory a worker, {workers} workers", "MiB", None, (one.worker_rss_mb,)),
            Figure(
                f"head_cpu_per_camera_{key}", "processors of the server's process a camera", "", None, (one.head_cpu,)
            ),
            Figure(f"ray_cpu_{key}", "processors of Ray's own processes, all together", "", None, (one.ray_cpu,)),
            Figure(f"database_rows_s_{key}", "rows written a second and camera", "1/s", None, (one.rows_s,)),
        ]
    return found


def kill_figures(found: Recoveries) -> list[Figure]:
    """Seconds from a kill until all cameras are live."""
    figures = []
    for what, seconds in (("worker", found.worker_s), ("node", found.node_s)):
        all_of_them = f"from the kill of a {what} until all cameras are live, {len(seconds)} kills"
        figures += [
            Figure(f"recover_{what}_s_median", all_of_them, "s", None, tuple(seconds)),
            Figure(f"recover_{what}_s_worst", "worst of them", "s", Target(MAX_RECOVER_S), (max(seconds),)),
        ]
    what = "from the kill of the server, which is started again at once, until all cameras are live"
    return [*figures, Figure("recover_head_s", what, "s", Target(MAX_RECOVER_S), (found.head_s,))]


def wire_figures(weighed: Wire) -> list[Figure]:
    """Of messages, as they are pickled."""
    return [
        Figure("head_bytes_per_camera_hour", "bytes through the head", "", None, (weighed.bytes_per_camera_hour,)),
        Figure("head_messages_per_camera_hour", "messages", "", None, (weighed.messages_per_camera_hour,)),
    ]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--cameras", type=int, default=24, metavar="N", help="480p at 10 fps, 5 samples a second each (24)"
    )
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="of workers, and as many of nodes (10)")
    parser.add_argument("--seconds", type=float, default=20, metavar="S", help="length of each window (20)")
    parser.add_argument("--warm", type=float, default=8, metavar="S", help="before each window (8)")
    options = parser.parse_args(arguments)
    if min(options.cameras, options.kills) < 1 or options.seconds <= 0:
        parser.error("expected one camera, one kill and a window of some seconds at least")
    return options


def main() -> int:
    """Measure; 1 when a figure is void."""
    options = parse()
    logging.disable(logging.INFO)
    console, begun_s = Console(stderr=True), time.monotonic()

    def say(what: str) -> None:
        console.print(f"{time.monotonic() - begun_s:5.0f} s  {what}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="stream-detect-bench-") as name:
        folder = Path(name)
        loads = {}
        for workers in (0, *WORKERS):
            say(f"{options.cameras} cameras, {workers or 'no'} workers ...")
            loads[workers] = cluster_load(workers, options.cameras, folder, options.warm, options.seconds)
            say(str(loads[workers]))
        say("messages ...")
        weighed = wire(options.cameras, folder, options.seconds)
        say(f"{weighed}; kills ...")
        killed = recoveries(options.cameras, options.kills, folder, say)
        say("done")
    figures = [*load_figures(loads), *kill_figures(killed), *wire_figures(weighed)]
    plans = [plan(cameras, loads[WORKERS[0]], weighed) for cameras in FLEETS]
    print_tables(figure_table(figures))
    for one in plans:
        console.print(one)
    if options.json:
        setting = {"cameras": options.cameras, "kills": options.kills, "window_s": options.seconds, **machine()}
        computed = [{name: getattr(one, name) for name in Plan.__slots__} for one in plans]
        write_report(options.json, figures, computed=computed, setting=setting)
    return void_reasons(figures, console)


if __name__ == "__main__":
    sys.exit(main())
