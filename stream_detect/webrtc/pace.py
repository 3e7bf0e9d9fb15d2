"""Pace: what a viewer reports of its line enters; whether it gets every picture, and what all are encoded for, leave.

One encoder serves all viewers of a camera, so its bitrate follows the narrowest line, but no lower than half of what
the middle one has: a single bad line costs the others half of their bits at worst. Whoever cannot follow at that rate
is dropped to keyframes, as many as its line has room for. Its own estimate (REMB) alone does not tell: that never
rises far above what was received, so it is low for every still picture. Loss does.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median

LOSSY = 0.1
"""Share of lost packets above which a line is full; below, retransmission mends it (GCC draws the line there, too)."""

BURST_S = 0.5
"""What a full line still buffers, as seconds of its estimate."""

SILENT_S = 3.0
"""Pictures go out no longer to a viewer that has not reported for so long; browsers report every second."""


def shared_bitrate_bps(estimates_bps: Sequence[float]) -> int:
    """What to encode for, given every viewer's estimate (one at least)."""
    return round(max(min(estimates_bps), median(estimates_bps) / 2))


class Pace:
    """One viewer's line. Used on the event loop.

    Args:
        bitrate_bps: estimate until the viewer's own first one.
        clock: monotonic seconds.
    """

    def __init__(self, bitrate_bps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.bitrate_bps = bitrate_bps
        self._clock = clock
        self._lossy = False
        self._room_bits = 0.0
        self._filled_s = 0.0
        self.unanswered_s: float | None = None
        """When the oldest picture was sent that no report has followed; None when there is none."""

    def estimate(self, bitrate_bps: int) -> None:
        """The viewer's estimate of its line."""
        self.bitrate_bps = bitrate_bps
        self.unanswered_s = None

    def report(self, lost: float) -> None:
        """The viewer missed that share of packets, in [0, 1], since its last report."""
        self.unanswered_s = None
        lossy = lost >= LOSSY
        if lossy and not self._lossy:
            self._room_bits, self._filled_s = 0.0, self._clock()
        self._lossy = lossy

    def admits(self) -> bool:
        """Whether a picture may be sent now."""
        now_s = self._clock()
        if self.unanswered_s is not None and now_s - self.unanswered_s > SILENT_S:
            return False
        if not self._lossy:
            return True
        self._room_bits += (now_s - self._filled_s) * self.bitrate_bps
        self._room_bits = min(self._room_bits, BURST_S * self.bitrate_bps)
        self._filled_s = now_s
        return self._room_bits >= 0

    def sent(self, size_bytes: int) -> None:
        """A picture was sent. A large one may go into debt, else no keyframe would ever fit a narrow line."""
        if self.unanswered_s is None:
            self.unanswered_s = self._clock()
        if self._lossy:
            self._room_bits -= 8 * size_bytes
