"""The cost of cameras without viewers: the server's process beside the floor, and whether it analysed every sample.

A `Load` is measured in a steady window in which both processes read the same streams side by side, so that noise hits
both alike.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path

from reference import Done, done_by, reference
from watch import RATE_HZ, Camera, watching

from tests.rtsp.films import FILMS
from tests.rtsp.peer import RtspServer

FPS = 25
EVERY = round(FPS / RATE_HZ)
"""Pictures a sample."""

MIN_FPS_SHARE = 0.97
MAX_UNLIKE = 0.02
"""Of pictures or samples by which server and floor may differ: the window's edges are not quite the same."""


@dataclass(frozen=True, slots=True)
class Load:
    """A window.

    Args:
        seconds: its length.
        server_cpu_s: seconds of CPU of the server's process.
        floor_cpu_s: of the floor's.
        before: the cameras at its beginning.
        after: and at its end.
        floor_done: what the floor did in it, one item a camera.
    """

    seconds: float
    server_cpu_s: float
    floor_cpu_s: float
    before: Sequence[Camera]
    after: Sequence[Camera]
    floor_done: Sequence[Done]

    @property
    def over_floor(self) -> float:
        """Server CPU / floor CPU."""
        return self.server_cpu_s / self.floor_cpu_s

    @property
    def missed_samples(self) -> int:
        """Of all cameras: samples that were replaced by newer ones before their analysis, or are not there at all."""
        return sum(missed(*pair) for pair in zip(self.before, self.after, strict=True))

    @property
    def void(self) -> tuple[str, ...]:
        """Why the figures mean nothing; empty when all is well."""
        return tuple(self._reasons())

    def _reasons(self) -> list[str]:
        pictures = [after.pictures - before.pictures for before, after in zip(self.before, self.after, strict=True)]
        analysed = sum(after.analysed - before.analysed for before, after in zip(self.before, self.after, strict=True))
        expected = FPS * self.seconds
        reasons = []
        if min(pictures) < MIN_FPS_SHARE * expected:
            reasons.append(f"a camera gave {min(pictures) / self.seconds:.1f} fps, expected {FPS}")
        floor_pictures = sum(done[0] for done in self.floor_done)
        if abs(floor_pictures - sum(pictures)) > MAX_UNLIKE * sum(pictures):
            reasons.append(f"the floor decoded {floor_pictures} pictures, the server {sum(pictures)}")
        floor_samples = sum(done[1] for done in self.floor_done)
        if abs(floor_samples - analysed) > MAX_UNLIKE * floor_samples + len(self.after):
            reasons.append(f"the floor took {floor_samples} samples, the server {analysed}")
        if any(camera.faces != 1 for camera in self.after):
            reasons.append(f"expected one face each, received {[camera.faces for camera in self.after]}")
        if any(camera.reconnects for camera in self.after):
            reasons.append("a camera had to reconnect")
        return reasons


def missed(before: Camera, after: Camera, every: int = EVERY) -> int:
    """Samples of a camera in a window, of which each `every`th frame is one; one may be under way at each end."""
    due = floor((after.pictures - before.pictures) / every) - 1
    return max(after.dropped_samples - before.dropped_samples, due - (after.analysed - before.analysed), 0)


def load(film: str, count: int, folder: Path, warm_s: float, seconds: float) -> Load:
    """Watch so many cameras of their own, each with that film of `FILMS`.

    Args:
        film: 25 fps with one face.
        count: cameras.
        folder: takes films, logs, storage.
        warm_s: before the window.
        seconds: length of the window.
    """
    with RtspServer(folder) as peer:
        addresses = [peer.mount(f"{film}{number}", FILMS[film]) for number in range(count)]
        with watching(addresses, folder) as watch, reference(addresses, EVERY) as floor_process:
            floor_process.wait_for("ready")
            time.sleep(warm_s)
            before, done = watch.cameras(), done_by(floor_process)
            start_s, server_s, floor_s = time.monotonic(), watch.footprint().cpu_s, floor_process.cpu_s()
            time.sleep(seconds)
            server_s, floor_s = watch.footprint().cpu_s - server_s, floor_process.cpu_s() - floor_s
            seconds = time.monotonic() - start_s
            after, done_after = watch.cameras(), done_by(floor_process)
    return Load(
        seconds=seconds,
        server_cpu_s=server_s,
        floor_cpu_s=floor_s,
        before=before,
        after=after,
        floor_done=[(b[0] - a[0], b[1] - a[1]) for a, b in zip(done, done_after, strict=True)],
    )
