"""The metrics: parsed by Prometheus' own parser, and compared with the document."""

import re
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from stream_detect.alerts.messages import NotifierStatus
from stream_detect.api.metrics import METRICS, LatencyObserver, MetricSources, router
from stream_detect.cameras.status import CameraCounts, CameraStatus
from stream_detect.errors import StorageError
from stream_detect.events.journal import JournalCounts
from stream_detect.types import CameraState, Result, StateChange, Verdict, VerdictState

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
COUNTS = CameraCounts(
    pictures=250, analysed=50, dropped_samples=2, decode_errors=3, reconnects=1, received_bytes=123_456
)
NOTIFIER = NotifierStatus(
    "house", "webhook", "failing", "no answer", delivered=7, failed=1, attempts_failed=4, waiting=2
)


def result(fake_probability=0.93, latency_s=0.04) -> Result:
    verdict = Verdict(VerdictState.FAKE if fake_probability else VerdictState.GATHERING, "", fake_probability, 41, 12)
    return Result(1, 0.2, 0.0, None, (640, 480), verdict, (), latency_s, 0)


def status(name="door", state=CameraState.LIVE, judged=None) -> CameraStatus:
    change = StateChange(name, state, "", 1000.0)
    return CameraStatus(name, change, COUNTS, 24.9, (640, 480), "h264", 3, None, judged, 0.2 if judged else None)


class Scraped:
    """A server whose cameras a test can change."""

    def __init__(self):
        self.cameras = [status(judged=result()), status("yard", CameraState.STALLED)]
        self.latency = LatencyObserver()
        self.problem = ""
        self.database_is_away = False
        sources = MetricSources(
            cameras=lambda: self.cameras,
            notifiers=lambda: [NOTIFIER],
            suppressed=lambda: {"fake": 5, "offline": 0},
            evidence_bytes=self.evidence_bytes,
            evidence_problem=lambda: self.problem,
            storage_problem=lambda: "",
            journal=lambda: JournalCounts(waiting=9, dropped_changes=1, dropped_states=2, dropped_scores=3),
            check_sessions=lambda: 1,
        )
        application = FastAPI()
        application.include_router(router(sources, self.latency))
        self.client = TestClient(application)

    def evidence_bytes(self) -> int:
        if self.database_is_away:
            raise StorageError("the database is away")
        return 120_000

    def text(self) -> httpx2.Response:
        return self.client.get("/metrics")

    def samples(self) -> dict[tuple[str, ...], float]:
        """Values by name and label values, in the order of the label names."""
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(self.text().text)
            for sample in family.samples
        }


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


def test_a_scrape_says_how_each_camera_does(scraped):
    answer = scraped.text()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = scraped.samples()
    for count, value in (
        ("pictures", 250), ("analysed", 50), ("dropped_samples", 2), ("decode_errors", 3), ("reconnects", 1),
        ("received_bytes", 123_456),
    ):  # fmt: skip
        assert samples[f"stream_detect_camera_{count}_total", "door"] == value
    assert samples["stream_detect_camera_fps", "door"] == 24.9
    assert samples["stream_detect_camera_viewers", "door"] == 3
    assert samples["stream_detect_camera_fake_probability", "door"] == 0.93
    assert samples["stream_detect_camera_result_age_seconds", "door"] == 0.2
    assert ("stream_detect_camera_fake_probability", "yard") not in samples


def test_of_states_and_verdicts_one_is_1(scraped):
    samples = scraped.samples()
    for camera, state, verdict in (("door", "live", "fake"), ("yard", "stalled", None)):
        assert {word for word in CameraState if samples["stream_detect_camera_state", camera, word]} == {state}
        reported = {word for word in VerdictState if samples["stream_detect_camera_verdict", camera, word]}
        assert reported == ({verdict} if verdict else set())


def test_a_verdict_without_enough_evidence_has_no_probability(scraped):
    scraped.cameras = [status(judged=result(fake_probability=None))]
    samples = scraped.samples()
    assert samples["stream_detect_camera_verdict", "door", "gathering"] == 1
    assert ("stream_detect_camera_fake_probability", "door") not in samples


def test_latencies_are_counted_by_camera(scraped):
    for latency_s in (0.04, 0.04, 0.4):
        scraped.latency.result("door", result(latency_s=latency_s), 1000.0)
    samples = scraped.samples()
    assert samples["stream_detect_result_latency_seconds_count", "door"] == 3
    assert samples["stream_detect_result_latency_seconds_bucket", "door", "0.05"] == 2
    assert samples["stream_detect_result_latency_seconds_sum", "door"] == pytest.approx(0.48)


def test_a_removed_camera_vanishes(scraped):
    scraped.latency.result("door", result(), 1000.0)
    scraped.latency.state(StateChange("door", CameraState.STOPPED, "", 1000.0))
    scraped.cameras = [status("yard")]
    scraped.latency.removed("door")
    scraped.latency.removed("never-judged")
    assert "yard" in scraped.text().text
    assert "door" not in scraped.text().text


def test_ways_of_telling_and_problems_are_there(scraped):
    scraped.problem = "disk full"
    samples = scraped.samples()
    assert samples["stream_detect_alert_failing", "webhook", "house"] == 1
    assert samples["stream_detect_alert_delivered_total", "webhook", "house"] == 7
    assert samples["stream_detect_alert_failed_total", "webhook", "house"] == 1
    assert samples["stream_detect_alert_attempts_failed_total", "webhook", "house"] == 4
    assert samples["stream_detect_alert_waiting", "webhook", "house"] == 2
    assert samples["stream_detect_alerts_suppressed_total", "fake"] == 5
    assert (samples["stream_detect_evidence_bytes",], samples["stream_detect_evidence_problem",]) == (120_000, 1)
    assert (samples["stream_detect_storage_problem",], samples["stream_detect_check_sessions",]) == (0, 1)
    assert samples["stream_detect_storage_waiting",] == 9
    dropped = [samples["stream_detect_storage_dropped_total", what] for what in ("events", "states", "scores")]
    assert dropped == [1, 2, 3]
    assert samples["process_resident_memory_bytes",] > 0


def test_while_the_database_fails_the_rest_is_reported(scraped):
    scraped.database_is_away = True
    samples = scraped.samples()
    assert ("stream_detect_evidence_bytes",) not in samples
    assert samples["stream_detect_camera_fps", "door"] == 24.9


def test_every_metric_is_in_the_document_and_no_other():
    section = OPERATIONS.read_text(encoding="utf-8").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", section, re.MULTILINE)
    assert rows == [
        (name.name, name.kind, ", ".join(f"`{label}`" for label in name.labels), name.help) for name in METRICS.values()
    ]


def test_a_scrape_has_the_metrics_that_the_document_names(scraped):
    scraped.latency.result("door", result(), 1000.0)
    scraped_families = {
        family.name + ("_total" if family.type == "counter" and not family.name.startswith("process") else "")
        for family in text_string_to_metric_families(scraped.text().text)
        if family.name.startswith("stream_detect")
    }
    assert scraped_families == set(METRICS)
