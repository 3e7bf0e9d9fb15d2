"""The route of metrics in the Prometheus text format (docs/operations.md).

Only latencies are counted here; everything else is read from statuses at each scrape, so the metrics of a removed
camera disappear with it.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal, get_args

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from stream_detect.alerts.messages import NotifierStatus
from stream_detect.cameras.status import CameraStatus
from stream_detect.cluster.membership import NodeState, NodeStatus
from stream_detect.errors import StorageError
from stream_detect.events.journal import JournalCounts
from stream_detect.types import CameraState, FeedState, Result, StateChange, VerdictState


@dataclass(frozen=True, slots=True)
class MetricName:
    """One metric.

    Args:
        name: name in the output.
        kind: type in Prometheus' terms.
        labels: in order.
        help: description, a sentence without a full stop.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


def _camera(name: str, kind: Literal["counter", "gauge", "histogram"], what: str, *further: str) -> MetricName:
    return MetricName(f"stream_detect_{name}", kind, ("camera", *further), what)


def _alert(name: str, kind: Literal["counter", "gauge"], what: str) -> MetricName:
    return MetricName(f"stream_detect_alert_{name}", kind, ("name", "kind"), what)


def _process(name: str, what: str) -> MetricName:
    return MetricName(f"stream_detect_{name}", "gauge", (), what)


def _node(name: str, what: str, *further: str) -> MetricName:
    return MetricName(f"stream_detect_{name}", "gauge", ("node", *further), what)


_ALL: Final = (
    _camera("camera_state", "gauge", "1 for the state that the camera is in, 0 for the others", "state"),
    _camera("camera_fps", "gauge", "fps over the last ten seconds"),
    _camera("camera_viewers", "gauge", "WHEP viewers"),
    _camera("camera_pictures_total", "counter", "frames decoded"),
    _camera("camera_analysed_total", "counter", "results of the analysis"),
    _camera("camera_dropped_samples_total", "counter", "sampled frames that were replaced before they were analysed"),
    _camera("camera_decode_errors_total", "counter", "corrupted packets and frames"),
    _camera("camera_reconnects_total", "counter", "attempts to connect after the first"),
    _camera("camera_received_bytes_total", "counter", "bytes of packets"),
    _camera("camera_verdict", "gauge", "1 for the current verdict, 0 for the others; all 0 without one", "verdict"),
    _camera("camera_feed", "gauge", "1 for the state of the feed, 0 for the others; all 0 without a result", "feed"),
    _camera("camera_fake_probability", "gauge", "fake probability, in [0, 1]; absent without enough evidence"),
    _camera("camera_result_age_seconds", "gauge", "time since the newest result's frame arrived; absent without one"),
    _camera("result_latency_seconds", "histogram", "from the arrival of a frame to its result"),
    _alert("failing", "gauge", "1 if the newest attempt failed"),
    _alert("delivered_total", "counter", "messages of events that were delivered"),
    _alert("failed_total", "counter", "messages dropped after a day, or because too many waited"),
    _alert("attempts_failed_total", "counter", "failed attempts: of webhooks to deliver, of MQTT to stay connected"),
    _alert("waiting", "gauge", "messages that wait for delivery"),
    MetricName(
        "stream_detect_alerts_suppressed_total", "counter", ("kind",), "events held back by alerts.min_interval_s"
    ),
    _process("evidence_bytes", "size of the evidence that is kept"),
    _process("evidence_problem", "1 while no evidence can be written"),
    _process("storage_problem", "1 while nothing can be stored"),
    _process("storage_waiting", "events, states and scores that wait for the database"),
    MetricName(
        "stream_detect_storage_dropped_total", "counter", ("what",), "of these, dropped because too many waited"
    ),
    _node("cluster_node_state", "1 for the state that the node of a cluster is in, 0 for the others", "state"),
    _node("cluster_node_workers", "workers that answer"),
    _node("cluster_node_cameras", "cameras on the node"),
    _node("cluster_node_analyses", "analyses of uploads on the node"),
    _node("cluster_node_check_sessions", "live checks on the node"),
    _node("cluster_node_load", "load average per processor"),
    _node("cluster_node_worker_cores", "processors that its workers use"),
    _node("cluster_node_worker_bytes", "memory of its workers"),
    _process("check_sessions", "running live checks"),
    MetricName("stream_detect_analyses", "gauge", ("state",), "analyses of uploads that are kept, by state"),
    _process("analyses_bytes", "size of the files of analyses; shared files count for each analysis"),
)

METRICS: Final = {name.name: name for name in _ALL}


_LATENCY_BUCKETS_S = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class MetricSources:
    """Sources of the metrics. Each is called off the event loop.

    Args:
        cameras: returns the statuses of all cameras.
        notifiers: webhooks and the broker.
        suppressed: events that the limit held back, by kind.
        evidence_bytes: size of all evidence; raises StorageError if it cannot be read.
        evidence_problem: why no evidence can be written; empty if it can.
        storage_problem: why the database cannot be written; empty if it can.
        journal: number of items that wait for the database, and of dropped ones.
        check_sessions: number of running live checks.
        analyses: number of analyses by state; raises StorageError if it cannot be read.
        analyses_bytes: size of their files; raises StorageError if it cannot be read.
        nodes: nodes of the cluster; empty without one.
    """

    cameras: Callable[[], Sequence[CameraStatus]]
    notifiers: Callable[[], Sequence[NotifierStatus]]
    suppressed: Callable[[], Mapping[str, int]]
    evidence_bytes: Callable[[], int]
    evidence_problem: Callable[[], str]
    storage_problem: Callable[[], str]
    journal: Callable[[], JournalCounts]
    check_sessions: Callable[[], int]
    analyses: Callable[[], Mapping[str, int]] = dict
    analyses_bytes: Callable[[], int] = int
    nodes: Callable[[], Sequence[NodeStatus]] = tuple


class LatencyObserver:
    """Latency of cameras' results since the frame's arrival. An `Observer`; thread-safe."""

    def __init__(self) -> None:
        name = METRICS["stream_detect_result_latency_seconds"]
        self.histogram = Histogram(name.name, name.help, name.labels, buckets=_LATENCY_BUCKETS_S, registry=None)

    def result(self, camera: str, result: Result, at_s: float) -> None:  # noqa: ARG002 - the Observer's signature
        """Records its latency."""
        self.histogram.labels(camera).observe(result.latency_s)

    def state(self, change: StateChange) -> None:
        """Does nothing."""

    def removed(self, camera: str) -> None:
        """Removes the camera's series."""
        self.histogram.remove_by_labels({"camera": camera})


def router(sources: MetricSources, latency: LatencyObserver) -> APIRouter:
    """The route for Prometheus.

    Args:
        sources: sources of the metrics.
        latency: observes all results.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Latencies(latency.histogram))
    registry.register(_Statuses(sources))
    routes = APIRouter(tags=["health"])

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def metrics() -> Response:
        """Counts and states of all cameras and notifiers, in Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return routes


class _Latencies(Collector):
    """The histogram without the creation times of its series."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def collect(self) -> Iterator[Metric]:
        """Its only family."""
        for family in self._histogram.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class _Statuses(Collector):
    """Reads the sources once per scrape."""

    def __init__(self, sources: MetricSources) -> None:
        self._sources = sources

    def describe(self) -> Iterable[Metric]:
        """Empty: registering would otherwise call all sources, which may not run yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The families, in the order of `METRICS`."""
        values = _Values()
        for status in self._sources.cameras():
            _metrics_camera(values, status)
        for notifier in self._sources.notifiers():
            _notifier(values, notifier)
        for kind, count in self._sources.suppressed().items():
            values.add("stream_detect_alerts_suppressed_total", count, kind)
        with contextlib.suppress(StorageError):  # `storage_problem` reports it
            values.add("stream_detect_evidence_bytes", self._sources.evidence_bytes())
        values.add("stream_detect_evidence_problem", bool(self._sources.evidence_problem()))
        values.add("stream_detect_storage_problem", bool(self._sources.storage_problem()))
        _journal(values, self._sources.journal())
        for node in self._sources.nodes():
            _metrics_node(values, node)
        values.add("stream_detect_check_sessions", self._sources.check_sessions())
        with contextlib.suppress(StorageError):
            for state, count in self._sources.analyses().items():
                values.add("stream_detect_analyses", count, state)
            values.add("stream_detect_analyses_bytes", self._sources.analyses_bytes())
        return values.families()


def _metrics_node(values: "_Values", node: NodeStatus) -> None:
    for state in get_args(NodeState):
        values.add("stream_detect_cluster_node_state", state == node.state, node.name, state)
    values.add("stream_detect_cluster_node_workers", node.workers, node.name)
    values.add("stream_detect_cluster_node_cameras", len(node.cameras), node.name)
    values.add("stream_detect_cluster_node_analyses", node.analyses, node.name)
    values.add("stream_detect_cluster_node_check_sessions", node.checks, node.name)
    values.add("stream_detect_cluster_node_load", node.load, node.name)
    values.add("stream_detect_cluster_node_worker_cores", node.cores, node.name)
    values.add("stream_detect_cluster_node_worker_bytes", node.rss_bytes, node.name)


def _metrics_camera(values: "_Values", status: CameraStatus) -> None:
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
    for feed in FeedState:
        values.add("stream_detect_camera_feed", status.result is not None and feed is status.result.feed, name, feed)
    if verdict is not None and verdict.fake_probability is not None:
        values.add("stream_detect_camera_fake_probability", verdict.fake_probability, name)
    if status.result_age_s is not None:
        values.add("stream_detect_camera_result_age_seconds", status.result_age_s, name)


def _notifier(values: "_Values", status: NotifierStatus) -> None:
    values.add("stream_detect_alert_failing", status.state == "failing", status.name, status.kind)
    values.add("stream_detect_alert_delivered_total", status.delivered, status.name, status.kind)
    values.add("stream_detect_alert_failed_total", status.failed, status.name, status.kind)
    values.add("stream_detect_alert_attempts_failed_total", status.attempts_failed, status.name, status.kind)
    values.add("stream_detect_alert_waiting", status.waiting, status.name, status.kind)


def _journal(values: "_Values", counts: JournalCounts) -> None:
    values.add("stream_detect_storage_waiting", counts.waiting)
    for what, dropped in (
        ("events", counts.dropped_changes),
        ("states", counts.dropped_states),
        ("scores", counts.dropped_scores),
    ):
        values.add("stream_detect_storage_dropped_total", dropped, what)


class _Values:
    """The values of one scrape, by name."""

    def __init__(self) -> None:
        self._families = {name.name: _family(name) for name in METRICS.values() if name.kind != "histogram"}

    def add(self, name: str, value: float, *labels: str) -> None:
        """Adds a value, with the labels in the order of `METRICS`."""
        self._families[name].add_metric(labels, float(value))

    def families(self) -> Iterator[Metric]:
        """All families, including those without a value."""
        return iter(self._families.values())


def _family(name: MetricName) -> CounterMetricFamily | GaugeMetricFamily:
    if name.kind == "counter":
        return CounterMetricFamily(name.name, name.help, labels=name.labels)
    return GaugeMetricFamily(name.name, name.help, labels=name.labels)
