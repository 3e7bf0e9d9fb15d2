"""Whoever looks at files for the jobs: a file and names of models enter, what they say of it leaves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from stream_detect.models.registry import Registry
from stream_detect.review.annotate import annotate
from stream_detect.review.examine import examine
from stream_detect.review.fetch import fetch
from stream_detect.review.hooks import Hooks
from stream_detect.review.panel import load_panel
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
    """The one that serves: loads the models anew for each file, so that a bundle that changed is taken as it is.

    Args:
        registry: where bundles are found.
        settings: all of them.
    """

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = settings

    def review(self, file: Path, models: Sequence[str], rate_hz: float, hooks: Hooks) -> Reviewed:
        """See `Reviewer`."""
        return examine(file, load_panel(self._registry, models, self._settings), rate_hz, hooks)

    def annotate(self, file: Path, to: Path, model: str, rate_hz: float, hooks: Hooks) -> None:
        """See `Reviewer`."""
        annotate(file, to, load_panel(self._registry, [model], self._settings), rate_hz, hooks)

    def fetch(self, address: str, to: Path, hooks: Hooks) -> None:
        """See `Reviewer`."""
        fetch(address, to, self._settings.review, hooks)
