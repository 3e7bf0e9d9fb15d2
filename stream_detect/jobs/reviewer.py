"""The reviewer of uploads: examines and annotates files in separate processes, and gives way to live streams."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from stream_detect.jobs.fetch import fetch
from stream_detect.jobs.incoming import IncomingFile, ReceivedFile
from stream_detect.jobs.processes import ReviewProcesses
from stream_detect.jobs.progress import RestBesideLive
from stream_detect.review.examination import Hooks
from stream_detect.review.models import ExaminationSettings
from stream_detect.review.packing import unpack
from stream_detect.review.results import Reviewed


class Reviewer(Protocol):
    """Examines the files of jobs. Thread-safe; calls block, and raise `ReviewCancelledError` if the hooks cancel."""

    @property
    def at_once(self) -> int:
        """How many files it can examine at once now, at least one. Does not block."""
        ...

    def review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> Reviewed:
        """Examines a file.

        Raises:
            StreamDetectError: it cannot be judged; the message says why.
        """
        ...

    def annotate(self, file: Path, to: Path, results: Path, model: str, hooks: Hooks) -> None:
        """Draws the annotated video or picture from a model's stored results; the suffix of `to` is ignored.

        Raises:
            StreamDetectError: it cannot be made.
        """
        ...

    def fetch(self, address: str, to: IncomingFile, hooks: Hooks) -> ReceivedFile:
        """Fetches a file.

        Raises:
            StreamDetectError: it cannot be fetched, or its address is forbidden.
        """
        ...

    def close(self) -> None:
        """Ends everything that is running."""
        ...


class ModelReviewer:
    """The reviewer of a server: files are decoded and judged in separate processes (`jobs.processes`).

    Args:
        settings: settings of the examinations.
        busy: returns whether live streams, which go first, run on this machine.
    """

    def __init__(self, settings: ExaminationSettings, busy: Callable[[], bool]) -> None:
        self._processes = ReviewProcesses(settings)
        self._settings = settings.review
        self._busy = busy

    @property
    def at_once(self) -> int:
        """See `Reviewer`."""
        return self._settings.jobs

    def review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> Reviewed:
        """See `Reviewer`; a bundle that has changed since the last file is loaded again."""
        return unpack(self.packed_review(file, models, rate_hz, hooks))

    def packed_review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> bytes:
        """Like `review`, in the form of `review.packing`."""
        return self._processes.packed_review(file, models, rate_hz, self._resting(hooks))

    def annotate(self, file: Path, to: Path, results: Path, model: str, hooks: Hooks) -> None:
        """See `Reviewer`."""
        self._processes.annotate(file, to, results, model, self._resting(hooks))

    def fetch(self, address: str, to: IncomingFile, hooks: Hooks) -> ReceivedFile:
        """See `Reviewer`."""
        return fetch(address, to, self._settings, hooks)

    def close(self) -> None:
        """See `Reviewer`."""
        self._processes.close()

    def _resting(self, hooks: Hooks) -> Hooks:
        """Hooks that also give way to live streams."""
        rest = RestBesideLive(self._busy, self._settings.share_beside_live, hooks.sleep)

        def give_way() -> None:
            hooks.give_way()
            rest.give_way()

        return replace(hooks, give_way=give_way)
