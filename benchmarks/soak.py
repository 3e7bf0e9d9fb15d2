"""Whether the server grows while viewers come and go.

`Growth` is that of memory, threads and open files. Three viewers are connected at any time; every ten
seconds the longest there leaves and a new one comes. The server is weighed just before each change, always under the
same load.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scene import Stage
from servers import Footprint, ServerKind, running
from viewers import record_of, viewer

if TYPE_CHECKING:
    from child import Child

AT_ONCE = 3
STAY_S = 10.0


@dataclass(frozen=True, slots=True)
class Growth:
    """From the second fifth of the run (the first fills caches) to the last: medians, and memory's slope.

    Args:
        rss_mb: MiB more at the end.
        rss_mb_per_min: least-squares slope over all but the first fifth.
        threads: more at the end.
        files: more at the end.
        visits: viewers that came and went.
    """

    rss_mb: float
    rss_mb_per_min: float
    threads: float
    files: float
    visits: int


def soak(minutes: float, stage: Stage, report: Callable[[str], None]) -> Growth:
    """Let viewers come and go for so many minutes.

    Args:
        minutes: at least one.
        stage: where.
        report: called with the progress now and then.
    """
    times_s: list[float] = []
    weights: list[Footprint] = []
    with running(ServerKind.OURS, stage.folder, stage.settings) as server, ExitStack() as stack:
        inside: deque[Child] = deque()
        end_s = time.monotonic() + 60 * minutes
        while time.monotonic() < end_s:
            inside.append(stack.enter_context(viewer(server.offer_url, stage.folder, "h264")))
            inside[-1].wait_for("connected")
            time.sleep(STAY_S)
            if len(inside) < AT_ONCE:
                continue
            times_s.append(time.monotonic())
            weights.append(server.footprint())
            record_of(inside.popleft())
            if len(weights) % 6 == 1:
                report(f"soak: {weights[-1].rss_mb:.0f} MiB, {weights[-1].threads} threads, {weights[-1].files} files")
    return growth_of(times_s, weights)


def growth_of(times_s: list[float], weights: list[Footprint]) -> Growth:
    """Compare the end with the beginning.

    Raises:
        ValueError: there are fewer than five weights.
    """
    fifth = len(weights) // 5
    if fifth == 0:
        raise ValueError(f"expected at least 5 weights of the server, received {len(weights)}: soak for longer")

    def more(values: list[float]) -> float:
        return float(np.median(values[-fifth:]) - np.median(values[fifth : 2 * fifth]))

    rss_mb = [weight.rss_mb for weight in weights]
    return Growth(
        rss_mb=more(rss_mb),
        rss_mb_per_min=60 * float(np.polyfit(times_s[fifth:], rss_mb[fifth:], 1)[0]),
        threads=more([weight.threads for weight in weights]),
        files=more([weight.files for weight in weights]),
        visits=len(weights),
    )
