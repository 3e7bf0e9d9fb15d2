"""Sampler: the stream time of each frame enters, whether that frame is to be analysed leaves."""

import math

TOLERANCE = 0.01
"""Share of a period by which a frame may come early: presentation timestamps are rounded to their clock's ticks."""


class Sampler:
    """Picks frames at an average rate by stream time.

    Due times lie on a grid, so the rate does not drift with the frame rate: 10 Hz out of 15 fps takes two frames of
    three. The grid begins anew after a pause or a jump of more than a period, forwards or backwards; what was missed is
    not made up for in a burst. A stream slower than the rate is taken whole.

    Args:
        rate_hz: samples a second of stream time, above 0.
    """

    def __init__(self, rate_hz: float) -> None:
        if not rate_hz > 0:
            raise ValueError(f"expected a rate_hz above 0, received {rate_hz}")
        self._period_s = 1.0 / rate_hz
        self._due_s = -math.inf

    def wants(self, time_s: float) -> bool:
        """Whether the frame at this stream time is to be sampled; ask once for each frame, in order of arrival."""
        early_s = self._due_s - time_s
        if early_s > 2 * self._period_s or early_s <= -self._period_s:
            self._due_s = time_s + self._period_s
            return True
        if early_s > TOLERANCE * self._period_s:
            return False
        self._due_s += self._period_s
        return True
