"""What `stream-detect doctor` says of Content Credentials."""

from datetime import timedelta

import pytest
from typer.testing import CliRunner

from stream_detect import extras
from stream_detect.cli import app
from tests.authority import Authority


@pytest.fixture
def line(tmp_path, monkeypatch):
    """The line of Content Credentials, with these settings."""
    monkeypatch.chdir(tmp_path)

    def of(settings: str = "") -> str:
        (tmp_path / "settings.yaml").write_text(f"server:\n  port: 0\n{settings}")
        said = CliRunner().invoke(app, ["doctor", "--settings", str(tmp_path / "settings.yaml")]).output
        return next(line for line in said.splitlines() if "content credentials" in line)

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
