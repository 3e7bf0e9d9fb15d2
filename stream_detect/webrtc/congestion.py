"""Congestion control: which frames are sent to a viewer, by the loss and bandwidth that it reports."""

import time
from collections.abc import Callable, Sequence
from statistics import median

LOSSY = 0.1
"""Share of lost packets above which a link is full; below, retransmission mends it (Google congestion control has the
same limit)."""

BURST_S = 0.5
"""What a full link still buffers, as seconds of its estimate."""

SILENT_S = 3.0
"""Nothing is sent any longer to a viewer that has not reported for so long; browsers report every second."""


def shared_bitrate_bps(estimates_bps: Sequence[float]) -> int:
    """What to encode for, given every viewer's estimate (one at least)."""
    return round(max(min(estimates_bps), median(estimates_bps) / 2))


class CongestionControl:
    """What one viewer's link takes. Used on the event loop.

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
        """When the oldest frame was sent that no report has followed; None when there is none."""

    def estimate(self, bitrate_bps: int) -> None:
        """The viewer's estimate of its bandwidth."""
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
        """A frame was sent. A large one may go into debt, else no keyframe would ever fit a narrow link."""
        if self.unanswered_s is None:
            self.unanswered_s = self._clock()
        if self._lossy:
            self._room_bits -= 8 * size_bytes
