"""Examines the files of a command line in several processes, with the outcomes in the order of the inputs."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from stream_detect.cli.inputs import NOTHING_IN_FOLDER, MediaInput, on_disk
from stream_detect.errors import NoMediaError, StreamDetectError
from stream_detect.jobs.incoming import ReceivedFile
from stream_detect.jobs.processes import ReviewProcesses
from stream_detect.review.examination import Hooks
from stream_detect.review.models import ExaminationSettings
from stream_detect.review.results import Reviewed
from stream_detect.storage.records import Upload

_AHEAD = 2
"""Files submitted per thread, so that one slow file does not keep all later results in memory."""

_EXAMINED = 0.5
"""Share of the progress before the annotated video is made, if there is one."""


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """Outcome of one input.

    Args:
        given: the input.
        upload: the file; without a sha256 if it could not be read.
        reviewed: the results; None if there is a problem.
        annotated: created files.
        problem: what went wrong; empty if nothing did. With results: why an annotated file was not made.
        passed_over: whether it was found in a folder and is neither a picture nor a video.
    """

    given: MediaInput
    upload: Upload
    reviewed: Reviewed | None
    annotated: tuple[Path, ...] = ()
    problem: str = ""
    passed_over: bool = False


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How files are examined.

    Args:
        settings: settings of the examinations.
        models: names of the bundles, each once.
        rate_hz: samples per second.
        jobs: files at once.
        annotate_to: folder for annotated videos and pictures; None for none.
    """

    settings: ExaminationSettings
    models: tuple[str, ...]
    rate_hz: float
    jobs: int
    annotate_to: Path | None = None


OnShare = Callable[[int, float], None]
"""Called with the number of an input, from 0, and its share done; on any thread."""


def examined(inputs: Sequence[MediaInput], options: BatchOptions, on_share: OnShare) -> Iterator[FileOutcome]:
    """Examines all inputs; a bad one does not stop the others. If closed early, running ones are stopped.

    Args:
        inputs: the inputs; there is one outcome for each, in this order.
        options: how to examine them.
        on_share: called with the progress.
    """
    stopping = Event()
    names = _names(inputs, options)
    waiting: deque[Future[FileOutcome]] = deque()
    pool = ThreadPoolExecutor(options.jobs, "analysis")
    processes = ReviewProcesses(options.settings)
    try:
        for number, given in enumerate(inputs):
            job = _Job(options, processes, stopping, names[number])
            waiting.append(pool.submit(job.run, number, given, on_share))
            if len(waiting) >= _AHEAD * options.jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)
        processes.close()


class PassedOver:
    """Counts files in folders that are neither pictures nor videos; a folder with only such files is an error."""

    def __init__(self, inputs: Sequence[MediaInput]) -> None:
        self._last = {given.folder: given for given in inputs if given.folder}
        self._used: set[str] = set()
        self.count = 0

    def filtered(self, outcome: FileOutcome) -> FileOutcome | None:
        """The outcome to be shown, None for none.

        Args:
            outcome: the next one, in the order of the inputs.
        """
        given = outcome.given
        if not outcome.passed_over:
            self._used.add(given.folder)
            return outcome
        self.count += 1
        if given is self._last[given.folder] and given.folder not in self._used:
            folder = MediaInput(given.folder)
            return replace(outcome, given=folder, upload=Upload(folder.shown, 0, ""), problem=NOTHING_IN_FOLDER)
        return None


@dataclass(frozen=True, slots=True)
class _Job:
    """One file, on a thread."""

    options: BatchOptions
    processes: ReviewProcesses
    stopping: Event
    annotated_name: str

    def run(self, number: int, given: MediaInput, on_share: OnShare) -> FileOutcome:
        """Examines the file."""
        upload = Upload(given.shown, 0, "")
        options = self.options
        hooks = self._hooks(lambda share: on_share(number, share * (_EXAMINED if options.annotate_to else 1.0)))
        try:
            with on_disk(given, options.settings.review, hooks) as file:
                reviewed = self.processes.review(file.path, options.models, options.rate_hz, hooks)
                upload = reviewed.completed(Upload(given.shown, file.bytes, file.sha256))
                after = self._hooks(lambda share: on_share(number, _EXAMINED + (1 - _EXAMINED) * share))
                made, problem = self._annotated(file, reviewed, upload, after)
        except NoMediaError as error:
            return FileOutcome(given, upload, None, problem=str(error), passed_over=given.may_be_other)
        except StreamDetectError as error:
            return FileOutcome(given, upload, None, problem=str(error))
        except OSError as error:
            return FileOutcome(given, upload, None, problem=error.strerror or type(error).__name__)
        return FileOutcome(given, upload, reviewed, made, problem)

    def _annotated(
        self, file: ReceivedFile, reviewed: Reviewed, upload: Upload, hooks: Hooks
    ) -> tuple[tuple[Path, ...], str]:
        """Makes the annotated files; returns those made, and why others were not, which does not affect the verdict."""
        folder = self.options.annotate_to
        if folder is None:
            return (), ""
        made: list[Path] = []
        try:
            made.extend(self._drawn(folder, file, reviewed, upload, hooks))
        except (StreamDetectError, OSError) as error:
            return tuple(made), f"no annotated file: {error}"
        return tuple(made), ""

    def _drawn(
        self, folder: Path, file: ReceivedFile, reviewed: Reviewed, upload: Upload, hooks: Hooks
    ) -> Iterator[Path]:
        suffix = "jpg" if reviewed.facts.kind == "image" else "mp4"
        with TemporaryDirectory(prefix="stream-detect-") as temporary:
            results = Path(temporary) / "results.json"
            with results.open("w", encoding="utf-8") as opened:
                opened.writelines(reviewed.json_parts("", upload))
            for model in self.options.models:
                mark = f".{model}" if len(self.options.models) > 1 else ""
                to = folder / f"{self.annotated_name}{mark}.{suffix}"
                self.processes.annotate(file.path, to, results, model, hooks)
                to.chmod(0o644)
                yield to

    def _hooks(self, on_progress: Callable[[float], None]) -> Hooks:
        return Hooks(on_progress, self.stopping.is_set)


def _names(inputs: Sequence[MediaInput], options: BatchOptions) -> list[str]:
    """Name of each annotated file, without a suffix; equal names are numbered, and no number makes another equal."""
    numbers: Counter[str] = Counter()
    names: dict[str, None] = {}
    for given in inputs if options.annotate_to else ():
        stem = given.stem.replace(os.sep, "_")
        name = f"{stem}.annotated"
        while name in names:
            numbers[stem] += 1
            name = f"{stem}.{numbers[stem] + 1}.annotated"
        names[name] = None
    return list(names) or [""] * len(inputs)
