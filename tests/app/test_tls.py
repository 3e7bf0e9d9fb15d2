"""TLS certificates: generated, refused, and replaced while connections are open."""

import asyncio
import datetime as dt
import hashlib
import http.client
import json
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_detect.app.tls import Certificate, self_signed
from stream_detect.errors import SettingsError
from stream_detect.settings import Settings
from tests.conftest import Server
from tests.patience import PATIENCE_S, soon, until
from tests.test_house import run

NOW = dt.datetime.now(dt.UTC)


def pair(folder: Path, *, days: int = 0) -> tuple[Path, Path]:
    """A certificate for localhost issued the given number of days ago, and its key."""
    return self_signed(folder, ("localhost", "127.0.0.1"), NOW - dt.timedelta(days))


def replace(there: tuple[Path, Path], by: tuple[Path, Path]) -> None:
    for old, new in zip(there, by, strict=True):
        new.replace(old)


def shown(server: Server) -> tuple[http.client.HTTPSConnection, bytes]:
    """An open connection, and the certificate that it received."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        "127.0.0.1", int(server.url.rpartition(":")[2]), timeout=PATIENCE_S, context=context
    )
    assert ask(connection) == 200
    certificate = connection.sock.getpeercert(binary_form=True)
    assert certificate is not None
    return connection, certificate


def ask(connection: http.client.HTTPSConnection) -> int:
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_a_certificate_is_made_and_kept_and_its_fingerprint_is_reported(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    settings = {
        "SERVER__TLS": "self_signed",
        "SERVER__TLS_NAMES": '["detect.example", "127.0.0.1"]',
        "STORAGE__FOLDER": str(tmp_path / "data"),
    }
    server = start_server(**settings)
    assert server.url.startswith("https://")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "data/tls/certificate.pem"))
    trusted = http.client.HTTPSConnection("127.0.0.1", int(server.url.rpartition(":")[2]), context=trusting)
    assert ask(trusted) == 200
    trusted.close()
    connection, certificate = shown(server)
    connection.close()
    assert f"detect.example, 127.0.0.1, until {(NOW + dt.timedelta(824)):%Y-%m-%d}" in "".join(server.log)
    assert _fingerprint(certificate) in "".join(server.log)
    for name, mode in (("data", "700"), ("data/tls", "700"), ("data/tls/key.pem", "600")):
        assert oct((tmp_path / name).stat().st_mode)[-3:] == mode
    server.stop()
    again, kept = shown(start_server(**settings))
    again.close()
    assert kept == certificate


def _fingerprint(certificate: bytes) -> str:
    return hashlib.sha256(certificate).digest().hex(":").upper()


def test_it_is_generated_again_for_other_names_and_before_it_expires(tmp_path: Path) -> None:
    files = self_signed(tmp_path, ("a.example",), NOW)
    first = files[0].read_bytes()
    assert self_signed(tmp_path, ("a.example",), NOW + dt.timedelta(790))[0].read_bytes() == first
    assert self_signed(tmp_path, ("a.example",), NOW + dt.timedelta(800))[0].read_bytes() != first
    second = files[0].read_bytes()
    assert self_signed(tmp_path, ("b.example",), NOW + dt.timedelta(800))[0].read_bytes() != second
    files[1].write_text("nothing")
    Certificate(lambda: self_signed(tmp_path, ("b.example",), NOW))
    self_signed(tmp_path, ("b.example",), NOW + dt.timedelta(5000))  # the clock was ahead, and is set right
    Certificate(lambda: self_signed(tmp_path, ("b.example",), NOW))


def test_renewed_files_are_used_by_new_connections_while_the_old_ones_go_on(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    files = pair(tmp_path / "now")
    server = start_server(SERVER__TLS_CERTIFICATE=str(files[0]), SERVER__TLS_KEY=str(files[1]))
    open_one, first = shown(server)

    def hang_up(word: str) -> str:
        seen = len(server.log)
        server.process.send_signal(signal.SIGHUP)
        return until(lambda: next((line for line in server.log[seen:] if word in line), ""))

    replace(files, pair(tmp_path / "renewed"))
    renewed = hang_up("TLS certificate replaced")
    assert ask(open_one) == 200, "it is open still"
    another, second = shown(server)
    assert first != second
    assert _fingerprint(second) in renewed

    def problems() -> list[str]:
        another.request("GET", "/api/status")
        found: list[str] = json.loads(another.getresponse().read())["problems"]
        return found

    assert problems() == []
    other = pair(tmp_path / "other")
    other[1].replace(files[1])
    assert "expected the key of the certificate" in hang_up("was not replaced")
    (problem,) = problems()
    assert "not replaced, the one before stays in use: expected the key of the certificate" in problem
    replace(files, pair(tmp_path / "old", days=900))
    assert "valid now" in hang_up("was not replaced")
    still, third = shown(server)
    assert third == second, "the one before stays in use"
    for connection in (open_one, another, still):
        assert ask(connection) == 200
        connection.close()


def test_problems_of_changed_files_are_reported_until_they_are_fixed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = pair(tmp_path / "now")
    certificate = Certificate(lambda: files)
    before = certificate.summary
    aside = tmp_path / "aside.pem"
    files[0].rename(aside)
    for _ in range(3):
        certificate.refresh()
    (problem,) = certificate.problems
    assert "the one before stays in use: expected a certificate and a key in" in problem
    assert caplog.text.count("was not replaced") == 1
    aside.rename(files[0])
    certificate.refresh()
    assert (certificate.problems, certificate.summary) == ((), before)


@pytest.mark.parametrize(
    ("age_days", "words"),
    [(0, ""), (816, ""), (818, "the TLS certificate ends on"), (825, "the TLS certificate has ended on")],
)
def test_an_expiring_certificate_is_reported(tmp_path: Path, age_days: int, words: str) -> None:
    files = pair(tmp_path)
    days = 0
    certificate = Certificate(lambda: files, lambda: NOW + dt.timedelta(days))
    days = age_days
    certificate.refresh()
    assert len(certificate.problems) == bool(words)
    assert words in "".join(certificate.problems)


async def test_files_are_looked_at_from_time_to_time(tmp_path: Path) -> None:
    files = pair(tmp_path / "now")
    certificate = Certificate(lambda: files)
    before = certificate.summary
    watching = asyncio.create_task(certificate.watch(0.01))
    replace(files, pair(tmp_path / "renewed"))
    await soon(lambda: certificate.summary != before)
    watching.cancel()


async def test_a_system_error_does_not_end_the_watch_over_the_files(tmp_path: Path) -> None:
    files = pair(tmp_path / "now")
    failures: list[OSError] = []

    def fails_once() -> tuple[Path, Path]:
        if watching and not failures:
            failures.append(OSError("read-only file system"))
            raise failures[0]
        return files

    watching: list[asyncio.Task[None]] = []
    certificate = Certificate(fails_once)
    before = certificate.summary
    watching.append(asyncio.create_task(certificate.watch(0.01)))
    await soon(lambda: failures)
    replace(files, pair(tmp_path / "renewed"))
    await soon(lambda: certificate.summary != before)
    watching[0].cancel()


def test_unusable_certificates_prevent_the_start(tmp_path: Path) -> None:
    good, other, old = pair(tmp_path / "a"), pair(tmp_path / "b"), pair(tmp_path / "c", days=900)
    for files, words in (
        ((good[0], other[1]), "expected the key of the certificate"),
        (old, "renew it"),
        ((good[1], good[0]), "expected a PEM certificate"),
        ((tmp_path / "none", good[1]), "expected a certificate and a key in"),
    ):
        with pytest.raises(SettingsError, match=words):
            Certificate(lambda files=files: files)  # type: ignore[misc]
    completed = run(
        "server.py",
        STREAM_DETECT_SERVER__PORT="0",
        STREAM_DETECT_SERVER__TLS_CERTIFICATE=str(good[0]),
        STREAM_DETECT_SERVER__TLS_KEY=str(other[1]),
    )
    assert (completed.returncode, completed.stderr.count("\n")) == (2, 1)
    assert "received another key" in completed.stderr


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"tls": "self_signed", "tls_certificate": "a", "tls_key": "b"}, "either tls: self_signed or"),
        ({"tls_names": ["a.example"]}, "expected tls: self_signed beside tls_names"),
        ({"tls": "self_signed", "tls_names": ["https://a"]}, "without scheme"),
        ({"tls": "on"}, "self_signed"),
    ],
)
def test_settings_that_contradict_each_other(server: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.model_validate({"server": server})
