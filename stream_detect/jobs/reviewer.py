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
    """Thread-safe; all of it blocks, and ends with `ReviewCancelledError` when the hooks say so."""

    @property
    def at_once(self) -> int:
        """How many files it can examine at the same time now; at least one. Does not block."""
        ...

    def review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> Reviewed:
        """Examines a file.

        Raises:
            StreamDetectError: it cannot be judged; the message says what is wrong.
        """
        ...

    def annotate(self, file: Path, to: Path, results: Path, model: str, hooks: Hooks) -> None:
        """Draws the annotated video, or picture, from a model's stored results, to a path whose suffix says nothing.

        Raises:
            StreamDetectError: it cannot be made.
        """
        ...

    def fetch(self, address: str, to: IncomingFile, hooks: Hooks) -> ReceivedFile:
        """Fetches a file.

        Raises:
            StreamDetectError: it cannot be fetched, or must not be.
        """
        ...

    def close(self) -> None:
        """Ends what still runs."""
        ...


class ModelReviewer:
    """The reviewer that serves: files are decoded and judged in processes of their own (`jobs.processes`).

    Args:
        settings: of the examinations.
        busy: whether live streams run on this machine, which go first.
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
        """See `Reviewer`; a bundle that changed since the file before is taken as it is now."""
        return unpack(self.packed_review(file, models, rate_hz, hooks))

    def packed_review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> bytes:
        """As `review`, in the form of `review.packing`."""
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
        """Hooks that give way to the live streams, too."""
        rest = RestBesideLive(self._busy, self._settings.share_beside_live, hooks.sleep)

        def give_way() -> None:
            hooks.give_way()
            rest.give_way()

        return replace(hooks, give_way=give_way)
