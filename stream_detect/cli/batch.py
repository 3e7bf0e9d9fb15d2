"""Many files, some at once: inputs enter, what was found of each leaves, in the order of the inputs."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from stream_detect.cli.inputs import MediaInput, on_disk
from stream_detect.errors import StreamDetectError
from stream_detect.models.bundle import sha256_of
from stream_detect.review.annotated_video import annotate
from stream_detect.review.examination import Hooks, examine
from stream_detect.review.models import ReviewModels
from stream_detect.review.results import Reviewed
from stream_detect.storage.records import Upload

_AHEAD = 2
"""Files given to the threads for each of them: one that takes long must not have all later results held in memory."""

_EXAMINED = 0.5
"""Share of the work that is done before the annotated video is made, where one is."""


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one input.

    Args:
        given: the input.
        upload: the file; without a sha256 when it could not be read.
        reviewed: what the models say; None when there is a problem.
        annotated: files that were made.
        problem: what went wrong; empty when nothing did.
    """

    given: MediaInput
    upload: Upload
    reviewed: Reviewed | None
    annotated: tuple[Path, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How files are looked at.

    Args:
        review_models: the models.
        rate_hz: samples a second.
        jobs: files at once.
        annotate_to: folder for annotated videos and pictures; None for none.
    """

    review_models: ReviewModels
    rate_hz: float
    jobs: int
    annotate_to: Path | None = None


OnShare = Callable[[int, float], None]
"""Is told the number of an input, from 0, and its share done; on any thread."""


def examined(inputs: Sequence[MediaInput], options: BatchOptions, on_share: OnShare) -> Iterator[FileOutcome]:
    """Looks at all of them; a bad one stops none. Closed early, it has what is running stop.

    Args:
        inputs: in the order in which their outcomes leave.
        options: how.
        on_share: progress.
    """
    stopping = Event()
    names = _names(inputs, options)
    waiting: deque[Future[FileOutcome]] = deque()
    pool = ThreadPoolExecutor(options.jobs, "analysis")
    try:
        for number, given in enumerate(inputs):
            waiting.append(pool.submit(_Job(options, stopping, names[number]).run, number, given, on_share))
            if len(waiting) >= _AHEAD * options.jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Job:
    """One file, on a thread."""

    options: BatchOptions
    stopping: Event
    annotated_name: str

    def run(self, number: int, given: MediaInput, on_share: OnShare) -> FileOutcome:
        """What became of it."""
        upload = Upload(given.name, 0, "")
        hooks = self._hooks(lambda share: on_share(number, share * (_EXAMINED if self.options.annotate_to else 1.0)))
        try:
            with on_disk(given, self.options.review_models.settings.review, hooks) as path:
                reviewed = examine(path, self.options.review_models, self.options.rate_hz, hooks)
                upload = reviewed.completed(Upload(given.name, path.stat().st_size, sha256_of(path)))
                after = self._hooks(lambda share: on_share(number, _EXAMINED + (1 - _EXAMINED) * share))
                made = self._annotated(path, reviewed, after)
        except StreamDetectError as error:
            return FileOutcome(given, upload, None, problem=str(error))
        except OSError as error:
            return FileOutcome(given, upload, None, problem=error.strerror or type(error).__name__)
        return FileOutcome(given, upload, reviewed, made)

    def _annotated(self, path: Path, reviewed: Reviewed, hooks: Hooks) -> tuple[Path, ...]:
        folder = self.options.annotate_to
        if folder is None:
            return ()
        suffix = "jpg" if reviewed.facts.kind == "image" else "mp4"
        made = []
        for model in self.options.review_models.models:
            mark = f".{model.judge.name}" if len(self.options.review_models.models) > 1 else ""
            to = folder / f"{self.annotated_name}{mark}.{suffix}"
            annotate(path, to, self.options.review_models.only(model.judge.name), self.options.rate_hz, hooks)
            made.append(to)
        return tuple(made)

    def _hooks(self, on_progress: Callable[[float], None]) -> Hooks:
        return Hooks(on_progress, self.stopping.is_set)


def _names(inputs: Sequence[MediaInput], options: BatchOptions) -> list[str]:
    """What the annotated file of each is called, without a suffix: those of one name are numbered."""
    taken: dict[str, int] = {}
    names = []
    for given in inputs if options.annotate_to else ():
        stem = given.stem.replace(os.sep, "_")
        taken[stem] = taken.get(stem, 0) + 1
        names.append(f"{stem}.annotated" if taken[stem] == 1 else f"{stem}.{taken[stem]}.annotated")
    return names or [""] * len(inputs)
