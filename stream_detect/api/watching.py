"""The routes of cameras day and night, joined: monitoring enters, its routers leave."""

from collections.abc import Callable

from fastapi import APIRouter

from stream_detect.api import (
    alerts,
    cameras,
    connection,
    events,
    evidence,
    history,
    metrics,
    snapshots,
    streams,
    whep,
    whip,
)
from stream_detect.api.metrics import MetricSources
from stream_detect.app.judge import Judging
from stream_detect.app.monitoring import Monitoring
from stream_detect.settings import Settings
from stream_detect.storage.analyses import Analyses


def routers(
    monitoring: Monitoring,
    judging: Judging,
    settings: Settings,
    check_sessions: Callable[[], int],
    analyses: Analyses,
) -> list[APIRouter]:
    """Routers of cameras, events, alerts, live news, WebRTC and metrics.

    Args:
        monitoring: what they ask.
        judging: whose thresholds are drawn.
        settings: time-outs, ICE servers.
        check_sessions: live checks of webcams that run, for the metrics.
        analyses: of uploads, likewise.
    """
    fleet, roster, webrtc = monitoring.fleet, monitoring.roster, settings.webrtc
    return [
        cameras.router(roster),
        connection.router(roster, monitoring.trials),
        snapshots.router(fleet, judging, settings.window.stale_s),
        history.router(monitoring.history),
        events.router(monitoring.events, monitoring.keeper),
        evidence.router(monitoring.events, monitoring.keeper),
        streams.router(roster, monitoring.live),
        alerts.router(monitoring.alerts),
        whip.router(monitoring.publishers, fleet, webrtc),
        whep.router(monitoring.viewers, fleet, webrtc),
        metrics.router(_sources(monitoring, check_sessions, analyses), monitoring.latency),
    ]


def _sources(monitoring: Monitoring, check_sessions: Callable[[], int], analyses: Analyses) -> MetricSources:
    return MetricSources(
        cameras=monitoring.fleet.statuses,
        ways=monitoring.alerts.ways,
        suppressed=lambda: {str(kind): count for kind, count in monitoring.alerts.suppressed.items()},
        evidence_bytes=monitoring.events.evidence_bytes,
        evidence_problem=lambda: monitoring.keeper.problem,
        storage_problem=lambda: monitoring.storage_problem,
        journal=lambda: monitoring.recorder.counts,
        check_sessions=check_sessions,
        analyses=analyses.counts,
        analyses_bytes=analyses.kept_bytes,
    )
