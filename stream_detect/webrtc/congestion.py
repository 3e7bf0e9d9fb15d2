"""Congestion control: which frames are sent to a viewer, by the loss and bandwidth that it reports."""

import time
from collections.abc import Callable, Sequence
from statistics import median

LOSSY = 0.1
"""Share of lost packets above which a link is congested; below it, retransmission is enough (Google congestion control
has the same limit)."""

BURST_S = 0.5
"""Amount that a congested link still buffers, in seconds of its estimate."""

SILENT_S = 3.0
"""Nothing is sent to a viewer that has not reported for this time; browsers report every second."""


def shared_bitrate_bps(estimates_bps: Sequence[float]) -> int:
    """Bitrate to encode for, given every viewer's estimate (at least one)."""
    return round(max(min(estimates_bps), median(estimates_bps) / 2))


class CongestionControl:
    """Congestion control of one viewer's link. Used on the event loop.

    Args:
        bitrate_bps: estimate until the viewer sends one.
        clock: returns monotonic seconds.
    """

    def __init__(self, bitrate_bps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.bitrate_bps = bitrate_bps
        self._clock = clock
        self._lossy = False
        self._room_bits = 0.0
        self._filled_s = 0.0
        self.unanswered_s: float | None = None
        """Time of the oldest sent frame that no report has followed; None if there is none."""

    def estimate(self, bitrate_bps: int) -> None:
        """The viewer's estimate of its bandwidth."""
        self.bitrate_bps = bitrate_bps
        self.unanswered_s = None

    def report(self, lost: float) -> None:
        """Share of packets since the last report that the viewer missed, in [0, 1]."""
        self.unanswered_s = None
        lossy = lost >= LOSSY
        if lossy and not self._lossy:
            self._room_bits, self._filled_s = 0.0, self._clock()
        self._lossy = lossy

    def admits(self) -> bool:
        """Whether a frame may be sent now."""
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
        """Records a sent frame. A large one may exceed the budget, or no keyframe would ever fit a narrow link."""
        if self.unanswered_s is None:
            self.unanswered_s = self._clock()
        if self._lossy:
            self._room_bits -= 8 * size_bytes
