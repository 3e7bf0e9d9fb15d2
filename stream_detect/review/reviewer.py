"""Whoever looks at files for the jobs: a file and names of models enter, what they say of it leaves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from stream_detect.models.registry import Registry
from stream_detect.review.annotate import annotate
from stream_detect.review.examine import examine
from stream_detect.review.fetch import fetch
from stream_detect.review.hooks import Hooks
from stream_detect.review.panel import Panels
from stream_detect.review.reviewed import Reviewed
from stream_detect.settings import Settings


class Reviewer(Protocol):
    """Thread-safe; all of it blocks, and ends with `ReviewCancelledError` when the hooks say so."""

    def review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> Reviewed:
        """Looks at a file.

        Raises:
            StreamDetectError: it cannot be judged; the message says what is wrong.
        """
        ...

    def annotate(self, file: Path, to: Path, model: str, rate_hz: float, hooks: Hooks) -> None:
        """Writes the annotated video, or picture, to a path whose suffix says nothing.

        Raises:
            StreamDetectError: it cannot be made.
        """
        ...

    def fetch(self, address: str, to: Path, hooks: Hooks) -> None:
        """Fetches a file.

        Raises:
            StreamDetectError: it cannot be fetched, or must not be.
        """
        ...


class ModelReviewer:
    """The one that serves. A bundle that changed since the file before is taken as it is now.

    Args:
        registry: where bundles are found.
        settings: all of them.
    """

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._panels = Panels(registry, settings)
        self._settings = settings

    def review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> Reviewed:
        """See `Reviewer`."""
        return examine(file, self._panels.panel(models), rate_hz, hooks)

    def annotate(self, file: Path, to: Path, model: str, rate_hz: float, hooks: Hooks) -> None:
        """See `Reviewer`."""
        annotate(file, to, self._panels.panel([model]), rate_hz, hooks)

    def fetch(self, address: str, to: Path, hooks: Hooks) -> None:
        """See `Reviewer`."""
        fetch(address, to, self._settings.review, hooks)
