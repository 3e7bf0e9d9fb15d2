"""The routes of the notifiers."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from stream_detect.alerts.notifiers import Alerts
from stream_detect.api import alerts as alert_routes
from stream_detect.api.middleware.problems import install
from stream_detect.settings import AlertSettings, MqttSettings, StorageSettings, WebhookSettings
from stream_detect.storage.database import Database
from stream_detect.storage.deliveries import Deliveries

SECRETS = ("hunter2", "correct-horse-battery", "127.0.0.1")


@pytest.fixture
def client(tmp_path):
    webhook = WebhookSettings(name="house", url="http://127.0.0.1:9/?token=hunter2", secret="correct-horse-battery")
    with Database.open(StorageSettings(folder=tmp_path / "data")) as database:
        alerts = Alerts(AlertSettings(), [webhook], MqttSettings(), Deliveries(database))
        alerts.start()
        application = FastAPI()
        application.include_router(alert_routes.router(alerts))
        install(application)
        yield TestClient(application)
        alerts.close()


def test_the_notifiers_are_listed_without_addresses(client):
    answer = client.get("/api/alerts")
    assert answer.json() == {
        "items": [
            {"name": "house", "kind": "webhook", "state": "ok", "detail": "nothing was sent yet", "delivered": 0,
             "failed": 0, "waiting": 0}
        ]
    }  # fmt: skip
    assert not [secret for secret in SECRETS if secret in answer.text]


def test_a_test_alert_reports_its_outcome(client):
    answer = client.post("/api/alerts/house/test")
    assert answer.status_code == 200
    assert answer.json() == {"ok": False, "detail": "no connection: the host does not respond, or TLS failed"}


def test_an_unknown_notifier(client):
    answer = client.post("/api/alerts/mqtt/test")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "expected one of the notifiers (house), received 'mqtt'"
