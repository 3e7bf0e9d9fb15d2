"""A complete application with a scripted analysis, a database and cameras."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from stream_detect.analysis.engine import Engine
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.api.page import PageFile
from stream_detect.api.schemas.status import JudgeBody, ThresholdsBody
from stream_detect.app.access import AccessService
from stream_detect.app.analyses import AnalysisService
from stream_detect.app.camera_list import Reload
from stream_detect.app.model_in_use import Candidate, ModelInUse
from stream_detect.app.monitoring import Monitoring
from stream_detect.app.routes import Contents
from stream_detect.app.service import join
from stream_detect.errors import NotFoundError, SettingsError
from stream_detect.review.models import ExaminationSettings
from stream_detect.settings import Settings
from stream_detect.types import Thresholds
from tests.api.site import Site
from tests.jobs.scripted_reviewer import SHA256, ScriptedReviewer, write_clip

JUDGE = JudgeBody(
    name="scripted",
    title="Scripted",
    sha256="0" * 64,
    terms="none",
    limits=("It judges nothing.",),
    thresholds=ThresholdsBody(fake_enter=0.8, fake_leave=0.6, real_enter=0.2, real_leave=0.4),
)
PAGE = {"/": PageFile(b"<!doctype html>", None, "text/html", '"1"', "no-cache")}
PAGE["/index.html"] = PAGE["/"]


def load(name: str) -> Candidate:
    """Another model, or the one in use after a new calibration; both are recognised by their thresholds."""
    if name == "scripted":
        return Candidate(
            JUDGE, "2" * 64, lambda: lambda: ScriptedClassifier(0.1, thresholds=Thresholds(fake_enter=0.7))
        )
    if name != "other":
        raise NotFoundError(f"expected another, received {name}")
    thresholds = Thresholds(fake_enter=0.9)
    body = JUDGE.model_copy(update={"name": "other", "sha256": "1" * 64, "title": "Other"})
    return Candidate(body, "1" * 64, lambda: lambda: ScriptedClassifier(0.1, thresholds=thresholds))


def bundles(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Names and sha256 of the models for files."""
    if not set(names) <= set(SHA256):
        raise SettingsError(f"expected names of {', '.join(SHA256)}")
    return tuple((name, SHA256[name]) for name in dict.fromkeys(names or ["scripted"]))


@dataclass
class Inside:
    """A running application, and its parts."""

    client: TestClient
    application: FastAPI
    engine: Engine
    monitoring: Monitoring
    analyses: AnalysisService
    reviewer: ScriptedReviewer
    access: AccessService


Make = Callable[..., Inside]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes applications that run until the end of the test.

    Call it with the settings, and with those that a reload will read.
    """
    with ExitStack() as stack:

        def made(
            settings: dict[str, Any] | None = None,
            read_again: Callable[[], dict[str, Any]] | None = None,
            base_url: str = "http://127.0.0.1:8080",
            peer: str = "testclient",
        ) -> Inside:
            # Keeps records with fixed dates, whenever the tests run.
            given = {"storage": {"folder": tmp_path / "data", "events_days": 36_500}, **(settings or {})}
            checked = Settings.model_validate(given)
            engine = Engine(
                checked.only(AnalysisSettings), lambda: ScriptedDetector([]), lambda: ScriptedClassifier([])
            )
            model = ModelInUse(JUDGE, "0" * 64, engine, load)

            def take(now: Settings) -> None:
                access.take(now)

            monitoring = Monitoring(
                checked,
                model,
                Reload(
                    lambda: Settings.model_validate({**given, **(read_again or dict)()}),
                    take,
                ),
            )
            monitoring.start()
            cards: list[dict[str, object]] = [{"name": "scripted"}, {"name": "other"}]
            reviewer = ScriptedReviewer(checked.only(ExaminationSettings))
            analyses = AnalysisService(checked, monitoring.database, reviewer, bundles)
            analyses.start()
            access = AccessService(checked, monitoring.database)
            application = join(checked, model, (monitoring, analyses), Contents(lambda: cards, PAGE), access)
            client = stack.enter_context(TestClient(application, base_url=base_url, client=(peer, 50000)))
            return Inside(client, application, engine, monitoring, analyses, reviewer, access)

        yield made


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A two-second clip with one face."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4").read_bytes()


@pytest.fixture
def site(start_server: Callable[..., Any], tmp_path: Path, suspicious_model: Path) -> Iterator[Site]:
    made = Site(start_server, tmp_path, suspicious_model)
    yield made
    made.http.close()
