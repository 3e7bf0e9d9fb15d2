"""`stream-detect doctor`: findings about Content Credentials, sign-in and TLS certificates."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from alembic.script import ScriptDirectory
from typer.testing import CliRunner

from stream_detect import extras
from stream_detect.access.accounts import Accounts
from stream_detect.app.tls import self_signed
from stream_detect.cli import app
from stream_detect.cli.doctor import _look, _sign_in, _storage, _tls
from stream_detect.settings import AccessSettings, Settings, StorageSettings
from stream_detect.storage.database import FILE_NAME, Database
from stream_detect.storage.migrations import MIGRATIONS, migrate
from stream_detect.storage.users import StoredUsers
from stream_detect.types import Role
from tests.authority import Authority


@pytest.fixture
def line(tmp_path, monkeypatch):
    """The line about Content Credentials, with these settings."""
    monkeypatch.chdir(tmp_path)

    def of(settings: str = "") -> str:
        (tmp_path / "settings.yaml").write_text(f"server:\n  port: 0\n{settings}")
        output = CliRunner().invoke(app, ["doctor", "--settings", str(tmp_path / "settings.yaml")]).output
        return next(line for line in output.splitlines() if "content credentials" in line)

    return of


def test_it_names_who_signs_and_until_when(line, tmp_path):
    assert "evidence is not signed" in line()
    certificate, key = Authority().holder("Cameras").write(tmp_path)
    signed = f"evidence:\n  signing_certificate: {certificate}\n  signing_key: {key}\n"
    found = line(signed)
    assert found.startswith("ok")
    assert "CN=Cameras" in found
    Authority().holder(lasts=timedelta(days=-2)).write(tmp_path)
    assert "valid now" in line(signed)
    assert line(signed).startswith("MISSING")


def test_without_the_extra_it_says_how_to_install_it(line, monkeypatch):
    monkeypatch.setitem(extras.PACKAGES, "c2pa", ("no_such_package",))
    assert 'pip install "stream-detect[c2pa]"' in line()
    assert line().startswith("ok")


@pytest.mark.parametrize(
    ("given", "users", "well", "detail"),
    [
        ({}, 0, True, "no access control"),
        ({"server": {"sign_in": True}}, 0, False, "users add NAME"),
        ({"server": {"sign_in": True}}, 1, True, "1 user"),
        ({"server": {"token": "correct-horse"}}, 1, True, "1 user, the settings' token"),
        ({"access": {"proxy_header": "X-User", "proxy_addresses": ["127.0.0.1"]}}, 0, True, "users of a proxy"),
    ],
)
def test_the_doctor_says_who_may_come_in(tmp_path, given, users, well, detail):
    storage = {"folder": tmp_path / "data"}
    if users:
        with Database.open(StorageSettings(**storage)) as database:
            Accounts(StoredUsers(database), AccessSettings()).add("alice", Role.ADMIN, "four random words here")
    found = _look("sign-in", Settings.model_validate({"storage": storage, **given}), _sign_in)
    assert found.well is well
    assert detail in found.detail
    assert (tmp_path / "data").exists() is bool(users)


def test_the_doctor_changes_no_tables_of_an_older_version(tmp_path):
    before = ScriptDirectory(str(MIGRATIONS)).get_revision("head").down_revision
    settings = Settings.model_validate({"storage": {"folder": tmp_path / "data"}})
    with Database.open(settings.storage) as database, database.writing() as session:
        migrate(session.connection(), before)
    assert "older tables" in _look("storage", settings, _storage).detail
    assert "once the next start" in _look("sign-in", settings, _sign_in).detail
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as file:
        assert file.execute("SELECT version_num FROM alembic_version").fetchone() == (before,)


@pytest.mark.parametrize(("age_days", "well", "words"), [(0, True, "localhost"), (820, False, "ends on")])
def test_an_expiring_certificate_is_a_finding(tmp_path, age_days, well, words):
    certificate, key = self_signed(tmp_path, ("localhost",), datetime.now(UTC) - timedelta(age_days))
    server = {"tls_certificate": certificate, "tls_key": key}
    found = _look("TLS", Settings.model_validate({"server": server}), _tls)
    assert (found.well, words in found.detail) == (well, True), found
