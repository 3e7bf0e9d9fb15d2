"""Detects video that is not live: a face that stands still, a frozen feed, and a feed that repeats the same seconds.

A still photo, a frozen frame and a loop all look like a steady face, and none of them shows a live person.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.analysis.cuts import Appearance, contrast, grey_surroundings
from stream_detect.settings import FeedSettings
from stream_detect.types import FeedState, Image

STILL = "the picture stands still"

DISTINCT_LEVELS = 0.7
"""Mean difference in grey levels, over 32 x 32 cells around the face, from which a picture counts as new. A photo sent
as H.264 of .3 to 1 Mbit/s stays below .6; faces of the test clips exceed it within .4 s, most within .2."""

_STILL_AFTER_S = 1.5
"""Screens shared at 1 fps show a new picture every second."""

_FLAT = 1.0
"""Standard deviation in grey levels below which nothing could move, and there is no face either."""


class Motion:
    """Separates a track's new pictures from repeated ones. Not safe to use from two threads at once."""

    def __init__(self) -> None:
        self._before: Appearance | None = None
        self._moved_s = -math.inf

    def is_new(self, image: Image, now: Appearance) -> bool:
        """Whether the face's surroundings differ from the last new picture; always True for the first one.

        Args:
            image: the sample, RGB uint8 (h, w, 3).
            now: the face's appearance in it.
        """
        before = self._before
        if before is not None:
            change = (
                cv2.norm(grey_surroundings(image, before.xyxy_in(image)), before.grey, cv2.NORM_L1) / before.grey.size
            )
            if change < DISTINCT_LEVELS and contrast(before.grey) >= _FLAT:
                return False
        self._before, self._moved_s = now, now.time_s
        return True

    def stands_still(self, time_s: float) -> bool:
        """Whether nothing has moved for long enough to be reported."""
        return time_s - self._moved_s >= _STILL_AFTER_S


WH = (24, 14)
"""Size of the perceptual hash of a frame: mean grey levels, 336 bytes."""

HASH_HZ = 5.0
_PERIOD_S = 1.0 / HASH_HZ
_NOISE_LEVELS = 0.35
"""Mean difference between two hashes of one picture after coding."""

_EXACT_LEVELS = 0.02
"""For a frame that the decoder repeats. A still room differs more, because key frames renew its noise."""

_MOTION_LEVELS = 1.0
"""Usual difference between two hashes from which there is enough motion to recognise a repeat."""

_ALIKE = 0.3
"""A repeat differs by at most this share of the usual difference: it is sampled up to .1 s off the first time."""

_SHORTEST_S = 2.0
_FORGIVEN = 3
"""Samples subtracted for one that does not match."""

_MAX_HELD = 10
"""Rows that one sample can fill: two seconds, after which the analysis begins anew (window.gap_s)."""


@dataclass(frozen=True, slots=True)
class Feed:
    """State of a feed.

    Args:
        state: live, frozen or looped.
        reason: a sentence for people; empty while it is live.
    """

    state: FeedState = FeedState.LIVE
    reason: str = ""


class FeedWatch:
    """Detects that a stream is frozen or repeats itself. Memory is bounded: `loop_max_s` of hashes, 336 bytes each.

    Args:
        settings: how long is too long.
    """

    def __init__(self, settings: FeedSettings) -> None:
        self._settings = settings
        self._rows = math.ceil(settings.loop_max_s * HASH_HZ)
        self._needed = math.ceil(settings.loop_confirm_s * HASH_HZ)
        self.reset()

    def reset(self) -> None:
        """Forgets everything: the stream restarted."""
        self._row_s = -math.inf  # time of the newest row
        self._levels: NDArray[np.uint8] = np.zeros(WH[0] * WH[1], np.uint8)
        self._hashes: NDArray[np.uint8] = np.zeros((self._rows, WH[0] * WH[1]), np.uint8)
        self._matches = np.zeros(self._rows, np.int32)  # by lag: how long the feed has matched itself at that lag
        self._count = 0
        self._still: NDArray[np.float32] | None = None
        self._still_s = self._exact_s = 0.0
        self._feed = Feed()

    def look(self, image: Image, time_s: float, *, face: bool) -> Feed:
        """The state of the feed after its next sample.

        Rows are .2 s apart. Of a faster stream every second sample or so is used; of a slower one, each sample is held
        until the next.

        Args:
            image: RGB uint8 (h, w, 3).
            time_s: its stream time.
            face: whether it contains a face: a person moves, an empty room may not.
        """
        rows = self._rows_until(time_s)
        if not rows:
            return self._feed
        now = hash_of(image)
        frozen_s = self._frozen_s(now, time_s, face=face)
        if frozen_s is not None:
            self._feed = Feed(FeedState.FROZEN, f"the picture has stood still for {frozen_s:.0f} s")
            return self._feed
        loop_s = self._loop_s(now, rows)
        self._feed = Feed() if loop_s is None else Feed(FeedState.LOOPED, f"the picture repeats every {loop_s:.0f} s")
        return self._feed

    def _rows_until(self, time_s: float) -> int:
        """The number of rows from the newest one to this time; 0 if none is due."""
        passed_s = time_s - self._row_s
        if -_PERIOD_S < passed_s < 0.9 * _PERIOD_S:
            return 0
        rows = math.floor(passed_s / _PERIOD_S + 0.1) if math.isfinite(passed_s) else 0
        if 1 <= rows <= _MAX_HELD:
            self._row_s += rows * _PERIOD_S
            return rows
        self._row_s = time_s
        return 1

    def _frozen_s(self, now: NDArray[np.float32], time_s: float, *, face: bool) -> float | None:
        """How long nothing has changed, in seconds; None if that is not long."""
        change = math.inf if self._still is None else float(np.abs(now - self._still).mean())
        if change >= _NOISE_LEVELS:
            self._still, self._still_s, self._exact_s = now, time_s, time_s
            return None
        if change >= _EXACT_LEVELS:
            self._exact_s = time_s
        still_s, exact_s = time_s - self._still_s, time_s - self._exact_s
        if float(now.std()) < _FLAT:
            return None
        if face and still_s >= self._settings.frozen_s:
            return still_s
        return exact_s if exact_s >= self._settings.frozen_empty_s else None

    def _loop_s(self, now: NDArray[np.float32], rows: int) -> float | None:
        """The period in seconds by which the feed repeats itself; None if it does not.

        Args:
            now: hash of the newest sample.
            rows: number of rows since the sample before it, which was shown meanwhile.
        """
        levels = np.rint(now).astype(np.uint8)
        for _ in range(rows - 1):
            self._add(self._levels)
        known = min(self._count, self._rows)
        found = None
        if known:
            before = self._hashes[:known]
            changes = np.maximum(before, levels) - np.minimum(before, levels)  # in bytes: a third of the time
            totals = cv2.reduce(changes, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0]
            # The newest row comes first: a lag of 1.
            differences = np.roll(totals, -(self._count % known))[::-1] / levels.size
            usual = float(np.median(differences))
            if usual >= _MOTION_LEVELS:
                alike = differences <= max(_ALIKE * usual, _NOISE_LEVELS)
                shorter = alike.copy()
                shorter[1:] |= alike[:-1]
                shorter[:-1] |= alike[1:]
                matches = self._matches[:known]
                self._matches[:known] = np.where(shorter, matches + rows, np.maximum(matches - rows * _FORGIVEN, 0))
            found = self._period(known)
        self._add(levels)
        return found

    def _add(self, levels: NDArray[np.uint8]) -> None:
        self._hashes[self._count % self._rows] = self._levels = levels
        self._count += 1

    def _period(self, known: int) -> float | None:
        least = round(_SHORTEST_S * HASH_HZ) - 2  # its lag, and the neighbour that matches as well
        matches = self._matches[:known]
        if known <= least or int(matches[least:].max()) < self._needed:
            return None
        if int(matches[2:least].max(initial=0)) >= self._needed // 2:  # a fan or a lamp also repeats, but faster
            return None
        best = matches[least:] == matches[least:].max()
        first = int(best.argmax())
        alike = int((~best[first:]).argmax()) or best.size - first  # neighbours of the true lag match equally often
        return (least + 1 + first + (alike - 1) / 2) * _PERIOD_S


def hash_of(image: Image) -> NDArray[np.float32]:
    """Mean grey levels of 24 x 14 cells of a frame, float32 (336,).

    Args:
        image: RGB uint8 (h, w, 3).
    """
    sampled = cv2.resize(image, (8 * WH[0], 8 * WH[1]), interpolation=cv2.INTER_LINEAR)
    grey = cv2.cvtColor(sampled, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.resize(grey, WH, interpolation=cv2.INTER_AREA), np.float32).ravel()
