"""The names of all metrics but the process's own: docs/operations.md has the same table."""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class MetricName:
    """One metric.

    Args:
        name: as it is scraped.
        kind: Prometheus' word.
        labels: in order.
        help: what it is, in a sentence without a full stop.
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


_ALL: Final = (
    _camera("camera_state", "gauge", "1 for the state that the camera is in, 0 for the others", "state"),
    _camera("camera_fps", "gauge", "pictures a second over the last ten seconds"),
    _camera("camera_viewers", "gauge", "who watch now"),
    _camera("camera_pictures_total", "counter", "pictures decoded"),
    _camera("camera_analysed_total", "counter", "results of the analysis"),
    _camera("camera_dropped_samples_total", "counter", "sampled pictures replaced before they were analysed"),
    _camera("camera_decode_errors_total", "counter", "packets or pictures that came corrupted"),
    _camera("camera_reconnects_total", "counter", "attempts to connect after the first"),
    _camera("camera_received_bytes_total", "counter", "bytes of packets"),
    _camera("camera_verdict", "gauge", "1 for the verdict that holds, 0 for the others; all 0 without one", "verdict"),
    _camera("camera_fake_probability", "gauge", "of the window, in [0, 1]; absent without enough evidence"),
    _camera("camera_result_age_seconds", "gauge", "since the newest result came; absent without one"),
    _camera("result_latency_seconds", "histogram", "from a picture's arrival to its result"),
    _alert("failing", "gauge", "1 while the newest attempt was in vain"),
    _alert("delivered_total", "counter", "messages of events that arrived"),
    _alert("failed_total", "counter", "messages given up after a day, or dropped as too many waited"),
    _alert("attempts_failed_total", "counter", "attempts in vain: of webhooks to deliver, of MQTT to stay connected"),
    _alert("waiting", "gauge", "messages that have yet to arrive"),
    MetricName("stream_detect_alerts_suppressed_total", "counter", ("kind",), "events beyond alerts.min_interval_s"),
    _process("evidence_bytes", "evidence kept now"),
    _process("evidence_problem", "1 while no evidence can be written"),
    _process("storage_problem", "1 while nothing can be remembered"),
    _process("storage_waiting", "events, states and scores that wait for the database"),
    MetricName("stream_detect_storage_dropped_total", "counter", ("what",), "of them, lost as too many waited"),
    _process("check_sessions", "live checks of webcams that run"),
    MetricName("stream_detect_analyses", "gauge", ("state",), "analyses of uploads that are kept, by their state"),
    _process("analyses_bytes", "files of analyses kept now; those that share a result count each"),
)

METRICS: Final = {name.name: name for name in _ALL}
