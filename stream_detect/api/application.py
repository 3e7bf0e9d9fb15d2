"""The application: settings enter, the rooms are built and joined; the ASGI application that closes them leaves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from fastapi import FastAPI

from stream_detect import __version__
from stream_detect.analysis.engine import Engine
from stream_detect.analysis.faces import BlazeFace
from stream_detect.api import check, health, models, page, problems, reference, status
from stream_detect.api.access import TokenGate
from stream_detect.api.headers import SameOrigin
from stream_detect.api.judging import Judging, loader
from stream_detect.api.page import PageFile, read_page
from stream_detect.api.schemas import JudgeBody, ThresholdsBody
from stream_detect.errors import BundleError
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle, read_card
from stream_detect.models.registry import Registry
from stream_detect.settings import Settings, is_loopback
from stream_detect.types import Thresholds
from stream_detect.webrtc.messages import Introduction
from stream_detect.webrtc.sessions import CheckSessions

_CLOSE_S = 4.5
"""Bound on closing all sessions; each bounds itself below it."""

_log = logging.getLogger(__name__)


def create_application(settings: Settings) -> FastAPI:
    """The application of these settings, its models loaded.

    Raises:
        BundleError: the model that shall judge is absent, broken or not the one its card states.
        AnalysisError: the face detector's model cannot be loaded.
    """
    registry = Registry.of(settings.model.folder)
    bundle = registry.load(settings.model.name)
    model = load_model(bundle, settings.model.backend, settings.model.threads)
    faces = settings.faces
    detector = BlazeFace(faces.detector, faces.min_score, faces.max_faces)
    engine = Engine(settings, detector.sibling, model.classifier)
    judging = Judging(_judge(bundle), engine, loader(registry, settings.model, _judge))
    return join(settings, engine, judging, _cards(registry), read_page())


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
    engine: Engine,
    judging: Judging,
    cards: Sequence[dict[str, object]],
    files: Mapping[str, PageFile],
) -> FastAPI:
    """An application of rooms that are built.

    Args:
        settings: all of them.
        engine: analyses.
        judging: the model that the engine runs, as clients are told of it, and how to change it.
        cards: of all bundles found, as JSON.
        files: the page.
    """
    sessions = CheckSessions(engine, settings.webrtc, settings.video, _introduction(judging.judge, settings))
    judging.on_change = lambda judge: sessions.introduce(_introduction(judge, settings))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await _close(sessions)

    application = FastAPI(title="stream-detect", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(application)
    application.include_router(health.router(engine.health))
    application.include_router(status.router(judging, sessions, settings))
    application.include_router(models.router(judging, cards))
    application.include_router(check.router(sessions))
    application.include_router(reference.router())
    application.include_router(page.router(files))
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


async def _close(sessions: CheckSessions) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await sessions.close_all()
    except TimeoutError:
        _log.warning(
            "%d sessions were not closed within %.1f s; the process ends all the same", sessions.count, _CLOSE_S
        )
