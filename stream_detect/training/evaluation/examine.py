"""Many files judged on several threads: entries enter, outcomes leave in the same order."""

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Literal

import numpy as np

from stream_detect.errors import MediaError
from stream_detect.training.evaluation.judge import Judge, Judgement
from stream_detect.training.evaluation.manifest import Entry
from stream_detect.training.evaluation.media import Files, frames
from stream_detect.types import Image

Kind = Literal["image", "video", "unreadable"]

Worsen = Callable[[Image, np.random.Generator], Image]
"""What a condition does to a picture; what it draws, it draws from the generator."""

_AHEAD = 16
"""Files in work or done at once for each thread, so that a slow reader of the outcomes does not fill the memory."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A file, judged or not.

    Args:
        entry: of the manifest.
        kind: what the file is; "unreadable" when that could not be told.
        judgements: one a model, in order.
    """

    entry: Entry
    kind: Kind
    judgements: tuple[Judgement, ...]


class Examination:
    """Judges files on several threads.

    Args:
        files: where they are.
        judges: one a thread.
        models: how many models each judge asks.
        crops: whether pictures are face crops already.
        rate_hz: frames a second of a video that are looked at.
    """

    def __init__(self, files: Files, judges: Sequence[Judge], models: int, *, crops: bool, rate_hz: float) -> None:
        self._files = files
        self._judges: SimpleQueue[Judge] = SimpleQueue()
        for judge in judges:
            self._judges.put(judge)
        self._threads = len(judges)
        self._models = models
        self._crops = crops
        self._rate_hz = rate_hz

    def run(self, entries: Iterable[Entry], worsen: Worsen | None = None) -> Iterator[Outcome]:
        """Judges the files, each by all models.

        Args:
            entries: of the manifest.
            worsen: done to each picture first; videos are judged as they are.

        Raises:
            AnalysisError: the detector or a model cannot be run.
        """
        self._files.index()
        waiting: deque[Future[Outcome]] = deque()
        pool = ThreadPoolExecutor(self._threads, "examination")
        try:
            for entry in entries:
                waiting.append(pool.submit(self._examine, entry, worsen))
                if len(waiting) >= _AHEAD * self._threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _examine(self, entry: Entry, worsen: Worsen | None) -> Outcome:
        judge = self._judges.get()
        try:
            return self._judged(entry, judge, worsen)
        except MediaError as error:
            return Outcome(entry, "unreadable", (Judgement(None, 0, str(error)),) * self._models)
        finally:
            self._judges.put(judge)

    def _judged(self, entry: Entry, judge: Judge, worsen: Worsen | None) -> Outcome:
        loaded = self._files.load(entry.file)
        if not isinstance(loaded, np.ndarray):
            return Outcome(entry, "video", judge.video(frames(loaded, self._rate_hz)))
        if worsen is not None:
            loaded = worsen(loaded, np.random.default_rng(zlib.crc32(entry.file.encode())))
        return Outcome(entry, "image", judge.crop(loaded) if self._crops else judge.picture(loaded))
