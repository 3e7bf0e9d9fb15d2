"""The composition root: makes, starts and ends all services, in the order shown here.

Start: model, database, recorder, alerts, cameras, analyses, then the HTTP application opens.
End: event streams at once; then live checks and analyses, cameras with their viewers and publishers, recorder, alerts,
and the database last (`AnalysisService.close`, `Monitoring.close`).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict

from fastapi import FastAPI

from stream_detect.access.audit import AuditLog
from stream_detect.analysis.engine import Engine
from stream_detect.analysis.search import FaceSearch
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.api.page import read_page
from stream_detect.api.schemas.status import JudgeBody, ThresholdsBody
from stream_detect.app.access import AccessService
from stream_detect.app.analyses import AnalysisService, lookup
from stream_detect.app.camera_list import Reload
from stream_detect.app.model_in_use import ModelInUse, finder
from stream_detect.app.monitoring import Monitoring
from stream_detect.app.routes import Contents, Services, application
from stream_detect.app.server import Service
from stream_detect.app.tls import Certificate
from stream_detect.errors import BundleError, StreamDetectError
from stream_detect.jobs.reviewer import ModelReviewer
from stream_detect.media.credentials import trust_anchors_of
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle, read_card
from stream_detect.models.registry import Registry
from stream_detect.review.models import ExaminationSettings
from stream_detect.settings import Settings
from stream_detect.storage.audit import AuditEntry
from stream_detect.types import Thresholds
from stream_detect.webrtc.check_sessions import CheckSessions
from stream_detect.webrtc.network import HostAddresses
from stream_detect.webrtc.results_channel import Introduction

_CLOSE_S = 4.5
"""Time limit of closing all live checks; each has its own, shorter one."""

_log = logging.getLogger(__name__)


def create_service(
    settings: Settings, read_again: Callable[[], Settings], certificate: Certificate | None = None
) -> Service:
    """Loads the model, starts the cameras, and returns the service.

    Args:
        settings: all sections.
        read_again: reads the current settings.
        certificate: certificate of the server; None without TLS.

    Raises:
        BundleError: the model is missing, damaged or differs from its card.
        AnalysisError: the face detector's model cannot be loaded.
        StorageError: the database cannot be used.
        AddressError: the address of a camera is invalid.
        SettingsError: certificates, a key, a network interface or the ports for WebRTC media cannot be used.
        MissingExtraError: a setting needs a package that is not installed.
    """
    trust_anchors_of(settings.review.trust_anchors)  # the processes that examine files would notice too late
    registry = Registry.of(settings.model.folder)
    bundle = registry.load(settings.model.name)
    loaded = load_model(bundle, settings.model.backend, settings.model.threads, settings.model.precision)
    detector = FaceSearch(settings.faces)
    engine = Engine(settings.only(AnalysisSettings), detector.sibling, loaded.classifier, model_sha256=bundle.sha256)
    model = ModelInUse(_judge(bundle), bundle.card.contract_sha256, engine, finder(registry, settings.model, _judge))
    HostAddresses(settings.webrtc).check(settings.most_sessions)

    def take(now: Settings) -> None:
        access.take(now)  # created from the database, which is opened before

    monitoring = Monitoring(settings, model, Reload(read_again, take))
    access = AccessService(settings, monitoring.database, certificate)
    here = ModelReviewer(settings.only(ExaminationSettings), lambda: analyses.busy())  # noqa: PLW0108 - made below
    reviewer = monitoring.hosting.reviewer_for(here, registry.contract_of)
    analyses = AnalysisService(settings, monitoring.database, reviewer, lookup(registry, lambda: model.judge.name))
    monitoring.start()
    try:
        analyses.start()  # last: a start that fails is no attempt of the analyses that wait
    except BaseException:
        monitoring.end()
        raise

    def shut_down() -> None:
        monitoring.shut_down()
        analyses.shut_down()

    made = join(settings, model, (monitoring, analyses), Contents(_cards_of(registry), read_page()), access)
    return Service(made, shut_down, hangup=lambda: _reload(monitoring, access.audit))


def join(
    settings: Settings,
    model: ModelInUse,
    started: tuple[Monitoring, AnalysisService],
    contents: Contents,
    access: AccessService | None = None,
) -> FastAPI:
    """Makes an application for started services; it closes them at the end of its lifespan.

    Args:
        settings: all sections.
        model: the model in use.
        started: the services of cameras, and of uploads, which give way to them.
        contents: cards of bundles, and the page.
        access: access control; by default made from the settings.
    """
    monitoring, analyses = started
    access = access or AccessService(settings, monitoring.database)
    sessions = CheckSessions(
        model.engine,
        settings.webrtc,
        settings.video,
        _introduction(model.judge, settings),
        monitoring.network,
        keep=monitoring.recorder.check,
        remote=monitoring.hosting.remote_checks(monitoring.recorder.check),
    )

    def change(judge: JudgeBody) -> None:
        sessions.introduce(_introduction(judge, settings))
        monitoring.use(judge)

    model.on_change = change
    analyses.busy = lambda: sessions.count > 0 or monitoring.watches()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        monitoring.open()
        access.open()
        yield
        await asyncio.gather(_close(sessions), _close_in_order(access, analyses, monitoring))

    return application(settings, Services(model, sessions, monitoring, analyses, access), contents, lifespan)


def _reload(monitoring: Monitoring, audit: AuditLog) -> None:
    try:
        done = monitoring.cameras.reload()
    except StreamDetectError as error:
        audit.note(AuditEntry(time.time(), "settings.reload", "failed", by="signal", detail=str(error)))
        _log.error("the settings were not reloaded: %s", error)
    else:
        audit.note(AuditEntry(time.time(), "settings.reload", by="signal", detail=done.summary))
        _log.info("settings reloaded: %s", done.summary)


def _judge(bundle: Bundle) -> JudgeBody:
    card = bundle.card
    return JudgeBody(
        name=card.name,
        title=card.title,
        sha256=bundle.sha256,
        terms=card.training.terms,
        limits=card.limits,
        thresholds=ThresholdsBody(**asdict(card.hysteresis())),
    )


def _cards_of(registry: Registry) -> Callable[[], list[dict[str, object]]]:
    """Returns a function that reads the cards of all bundles; an invalid one is left out, and logged once."""
    logged: set[str] = set()

    def cards() -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for name in registry.names():
            try:
                found.append(read_card(registry.folder_of(name)).model_dump(mode="json"))
            except BundleError as error:
                if name not in logged:
                    logged.add(name)
                    _log.warning("a bundle is not listed: %s", error)
        return found

    return cards


def _introduction(judge: JudgeBody, settings: Settings) -> Introduction:
    return Introduction(
        model_name=judge.name,
        model_title=judge.title,
        model_sha256=judge.sha256,
        thresholds=Thresholds(**judge.thresholds.model_dump()),
        window_s=settings.window.length_s,
        needed=settings.window.min_scores,
    )


async def _close_in_order(access: AccessService, analyses: AnalysisService, monitoring: Monitoring) -> None:
    """Monitoring owns the database, so everything else that uses it ends first."""
    await asyncio.gather(access.close(), analyses.close())
    await monitoring.close()


async def _close(sessions: CheckSessions) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await sessions.close_all()
    except TimeoutError:
        _log.warning("%d sessions were not closed within %.1f s; the process ends anyway", sessions.count, _CLOSE_S)
