"""The start of the services: a failed one changes nothing."""

import os
import signal
import threading

import pytest
from fastapi.testclient import TestClient

from stream_detect.app.server import listen
from stream_detect.app.service import create_service
from stream_detect.app.supervisor import Hangups
from stream_detect.cameras.fleet import Fleet
from stream_detect.errors import AddressError, SettingsError, StorageError
from stream_detect.jobs.jobs import Jobs
from stream_detect.settings import Settings
from stream_detect.storage.analyses import Analyses
from stream_detect.storage.database import Database
from stream_detect.storage.records import Analysis, Upload
from tests.patience import PATIENCE_S

WAITING = Analysis("1" * 32, "queued", Upload("a.mp4", 1, "0" * 64), "", (("meso4", "ab" * 32),), 5.0, 1.0)


def test_a_failed_start_does_not_count_as_an_attempt_of_waiting_analyses(tmp_path):
    settings = Settings.model_validate(
        {"storage": {"folder": tmp_path}, "cameras": [{"name": "door", "url": "nonsense://nowhere"}]}
    )
    with Database.open(settings.storage) as database:
        Analyses(database).put([WAITING])
    with pytest.raises(AddressError, match="camera door"):
        create_service(settings, lambda: settings)
    with Database.open(settings.storage) as database:
        assert Analyses(database).get(WAITING.id) == WAITING


def test_if_analyses_cannot_start_everything_else_is_closed(tmp_path, monkeypatch):
    def fails(_jobs: Jobs) -> None:
        raise StorageError("the folder cannot be written")

    monkeypatch.setattr(Jobs, "start", fails)
    settings = Settings.model_validate({"storage": {"folder": tmp_path}})
    with pytest.raises(StorageError, match="cannot be written"):
        create_service(settings, lambda: settings)
    Database.open(settings.storage).close()  # its folder is free again


def test_cameras_that_cannot_be_stopped_keep_nothing_else_from_closing(tmp_path, monkeypatch):
    def fails(_fleet: Fleet) -> None:
        raise RuntimeError("a camera cannot be stopped")

    settings = Settings.model_validate({"storage": {"folder": tmp_path}})
    service = create_service(settings, lambda: settings)
    with TestClient(service.application):
        monkeypatch.setattr(Fleet, "close", fails)
    Database.open(settings.storage).close()  # its folder is free again


@pytest.mark.parametrize("host", [".example", "x" * 70, "a\0b"])
def test_an_address_that_can_be_none_is_named(host):
    with pytest.raises(SettingsError, match=r"cannot listen on .*change server\.host"):
        listen(Settings.model_validate({"server": {"host": host, "port": 0, "sign_in": True}}))


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no SIGHUP")
def test_a_reload_during_the_start_is_done_after_it():
    reloaded = threading.Semaphore(0)
    before = signal.getsignal(signal.SIGHUP)
    try:
        hangups = Hangups()
        os.kill(os.getpid(), signal.SIGHUP)
        hangups.handle(reloaded.release)
        assert reloaded.acquire(timeout=PATIENCE_S)
        os.kill(os.getpid(), signal.SIGHUP)
        assert reloaded.acquire(timeout=PATIENCE_S)
    finally:
        signal.signal(signal.SIGHUP, before)
