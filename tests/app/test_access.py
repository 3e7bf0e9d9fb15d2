"""The service of access control while the database does not answer."""

import asyncio
import json
import sqlite3
import threading

import pytest
from pydantic import SecretStr

from stream_detect.access.principal import Principal
from stream_detect.app.access import AccessService
from stream_detect.settings import Settings
from stream_detect.storage.audit import AuditEntry
from stream_detect.storage.database import FILE_NAME, Database
from stream_detect.types import Role
from tests.patience import PATIENCE_S

TOKEN = "correct-horse-battery"


@pytest.fixture
def settings(tmp_path):
    return Settings.model_validate(
        {
            "server": {"token": TOKEN},
            "storage": {"folder": tmp_path / "data"},
            "audit": {"file": tmp_path / "audit.jsonl"},
        }
    )


@pytest.fixture
def access(settings):
    with Database.open(settings.storage) as database:
        yield AccessService(settings, database)


async def test_what_runs_by_a_replaced_token_ends(access, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(access.directory, "refresh", lambda: released.wait(PATIENCE_S))
    owner = access.directory.by_bearer(TOKEN.encode())
    assert isinstance(owner, Principal)

    async def upload(_scope, receive, _send) -> None:
        await receive()

    async def receive() -> None:
        access.directory.replace_token(SecretStr("another-token"))
        await never.wait()

    async def send(_message) -> None:
        raise AssertionError("nothing is answered")

    never = asyncio.Event()
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"5")]}
    access.open()
    try:
        async with asyncio.timeout(PATIENCE_S / 2):
            assert not await access.running.carry(owner, Role.ADMIN, upload, (scope, receive, send))
    finally:
        released.set()
        await access.close()


async def test_the_audit_log_s_last_entries_are_in_its_file(access, settings):
    blocking = sqlite3.connect(settings.storage.folder / FILE_NAME, isolation_level=None)
    blocking.execute("BEGIN IMMEDIATE")
    access.open()
    access.audit.note(AuditEntry(1.0, "camera.delete", target="door"))
    await access.close()
    written = settings.audit.file.read_text()
    blocking.close()
    assert json.loads(written)["target"] == "door"
