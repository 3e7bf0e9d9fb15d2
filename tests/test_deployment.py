"""Deployment files: the container, compose, the systemd unit, Prometheus' rules and the Grafana dashboard."""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest
import yaml

from scripts import sbom
from stream_detect.api.metrics import METRICS
from stream_detect.settings.file import load_settings

ROOT = Path(__file__).parents[1]
PACKAGING = ROOT / "packaging"
PROMETHEUS = PACKAGING / "prometheus"
BIN = Path(sys.executable).parent
COMPOSE = yaml.safe_load((PACKAGING / "compose.yaml").read_text(encoding="utf-8"))


def run(*command: str | Path, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def program(name: str) -> str:
    """Path of an installed program; skips the test if it is absent."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def metrics_in(text: str) -> set[str]:
    """Names of our metrics in expressions; the series of a histogram count as the histogram."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bstream_detect_[a-z_]+", text)}


def test_the_dockerfile_is_linted():
    completed = run(BIN / "hadolint", PACKAGING / "Dockerfile")
    assert completed.returncode == 0, completed.stdout


def test_the_container_is_not_root_and_checks_its_health():
    text = (PACKAGING / "Dockerfile").read_text(encoding="utf-8")
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001", last, re.MULTILINE)
    assert "HEALTHCHECK" in last


def test_what_the_dockerfile_copies_is_there_and_is_sent_to_it():
    """`.dockerignore` includes what it lists with a `!`."""
    sent = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    text = (PACKAGING / "Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name
            assert any(name == one or name.startswith(f"{one}/") for one in sent), name


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.compose-spec", "packaging/compose.yaml"),
        ("vendor.github-workflows", ".github/workflows/ci.yml"),
        ("vendor.github-issue-forms", ".github/ISSUE_TEMPLATE/bug.yml"),
        ("vendor.github-issue-forms", ".github/ISSUE_TEMPLATE/feature.yml"),
        ("vendor.github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_files_of_other_programs_follow_their_schemas(schema, file):
    completed = run(BIN / "check-jsonschema", "--builtin-schema", schema, file)
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_compose_hardens_the_server_and_keeps_the_rest_optional():
    services = COMPOSE["services"]
    server = services["stream-detect"]
    assert server["read_only"] is True
    assert server["cap_drop"] == ["ALL"]
    assert server["pull_policy"] == "build"  # never an image built by others
    assert all(service.get("profiles") for name, service in services.items() if name != "stream-detect")


def test_the_files_that_compose_mounts_are_there():
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (PACKAGING / source).exists(), source


def test_the_settings_of_the_container_and_the_example_environment_are_usable():
    text = (PACKAGING / "env.example").read_text(encoding="utf-8")
    env = dict(re.findall(r"^#?(STREAM_DETECT_[A-Z_]+)=(.*)$", text, re.MULTILINE))
    env["STREAM_DETECT_TOKEN"] = "0123456789abcdef"
    settings = load_settings(PACKAGING / "stream-detect.yaml", env)
    assert settings.mqtt.url is not None
    assert settings.storage.database_url is not None


class Answer(http.server.BaseHTTPRequestHandler):
    """Responds 200 to /healthz and 503 to everything else."""

    def do_GET(self):
        well = self.path == "/healthz" and self.headers["Host"] == "localhost" and self.server.well
        self.send_response(200 if well else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(("well", "listens", "host"), [(True, "127.0.0.2", "127.0.0.2"), (False, "", "0.0.0.0")])
def test_the_health_check_says_what_the_server_says(well, listens, host):
    with http.server.HTTPServer((listens, 0), Answer) as server:
        server.well = well
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = {"STREAM_DETECT_SERVER__HOST": host, "STREAM_DETECT_SERVER__PORT": str(server.server_port)}
        completed = run(sys.executable, PACKAGING / "healthcheck.py", **at)
        server.shutdown()
    assert completed.returncode == (0 if well else 1)


def test_the_health_check_fails_without_a_server():
    completed = run(sys.executable, PACKAGING / "healthcheck.py", STREAM_DETECT_SERVER__PORT="1")
    assert completed.returncode == 1
    assert "received" in completed.stderr


@pytest.mark.peer
def test_the_unit_is_well_formed_and_confined(tmp_path):
    text = (PACKAGING / "stream-detect.service").read_text(encoding="utf-8")
    unit = tmp_path / "stream-detect.service"
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={BIN / 'stream-detect'}", text), encoding="utf-8")
    analyze = program("systemd-analyze")
    verified = run(analyze, "verify", unit)
    assert verified.returncode == 0, verified.stderr
    assert "stream-detect" not in verified.stderr
    assert "WantedBy=multi-user.target" in text
    confined = run(analyze, "security", "--offline=true", "--threshold=20", unit)  # of 100; 1.7 of 10 when written
    assert confined.returncode == 0, confined.stdout


@pytest.mark.peer
@pytest.mark.parametrize(
    "command",
    ["check rules alerts.yml", "check config --syntax-only prometheus.yml", "test rules alerts_test.yml"],
)
def test_prometheus_accepts_its_files(command):
    completed = run(program("promtool"), *command.split(), cwd=PROMETHEUS)
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_every_alert_has_a_test():
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules}


@pytest.mark.parametrize("file", ["prometheus/alerts.yml", "grafana/stream-detect.json"])
def test_every_metric_that_is_asked_for_exists(file):
    text = (PACKAGING / file).read_text(encoding="utf-8")
    asked = metrics_in(text)
    assert asked
    assert asked <= set(METRICS)


def test_the_dashboard_shows_every_metric_or_its_like():
    """A new metric must be added to the dashboard or to this list."""
    dashboard = (PACKAGING / "grafana" / "stream-detect.json").read_text(encoding="utf-8")
    left_out = {
        "stream_detect_alert_attempts_failed_total",  # alert_failing reports it sooner
        "stream_detect_alerts_suppressed_total",  # nothing is wrong
        "stream_detect_camera_pictures_total",  # camera_fps is its rate
    }
    assert set(METRICS) - metrics_in(dashboard) == left_out
    assert len({panel["id"] for panel in json.loads(dashboard)["panels"]}) == len(json.loads(dashboard)["panels"])


def test_the_container_installs_the_server_with_its_drivers_and_nothing_for_training():
    locked = (PACKAGING / "requirements.lock").read_text(encoding="utf-8")
    names = set(re.findall(r"^([a-z0-9.-]+)==", locked, re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {"psycopg", "psycopg-binary", "paho-mqtt", "openvino", "setuptools"} <= names
    assert not names & {re.split(r"[^a-z0-9-]", one, maxsplit=1)[0] for one in extras["train"]}


def test_the_bill_of_materials_is_valid_and_whole(monkeypatch, tmp_path):
    # It reads a grammar for a second, which every process of the tests would do.
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    monkeypatch.setattr(sbom, "ROOT", tmp_path)
    monkeypatch.setattr(sbom, "TO", tmp_path / "build" / "sbom.json")
    sbom.main()
    text = (tmp_path / "build" / "sbom.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    names = [component["name"] for component in bill["components"]]
    locked = re.findall(r"^([a-z0-9.-]+)==", (PACKAGING / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    page = json.loads((ROOT / "web" / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert {*locked, *page} <= set(names)
    assert "vite" not in names
    assert all(component.get("hashes") or component["externalReferences"] for component in bill["components"])
