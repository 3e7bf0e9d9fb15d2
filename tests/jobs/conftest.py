"""Jobs with all their parts, and clips for them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from stream_detect.jobs.incoming import ReceivedFile
from stream_detect.jobs.jobs import Jobs, ReviewOptions
from stream_detect.jobs.library import Library
from stream_detect.jobs.progress import JobProgress
from stream_detect.jobs.work import AnalysisStores
from stream_detect.review.models import ExaminationSettings
from stream_detect.settings import Settings
from stream_detect.storage.analyses import Analyses
from stream_detect.storage.database import Database
from stream_detect.storage.records import Analysis
from tests.files import files_in
from tests.jobs.scripted_reviewer import MODELS, ScriptedReviewer, write_clip
from tests.patience import PATIENCE_S, until

ONE = ReviewOptions(MODELS[:1], 5.0)
BOTH = ReviewOptions(MODELS, 5.0)


class Desk:
    """Jobs with all their parts."""

    def __init__(self, folder: Path, review: dict[str, Any]) -> None:
        self.settings = Settings.model_validate(
            {"storage": {"folder": folder}, "review": {"min_free_bytes": 0} | review, "window": {"min_scores": 3}}
        )
        self.folder = folder / "analyses"
        self.database = Database.open(self.settings.storage)
        self.analyses = Analyses(self.database)
        self.library = Library(self.folder, self.settings.review)
        self.changes: list[Analysis] = []
        self.reviewer = ScriptedReviewer(self.settings.only(ExaminationSettings))
        kept = AnalysisStores(self.analyses, self.library, JobProgress(self.changes.append))
        self.jobs = Jobs(kept, self.reviewer, self.settings.review)

    def received(self, source: Path, name: str = "clip.mp4") -> ReceivedFile:
        """A copy of a file, as just received."""
        incoming = self.library.incoming(name)
        incoming.write(source.read_bytes())
        return incoming.finish()

    def submit(self, source: Path, options: ReviewOptions = ONE) -> Analysis:
        (analysis,) = self.jobs.submit([self.received(source)], options)
        return analysis

    def ended(self, analysis: Analysis) -> Analysis:
        return self.until(lambda: found if (found := self.jobs.get(analysis.id)).ended else None)

    def until(self, look: Callable[[], Any]) -> Any:
        return until(look)

    def halves(self) -> list[Analysis]:
        """Reports that an analysis is half done, as scripted reviews are while they are held."""
        return [one for one in self.changes if one.done_share == 0.5]

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in files_in(self.folder))

    def close(self) -> None:
        self.jobs.stop()  # first: nothing is completed meanwhile
        self.reviewer.may_go_on.set()
        self.jobs.close(PATIENCE_S)
        self.database.close()


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    with ExitStack() as stack:

        def opened(**review: Any) -> Desk:
            desk = Desk(tmp_path / "data", review)
            stack.callback(desk.close)
            return desk

        yield opened


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    desk = open_desk()
    desk.jobs.start()
    return desk


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(scope="module")
def other_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", seed=1)
