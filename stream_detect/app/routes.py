"""The HTTP application: all routers, and the middleware in front of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI

from stream_detect import __version__
from stream_detect.api import (
    alerts,
    cameras,
    checks,
    cluster,
    events,
    metrics,
    models,
    openapi,
    page,
    status,
    streams,
    whip_whep,
)
from stream_detect.api.metrics import MetricSources
from stream_detect.api.middleware import problems
from stream_detect.api.middleware.audit import Audit
from stream_detect.api.middleware.authorization import Authorization
from stream_detect.api.middleware.origin import PathPrefix, SameOrigin, Served
from stream_detect.api.middleware.permissions import Permissions
from stream_detect.api.middleware.turns import FairTurns
from stream_detect.api.page import PageFile
from stream_detect.app.access import AccessService
from stream_detect.app.analyses import AnalysisService
from stream_detect.app.model_in_use import ModelInUse
from stream_detect.app.monitoring import Monitoring
from stream_detect.settings import Settings
from stream_detect.webrtc.check_sessions import CheckSessions

MAX_BODY_BYTES = 128 * 1024
"""Maximum size of a request body unless its route says otherwise: the largest is an SDP offer, which has its own limit.
"""

_log = logging.getLogger(__name__)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Services:
    """Services that the routes use.

    Args:
        model: the model in use.
        sessions: the live checks.
        monitoring: the cameras.
        analyses: the uploads.
        access: access control.
    """

    model: ModelInUse
    sessions: CheckSessions
    monitoring: Monitoring
    analyses: AnalysisService
    access: AccessService


@dataclass(frozen=True, slots=True)
class Contents:
    """Content from files.

    Args:
        cards: reads the cards of all bundles, as JSON; blocks.
        page: files of the page by URL path.
    """

    cards: Callable[[], Sequence[dict[str, object]]]
    page: Mapping[str, PageFile]


def application(settings: Settings, services: Services, contents: Contents, lifespan: Lifespan) -> FastAPI:
    """Makes the application with all routes and middleware.

    Args:
        settings: all sections.
        services: the services.
        contents: cards of bundles, and the page.
        lifespan: opens and closes the services.
    """
    made = FastAPI(
        title="stream-detect",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,  # api/openapi.py serves it
        redirect_slashes=False,  # its redirects ignore the path prefix, and each route has one path
        max_body_size=MAX_BODY_BYTES,
    )
    problems.install(made)
    routers = _routers(settings, services, contents)
    for router in routers:
        made.include_router(router)
    routes = [*made.router.routes, *(route for router in routers for route in router.routes)]
    services.access.running.runs = _session_runs(services)
    made.state.permissions = permissions = Permissions(routes, frozenset(contents.page))
    for route in permissions.unlisted():
        _log.error("%s has no role in api/middleware/permissions.py: it needs an admin", route)
    made.openapi = lambda: openapi.describe(made, permissions)  # type: ignore[method-assign] # as FastAPI documents
    # The last one is the first that a request passes: rejections by the others are in the audit log too.
    made.add_middleware(Authorization, asked=services.access.gatekeepers(permissions))
    made.add_middleware(FairTurns)
    made.add_middleware(problems.UnexpectedErrors)
    made.add_middleware(SameOrigin, served=Served.of(settings.server))
    made.add_middleware(Audit, log=services.access.audit, directory=services.access.directory)
    if settings.server.path_prefix:
        made.add_middleware(PathPrefix, prefix=settings.server.path_prefix)
    return made


def _routers(settings: Settings, services: Services, contents: Contents) -> list[APIRouter]:
    model, monitoring = services.model, services.monitoring
    ice_servers = monitoring.network.servers.for_clients
    shown = status.StatusSettings(settings.window, ice_servers, settings.review.urls)
    return [
        status.probes(model.engine.health, lambda: (monitoring.storage_problem, *monitoring.hosting.problems)),
        status.router(model, services.sessions, shown, lambda: (*monitoring.problems, *services.access.problems)),
        models.router(model, contents.cards),
        checks.live_check(services.sessions),
        checks.records(monitoring.checks),
        checks.challenges(services.sessions.challenge),
        checks.camera_challenges(lambda name: monitoring.fleet.camera(name).challenge),
        cameras.router(monitoring.cameras, monitoring.trials),
        cameras.snapshots(monitoring.hosting.picture),
        cameras.history(monitoring.history),
        events.router(monitoring.events, monitoring.keeper),
        events.evidence(monitoring.events, monitoring.keeper),
        streams.router(monitoring.cameras, monitoring.listeners),
        alerts.router(monitoring.alerts),
        whip_whep.whip(monitoring.publishers, monitoring.fleet, ice_servers),
        whip_whep.whep(monitoring.viewers, monitoring.fleet, ice_servers),
        cluster.router(monitoring.hosting.head),
        metrics.router(_metric_sources(services), monitoring.latency),
        *services.analyses.routers(),
        *services.access.routers(),
        openapi.reference(),
        page.router(contents.page),
    ]


def _session_runs(services: Services) -> Callable[[str], bool]:
    """Whether the WebRTC session at a path has not ended, by the room that has it."""
    monitoring = services.monitoring
    rooms: dict[str, Callable[[str], bool]] = {
        "webrtc": services.sessions.runs,
        "whip": monitoring.publishers.runs,
        "whep": monitoring.viewers.runs,
    }

    def runs(path: str) -> bool:
        _, room, *_, session_id = path.split("/")
        return rooms[room](session_id)

    return runs


def _metric_sources(services: Services) -> MetricSources:
    monitoring, analyses = services.monitoring, services.analyses.analyses
    return MetricSources(
        cameras=monitoring.fleet.statuses,
        notifiers=monitoring.alerts.statuses,
        suppressed=lambda: {str(kind): count for kind, count in monitoring.alerts.suppressed.items()},
        evidence_bytes=monitoring.events.evidence_bytes,
        evidence_problem=lambda: monitoring.keeper.problem,
        storage_problem=lambda: monitoring.storage_problem,
        journal=lambda: monitoring.recorder.counts,
        check_sessions=lambda: services.sessions.count,
        nodes=lambda: () if (head := monitoring.hosting.head) is None else head.statuses(),
        analyses=analyses.counts,
        analyses_bytes=analyses.kept_bytes,
    )
