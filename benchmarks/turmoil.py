"""Whether the server grows while cameras are killed, stalled and restarted at random.

`Turmoil` has the server's memory, threads and open files over the run. There are eight cameras,
two of each of four RTSP servers; each of these has its own fate, drawn anew all the time.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from statistics import median

from outages import LONGEST_PAUSE_S
from servers import Footprint
from watch import Watch, watching

from tests.rtsp.films import FILMS
from tests.rtsp.peer import RtspServer

PEERS, EACH = 4, 2
WELL_S = (5.0, 40.0)
ILL_S = (1.0, 15.0)
LOOK_S = 0.5
WEIGH_S = 5.0
REPORT_EVERY = 12


class Fate(StrEnum):
    """State of an RTSP server in a run."""

    WELL = "well"
    KILLED = "killed"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Turmoil:
    """Result of a run.

    Args:
        weights: footprints of the server, at regular intervals.
        kills: number of times an RTSP server was killed.
        freezes: number of times an RTSP server was frozen.
        recovered: whether all cameras were live at the end.
    """

    weights: Sequence[Footprint]
    kills: int
    freezes: int
    recovered: bool

    def growth_percent(self) -> float:
        """Resident memory at the end over that after the first fifth, which fills caches: medians of a fifth each."""
        before, after = self._ends(lambda weight: weight.rss_mb)
        return 100 * (after / before - 1)

    def more(self, of: Callable[[Footprint], float]) -> float:
        """What the last fifth has more than the second."""
        before, after = self._ends(of)
        return after - before

    def _ends(self, of: Callable[[Footprint], float]) -> tuple[float, float]:
        values = [of(weight) for weight in self.weights]
        fifth = len(values) // 5
        if fifth == 0:
            raise ValueError(f"expected at least 5 weights of the server, received {len(values)}: go on for longer")
        return median(values[fifth : 2 * fifth]), median(values[-fifth:])


class Peer:
    """An RTSP server and its fate."""

    def __init__(self, server: RtspServer) -> None:
        self._server = server
        self._fate = Fate.WELL
        self._until_s = time.monotonic() + random.uniform(*WELL_S)  # noqa: S311 - no secret

    def look(self) -> Fate | None:
        """Change its fate when that is due; the new one, if so."""
        if time.monotonic() < self._until_s:
            return None
        ill = self._fate is Fate.WELL
        self._until_s = time.monotonic() + random.uniform(*(ILL_S if ill else WELL_S))  # noqa: S311 - no secret
        if ill:
            self._fate = random.choice((Fate.KILLED, Fate.FROZEN))  # noqa: S311 - no secret
            self._server.freeze() if self._fate is Fate.FROZEN else self._server.stop(kill=True)
        else:
            self.heal()
        return self._fate

    def heal(self) -> None:
        """Make it well."""
        if self._fate is Fate.FROZEN:
            self._server.thaw()
        elif self._fate is Fate.KILLED:
            self._server.start()
        self._fate = Fate.WELL


def turmoil(minutes: float, folder: Path, report: Callable[[str], None]) -> Turmoil:
    """Let it go on for so many minutes.

    Args:
        minutes: at least one.
        folder: takes films, logs, storage.
        report: called with the progress now and then.
    """
    with ExitStack() as stack:
        servers = [stack.enter_context(RtspServer(folder)) for _ in range(PEERS)]
        addresses = [server.mount(f"face{number}", FILMS["face"]) for server in servers for number in range(EACH)]
        watch = stack.enter_context(watching(addresses, folder, backoff_last_s=LONGEST_PAUSE_S))
        peers = [Peer(server) for server in servers]
        weights, fates = _endure(60 * minutes, watch, peers, report)
        for peer in peers:
            peer.heal()
        recovered = _recovers(watch)
    return Turmoil(weights, fates.count(Fate.KILLED), fates.count(Fate.FROZEN), recovered)


def _endure(
    seconds: float, watch: Watch, peers: Sequence[Peer], report: Callable[[str], None]
) -> tuple[list[Footprint], list[Fate]]:
    weights: list[Footprint] = []
    fates: list[Fate] = []
    start_s = time.monotonic()
    while (now_s := time.monotonic() - start_s) < seconds:
        fates += [fate for peer in peers if (fate := peer.look()) is not None]
        if now_s >= len(weights) * WEIGH_S:
            weights.append(weight := watch.footprint())
            if len(weights) % REPORT_EVERY == 1:
                live = sum(camera.state == "live" for camera in watch.cameras())
                report(f"{now_s / 60:.0f} min: {weight.rss_mb:.0f} MiB, {weight.threads} threads, {live} live")
        time.sleep(LOOK_S)
    return weights, fates


def _recovers(watch: Watch) -> bool:
    try:
        watch.wait("live")
    except RuntimeError:
        return False
    return True
