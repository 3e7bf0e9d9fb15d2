"""The application: settings enter, the rooms are built and joined; the ASGI application that closes them leaves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from fastapi import FastAPI

from stream_detect import __version__
from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.engine import Engine
from stream_detect.api import check, health, models, page, problems, reference, status
from stream_detect.api.gate import SameOrigin, TokenGate
from stream_detect.api.page import PageFile, read_page
from stream_detect.api.schemas import JudgeBody, ThresholdsBody
from stream_detect.api.watching import routers
from stream_detect.app.analyses import Reviewing, lookup
from stream_detect.app.judge import Judging, loader
from stream_detect.app.monitoring import Monitoring
from stream_detect.app.server import Service
from stream_detect.errors import BundleError, StreamDetectError
from stream_detect.jobs.work import ModelReviewer
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle, read_card
from stream_detect.models.registry import Registry
from stream_detect.settings import Settings, is_loopback
from stream_detect.types import Thresholds
from stream_detect.webrtc.check import CheckSessions
from stream_detect.webrtc.results_channel import Introduction

_CLOSE_S = 4.5
"""Bound on closing all sessions; each bounds itself below it."""

MAX_BODY_BYTES = 128 * 1024
"""Of a request, where its route says nothing else: the largest is an SDP offer, which has a limit of its own."""

_log = logging.getLogger(__name__)


def create_service(settings: Settings, read_again: Callable[[], Settings]) -> Service:
    """What is served with these settings: models loaded, cameras watched.

    Args:
        settings: all of them.
        read_again: the settings as they are now.

    Raises:
        BundleError: the model that shall judge is absent, broken or not the one its card states.
        AnalysisError: the face detector's model cannot be loaded.
        StorageError: the database cannot be used.
        AddressError: a camera has an address that is not usable.
    """
    registry = Registry.of(settings.model.folder)
    bundle = registry.load(settings.model.name)
    model = load_model(bundle, settings.model.backend, settings.model.threads, settings.model.precision)
    faces = settings.faces
    detector = BlazeFace(faces.detector, faces.min_score, faces.max_faces)
    engine = Engine(settings, detector.sibling, model.classifier)
    judging = Judging(_judge(bundle), engine, loader(registry, settings.model, _judge))
    monitoring = Monitoring(settings, judging, read_again)
    reviewer = ModelReviewer(registry, settings)
    reviewing = Reviewing(settings, monitoring.database, reviewer, lookup(registry, lambda: judging.judge.name))
    reviewing.start()
    monitoring.start()
    application = join(settings, judging, (monitoring, reviewing), _cards(registry), read_page())

    def stopping() -> None:
        monitoring.hush()
        reviewing.hush()

    return Service(application, stopping, hangup=lambda: _reload(monitoring))


def _reload(monitoring: Monitoring) -> None:
    try:
        done = monitoring.roster.reload()
    except StreamDetectError as error:
        _log.error("the settings file was not taken, nothing changes: %s", error)
    else:
        names = done.cameras
        _log.info(
            "settings read again: added %s, changed %s, removed %s",
            *map(_listed, (names.added, names.changed, names.removed)),
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


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


def _cards(registry: Registry) -> list[dict[str, object]]:
    """Cards of all bundles; one that is broken and does not judge is left out, and the log says why."""
    cards: list[dict[str, object]] = []
    for name in registry.names():
        try:
            cards.append(read_card(registry.folder_of(name)).model_dump(mode="json"))
        except BundleError as error:
            _log.warning("left out of the list of models: %s", error)
    return cards


def join(
    settings: Settings,
    judging: Judging,
    rooms: tuple[Monitoring, Reviewing],
    cards: Sequence[dict[str, object]],
    files: Mapping[str, PageFile],
) -> FastAPI:
    """An application of rooms that are built; it closes them at its lifespan's end.

    Args:
        settings: all of them.
        judging: the engine and the model that it runs, as clients are told of it, and how to change it.
        rooms: cameras; and uploads, which give way to them.
        cards: of all bundles found, as JSON.
        files: the page.
    """
    engine, (monitoring, reviewing) = judging.engine, rooms
    sessions = CheckSessions(engine, settings.webrtc, settings.video, _introduction(judging.judge, settings))

    def introduce(judge: JudgeBody) -> None:
        sessions.introduce(_introduction(judge, settings))
        monitoring.judge_by(judge)

    judging.on_change = introduce
    reviewing.busy = lambda: sessions.count > 0 or monitoring.watches()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        monitoring.answer()
        yield
        await asyncio.gather(_close(sessions), _close_in_order(reviewing, monitoring))

    application = FastAPI(
        title="stream-detect",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        max_body_size=MAX_BODY_BYTES,
    )
    problems.install(application)
    for router in (
        health.router(engine.health, lambda: monitoring.storage_problem),
        status.router(judging, sessions, settings, lambda: monitoring.problems),
        models.router(judging, cards),
        check.router(sessions),
        *routers(monitoring, judging, settings, lambda: sessions.count, reviewing.analyses),
        *reviewing.routers(),
        reference.router(),
        page.router(files),
    ):
        application.include_router(router)
    _guard(application, settings, files)
    return application


def _introduction(judge: JudgeBody, settings: Settings) -> Introduction:
    return Introduction(
        model_name=judge.name,
        model_title=judge.title,
        model_sha256=judge.sha256,
        thresholds=Thresholds(**judge.thresholds.model_dump()),
        window_s=settings.window.length_s,
        needed=settings.window.min_scores,
    )


def _guard(application: FastAPI, settings: Settings, files: Mapping[str, PageFile]) -> None:
    """The gates around the routes; the one added last is the outermost."""
    server = settings.server
    if server.token is not None:
        application.add_middleware(
            TokenGate, token=server.token.get_secret_value(), open_paths=frozenset({*files, "/", health.LIVE_PATH})
        )
    application.add_middleware(SameOrigin, loopback=is_loopback(server.host), tls=server.tls_certificate is not None)


async def _close_in_order(reviewing: Reviewing, monitoring: Monitoring) -> None:
    """The database is monitoring's: what else uses it ends first."""
    await reviewing.close()
    await monitoring.close()


async def _close(sessions: CheckSessions) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await sessions.close_all()
    except TimeoutError:
        _log.warning(
            "%d sessions were not closed within %.1f s; the process ends all the same", sessions.count, _CLOSE_S
        )
