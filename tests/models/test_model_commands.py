import pytest
from typer.testing import CliRunner

from stream_detect.cli.models import app


@pytest.fixture
def run(tmp_path):
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--folder", str(tmp_path)])


def test_list_names_every_bundle(run, make_bundle):
    make_bundle("one")
    make_bundle("two")
    result = run("list")
    assert result.exit_code == 0
    assert {"one", "two", "meso4-dfdc"} <= set(result.output.split())


def test_info_shows_terms_limits_and_figures(run, make_bundle):
    metric = {"name": "AUC", "value": 0.7123, "low": 0.69, "high": 0.73, "data": "val", "n": 400}
    make_bundle("one", metrics=[metric])
    output = run("info", "one").output
    for text in ("public domain", "sees redness only", "AUC", "0.712", "0.690-0.730", "400"):
        assert text in output


def test_brackets_in_a_card_are_shown_as_they_are(run, make_bundle):
    make_bundle("one", title="for [red] faces", limits=["sees [/nothing] else"])
    listed, shown = run("list"), run("info", "one")
    assert (listed.exit_code, shown.exit_code) == (0, 0), shown.exception
    assert "for [red] faces" in listed.output
    assert "for [red] faces" in shown.output
    assert "sees [/nothing] else" in shown.output


def test_verify_distinguishes_broken_bundles(run, make_bundle):
    make_bundle("one")
    (make_bundle("two") / "model.bin").write_bytes(b"changed")
    result = run("verify")
    assert result.exit_code == 1
    assert "whole   one" in result.output
    assert "broken  two" in result.output
    assert run("verify", "one").exit_code == 0
