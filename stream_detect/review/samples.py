"""The samples of a file: its frames at the sampling rate, each with the faces found in it.

They are processed in turns: several frames are decoded, then faces are detected in all of them, then all are judged. A
processor that changes from decoder to network and back at each frame has cold caches, which costs a tenth of the time
(98 samples of 640x480: .78 s one by one, .74 in turns of 4, .70 of 8, .68 of 16). With threads to spare, each step has
its own.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

from stream_detect.analysis.sampler import Sampler
from stream_detect.sources.file_frame import Facts
from stream_detect.sources.media import Media
from stream_detect.types import Detector, Face, Frame

Item = TypeVar("Item")

_AHEAD = 2
"""Items ahead of the current one: one waits, one is being made."""


def ahead(items: Iterable[Item]) -> Generator[Item]:
    """Makes items on a thread while earlier ones are used; exceptions are raised in their turn.

    If closed early (`contextlib.closing`), it waits for the current item and for the end of the thread.

    Args:
        items: used only by the thread until this ends; may itself be a generator that works ahead.
    """
    making = iter(items)
    end = object()
    pool = ThreadPoolExecutor(1, "review-ahead")
    try:
        coming = deque(pool.submit(next, making, end) for _ in range(_AHEAD))
        while (item := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, making, end))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)


_TURN = 8
_TURN_BYTES = 20_000_000
"""Bytes of images after which a turn ends: 4 frames of 1080p, one of 4K. With decoding ahead, at most five turns are
held."""
_MOST_AHEAD_PX = 4096 * 2160
"""Larger frames are not decoded ahead."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled frame.

    Args:
        frame: image and time.
        done_share: share of the file read so far, in [0, 1].
        damaged: parts that could not be decoded so far.
        faces: faces found in it; empty before detection.
    """

    frame: Frame
    done_share: float
    damaged: int
    faces: tuple[Face, ...] = ()


Turn = list[Sample]


def goes_ahead(facts: Facts, threads: int) -> bool:
    """Whether the frames of a file may be decoded ahead."""
    w, h = facts.wh
    return threads > 1 and facts.kind == "video" and w * h <= _MOST_AHEAD_PX


class Samples:
    """The samples of one file; can be iterated once.

    Args:
        media: the open file.
        detector: detects faces.
        rate_hz: samples per second.
        max_duration_s: duration of the part that is examined.
    """

    def __init__(self, media: Media, detector: Detector, rate_hz: float, max_duration_s: float) -> None:
        self._media = media
        self._detector = detector
        self._rate_hz = rate_hz
        self._max_duration_s = max_duration_s
        self.cut_short = False
        """Whether the file is longer; known at the end."""

    @contextmanager
    def searched(self, threads: int, leave: Callable[[], None]) -> Iterator[Iterator[Sample]]:
        """Iterates over all samples with their faces.

        Args:
            threads: if more than one, frames are decoded and searched ahead.
            leave: called at the end of the context; makes decoding end soon, with an error.

        Raises:
            MediaError: a frame cannot be decoded.
            AnalysisError: the detector failed.
        """
        with ExitStack() as stack:
            turns: Iterable[Turn] = self._decoded()
            if goes_ahead(self._media.facts, threads):
                decoded = stack.enter_context(closing(ahead(turns)))
                turns = stack.enter_context(closing(ahead(map(self._search, decoded))))
            else:
                turns = map(self._search, turns)
            stack.callback(leave)
            yield chain.from_iterable(turns)

    def _decoded(self) -> Iterator[Turn]:
        turn: Turn = []
        held_bytes, full = 0, 1
        for shot in self._media.shots(Sampler(self._rate_hz).wants):
            if shot.time_s > self._max_duration_s:
                self.cut_short = True
                break
            frame = Frame(shot.rgb(), shot.time_s, 0.0)
            turn.append(Sample(frame, self._media.done_share, self._media.damaged))
            held_bytes += frame.image.nbytes
            if len(turn) == full or held_bytes >= _TURN_BYTES:
                yield turn
                turn, held_bytes, full = [], 0, min(2 * full, _TURN)  # short at first, so that work begins soon
        yield turn

    def _search(self, turn: Turn) -> Turn:
        return [replace(sample, faces=tuple(self._detector.detect(sample.frame.image))) for sample in turn]
