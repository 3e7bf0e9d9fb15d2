"""Many files judged on several threads: entries enter, outcomes leave in the same order."""

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Literal

import numpy as np

from stream_detect.errors import MediaError
from stream_detect.training.evaluation.conditions import Condition
from stream_detect.training.evaluation.judge import Judge, Judgement
from stream_detect.training.evaluation.manifest import Entry
from stream_detect.training.evaluation.media import Files, frames, sampled

Kind = Literal["image", "video", "unreadable"]

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

    def run(self, entries: Iterable[Entry], condition: Condition | None = None) -> Iterator[Outcome]:
        """Judges the files, each by all models.

        Args:
            entries: of the manifest.
            condition: under which; None takes them as they are.

        Raises:
            AnalysisError: the detector or a model cannot be run.
        """
        self._files.index()
        waiting: deque[Future[Outcome]] = deque()
        pool = ThreadPoolExecutor(self._threads, "examination")
        try:
            for entry in entries:
                waiting.append(pool.submit(self._examine, entry, condition))
                if len(waiting) >= _AHEAD * self._threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _examine(self, entry: Entry, condition: Condition | None) -> Outcome:
        judge = self._judges.get()
        try:
            return self._judged(entry, judge, condition)
        except MediaError as error:
            return Outcome(entry, "unreadable", (Judgement(None, 0, str(error)),) * self._models)
        finally:
            self._judges.put(judge)

    def _judged(self, entry: Entry, judge: Judge, condition: Condition | None) -> Outcome:
        loaded = self._files.load(entry.file)
        rng = np.random.default_rng(zlib.crc32(entry.file.encode()))  # draws the same for a file every time
        if not isinstance(loaded, np.ndarray):
            stream = frames(loaded)
            taken = condition.video(stream, self._rate_hz, rng) if condition else sampled(stream, self._rate_hz)
            return Outcome(entry, "video", judge.video(taken))
        image = condition.picture(loaded, rng) if condition else loaded
        return Outcome(entry, "image", judge.crop(image) if self._crops else judge.picture(image))
