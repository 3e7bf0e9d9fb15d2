"""The services behind analyses of uploads: made, started and ended."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter

from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.api import analyses, submissions
from stream_detect.app.listeners import AnalysisListeners
from stream_detect.errors import BundleError, SettingsError
from stream_detect.jobs.jobs import Jobs
from stream_detect.jobs.library import FOLDER, Library
from stream_detect.jobs.progress import JobProgress
from stream_detect.jobs.reviewer import Reviewer
from stream_detect.jobs.work import AnalysisStores
from stream_detect.models.registry import Registry
from stream_detect.off_loop import off_loop
from stream_detect.settings import Settings
from stream_detect.storage.analyses import Analyses
from stream_detect.storage.database import Database

_CLOSE_S = 1.0
"""A job stops between two packets; one that does not ends with the process."""


class AnalysisService:
    """The jobs that analyse uploads, and their listeners: created, started, then closed on the event loop.

    Args:
        settings: all sections.
        database: stays open until this is closed.
        reviewer: examines files.
        models: finds bundles.
    """

    def __init__(self, settings: Settings, database: Database, reviewer: Reviewer, models: submissions.Models) -> None:
        self.busy: Callable[[], bool] = lambda: False
        """Whether live streams, which go first, are running; set later."""
        self.listeners = AnalysisListeners()
        self.analyses = Analyses(database)
        self.library = Library(settings.storage.folder / FOLDER, settings.review)
        stores = AnalysisStores(self.analyses, self.library, JobProgress(self.listeners.notify))
        self.jobs = Jobs(stores, reviewer, settings.review)
        self._submissions = submissions.Submissions(
            self.jobs, self.library, models, settings.review, settings.only(AnalysisSettings)
        )

    def start(self) -> None:
        """Resumes unfinished jobs.

        Raises:
            StorageError: the database or the folder cannot be used.
        """
        self.jobs.start()

    def shut_down(self) -> None:
        """Ends all progress streams, and stops jobs soon: the server begins to stop."""
        self.listeners.close()
        self.jobs.stop()

    async def close(self) -> None:
        """Ends all jobs within a second; the next start resumes them."""
        self.shut_down()
        await off_loop(lambda: self.jobs.close(_CLOSE_S), "close-jobs")

    def routers(self) -> list[APIRouter]:
        """The routes of analyses."""
        return [
            submissions.router(self._submissions),
            analyses.router(self.jobs, self.listeners),
            analyses.files(self.jobs, self.library),
            analyses.annotations(self.jobs, self.library),
            analyses.reports(self.jobs, self.library),
        ]


def lookup(registry: Registry, in_use: Callable[[], str]) -> submissions.Models:
    """Returns a function that finds bundles by name, unverified: loading verifies them.

    Args:
        registry: registry of the bundles.
        in_use: returns the name of the one in use.
    """

    def models(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
        try:
            return tuple((name, registry.sha256_of(name)) for name in dict.fromkeys(names or [in_use()]))
        except BundleError as error:
            raise SettingsError(f"expected names of model bundles: {error}") from error

    return models
