"""The application: settings enter, the rooms are built and joined; the ASGI application that closes them leaves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from fastapi import FastAPI

from stream_detect import __version__
from stream_detect.analysis.engine import Engine
from stream_detect.api import check, health, models, page, problems, reference, status
from stream_detect.api.access import TokenGate
from stream_detect.api.headers import SameOrigin
from stream_detect.api.page import PageFile
from stream_detect.api.schemas import JudgeBody, ThresholdsBody
from stream_detect.settings import Settings, is_loopback
from stream_detect.types import Thresholds
from stream_detect.webrtc.messages import Introduction
from stream_detect.webrtc.sessions import CheckSessions

_CLOSE_S = 4.5
"""Bound on closing all sessions; each bounds itself below it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judge:
    """The model that judges, as clients are told of it.

    Args:
        name: of its bundle.
        title: what a person reads.
        sha256: of the weights that are served.
        terms: licence and conditions of use.
        limits: what it is known not to do, in sentences.
        thresholds: where the verdict changes.
    """

    name: str
    title: str
    sha256: str
    terms: str
    limits: tuple[str, ...]
    thresholds: Thresholds


def join(
    settings: Settings,
    engine: Engine,
    judge: Judge,
    cards: Sequence[dict[str, object]],
    files: Mapping[str, PageFile],
) -> FastAPI:
    """An application of rooms that are built.

    Args:
        settings: all of them.
        engine: analyses.
        judge: the model that the engine runs.
        cards: of all bundles found, as JSON.
        files: the page.
    """
    about = Introduction(
        model_name=judge.name,
        model_title=judge.title,
        model_sha256=judge.sha256,
        thresholds=judge.thresholds,
        window_s=settings.window.length_s,
        needed=settings.window.min_scores,
    )
    sessions = CheckSessions(engine, settings.webrtc, settings.video, about)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await _close(sessions)

    application = FastAPI(title="stream-detect", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(application)
    application.include_router(health.router(engine.health))
    application.include_router(status.router(_body(judge), sessions, settings))
    application.include_router(models.router(judge.name, cards))
    application.include_router(check.router(sessions))
    application.include_router(reference.router())
    application.include_router(page.router(files))
    _guard(application, settings, files)
    return application


def _guard(application: FastAPI, settings: Settings, files: Mapping[str, PageFile]) -> None:
    """The gates around the routes; the one added last is the outermost."""
    server = settings.server
    if server.token is not None:
        application.add_middleware(
            TokenGate, token=server.token.get_secret_value(), open_paths=frozenset({*files, "/", health.LIVE_PATH})
        )
    application.add_middleware(SameOrigin, loopback=is_loopback(server.host), tls=server.tls_certificate is not None)


def _body(judge: Judge) -> JudgeBody:
    return JudgeBody(
        name=judge.name,
        title=judge.title,
        sha256=judge.sha256,
        terms=judge.terms,
        limits=judge.limits,
        thresholds=ThresholdsBody(**asdict(judge.thresholds)),
    )


async def _close(sessions: CheckSessions) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await sessions.close_all()
    except TimeoutError:
        _log.warning(
            "%d sessions were not closed within %.1f s; the process ends all the same", sessions.count, _CLOSE_S
        )
