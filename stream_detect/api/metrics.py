"""Prometheus' text format: what is known of cameras, alerts and storage when it is scraped (docs/operations.md).

Nothing is counted here but latencies: a scrape reads the statuses that exist anyway, so that a removed camera's lines
vanish with it.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from stream_detect.api.metric_names import METRICS, MetricName
from stream_detect.errors import StorageError
from stream_detect.monitoring.journal import JournalCounts
from stream_detect.monitoring.status import CameraState, CameraStatus, StateChange
from stream_detect.monitoring.ways import AlertWay
from stream_detect.types import Result, VerdictState

_LATENCY_BUCKETS_S = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class MetricSources:
    """Where a scrape looks. Each is asked beside the event loop.

    Args:
        cameras: statuses of all.
        ways: of telling.
        suppressed: events nobody was told of, by kind.
        evidence_bytes: kept now; StorageError when nobody knows.
        evidence_problem: why no evidence is written; empty when all is well.
        storage_problem: why nothing can be remembered; empty likewise.
        journal: what waits for the database, and what was dropped.
        check_sessions: live checks of webcams that run.
        analyses: kept now, by state; StorageError when nobody knows.
        analyses_bytes: of their files; likewise.
    """

    cameras: Callable[[], Sequence[CameraStatus]]
    ways: Callable[[], Sequence[AlertWay]]
    suppressed: Callable[[], Mapping[str, int]]
    evidence_bytes: Callable[[], int]
    evidence_problem: Callable[[], str]
    storage_problem: Callable[[], str]
    journal: Callable[[], JournalCounts]
    check_sessions: Callable[[], int]
    analyses: Callable[[], Mapping[str, int]] = dict
    analyses_bytes: Callable[[], int] = int


class LatencyObserver:
    """How long cameras' results took, from the picture's arrival. An `Observer`; thread-safe."""

    def __init__(self) -> None:
        name = METRICS["stream_detect_result_latency_seconds"]
        self.histogram = Histogram(name.name, name.help, name.labels, buckets=_LATENCY_BUCKETS_S, registry=None)

    def result(self, camera: str, result: Result, at_s: float) -> None:  # noqa: ARG002 - the Observer's signature
        """Counts it."""
        self.histogram.labels(camera).observe(result.latency_s)

    def state(self, change: StateChange) -> None:
        """Says nothing of latency."""

    def removed(self, camera: str) -> None:
        """Its lines vanish."""
        self.histogram.remove_by_labels({"camera": camera})


def router(sources: MetricSources, latency: LatencyObserver) -> APIRouter:
    """The route that Prometheus reads.

    Args:
        sources: where a scrape looks.
        latency: is told of all results.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Latencies(latency.histogram))
    registry.register(_Statuses(sources))
    routes = APIRouter(tags=["health"])

    @routes.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}})
    def metrics() -> Response:
        """Counts and states of all cameras and ways of telling, in Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return routes


class _Latencies(Collector):
    """The histogram without the times at which its lines began: nobody asked for them."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def collect(self) -> Iterator[Metric]:
        """Its one family."""
        for family in self._histogram.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class _Statuses(Collector):
    """Asks once a scrape."""

    def __init__(self, sources: MetricSources) -> None:
        self._sources = sources

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering would otherwise ask all sources, which may not run yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The families of a scrape, in the order of `METRICS`."""
        values = _Values()
        for status in self._sources.cameras():
            _camera(values, status)
        for way in self._sources.ways():
            _way(values, way)
        for kind, count in self._sources.suppressed().items():
            values.add("stream_detect_alerts_suppressed_total", count, kind)
        with contextlib.suppress(StorageError):  # `storage_problem` says so
            values.add("stream_detect_evidence_bytes", self._sources.evidence_bytes())
        values.add("stream_detect_evidence_problem", bool(self._sources.evidence_problem()))
        values.add("stream_detect_storage_problem", bool(self._sources.storage_problem()))
        _journal(values, self._sources.journal())
        values.add("stream_detect_check_sessions", self._sources.check_sessions())
        with contextlib.suppress(StorageError):
            for state, count in self._sources.analyses().items():
                values.add("stream_detect_analyses", count, state)
            values.add("stream_detect_analyses_bytes", self._sources.analyses_bytes())
        return values.families()


def _camera(values: "_Values", status: CameraStatus) -> None:
    name = status.name
    for count, value in asdict(status.counts).items():
        values.add(f"stream_detect_camera_{count}_total", value, name)
    values.add("stream_detect_camera_fps", status.fps, name)
    values.add("stream_detect_camera_viewers", status.viewers, name)
    for state in CameraState:
        values.add("stream_detect_camera_state", state is status.change.state, name, state)
    verdict = status.result.verdict if status.result else None
    for word in VerdictState:
        values.add("stream_detect_camera_verdict", verdict is not None and word is verdict.state, name, word)
    if verdict is not None and verdict.fake_probability is not None:
        values.add("stream_detect_camera_fake_probability", verdict.fake_probability, name)
    if status.result_age_s is not None:
        values.add("stream_detect_camera_result_age_seconds", status.result_age_s, name)


def _way(values: "_Values", way: AlertWay) -> None:
    values.add("stream_detect_alert_failing", way.state == "failing", way.name, way.kind)
    values.add("stream_detect_alert_delivered_total", way.delivered, way.name, way.kind)
    values.add("stream_detect_alert_failed_total", way.failed, way.name, way.kind)
    values.add("stream_detect_alert_attempts_failed_total", way.attempts_failed, way.name, way.kind)
    values.add("stream_detect_alert_waiting", way.waiting, way.name, way.kind)


def _journal(values: "_Values", counts: JournalCounts) -> None:
    values.add("stream_detect_storage_waiting", counts.waiting)
    for what, dropped in (
        ("events", counts.dropped_changes),
        ("states", counts.dropped_states),
        ("scores", counts.dropped_scores),
    ):
        values.add("stream_detect_storage_dropped_total", dropped, what)


class _Values:
    """The values of one scrape, put under their names."""

    def __init__(self) -> None:
        self._families = {name.name: _family(name) for name in METRICS.values() if name.kind != "histogram"}

    def add(self, name: str, value: float, *labels: str) -> None:
        """A value, with the labels in the order of `METRICS`."""
        self._families[name].add_metric(labels, float(value))

    def families(self) -> Iterator[Metric]:
        """All of them, those without a value too."""
        return iter(self._families.values())


def _family(name: MetricName) -> CounterMetricFamily | GaugeMetricFamily:
    if name.kind == "counter":
        return CounterMetricFamily(name.name, name.help, labels=name.labels)
    return GaugeMetricFamily(name.name, name.help, labels=name.labels)
