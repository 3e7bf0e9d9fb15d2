"""Export: the network gives the bundle's outputs, the card is written beside it, and nothing is overwritten."""

import errno
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from typer.testing import CliRunner

from stream_detect.cli.models import app
from stream_detect.errors import BundleError
from stream_detect.models.backend import load_model
from stream_detect.models.card import Card
from stream_detect.models.registry import Registry


def run(*arguments):
    return CliRunner().invoke(app, ["export", *arguments])


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_litert_says_what_the_bundle_says(tmp_path):
    bundle = Registry.of(None).load("meso4-dfdc")
    to = tmp_path / "sub" / "m.tflite"
    outcome = run("meso4-dfdc", "--to", str(to))
    assert outcome.exit_code == 0, outcome.output
    crops = np.random.default_rng(3).integers(0, 256, (2, 256, 256, 3), np.uint8)
    expected = load_model(bundle, "openvino").classifier().predict(crops)
    compiled = ov.Core().compile_model(to, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = [compiled(crop[np.newaxis].astype(np.float32) / 255)[0][0, 0] for crop in crops]
    assert got == pytest.approx(expected, abs=1e-4)
    assert Card.model_validate_json((to.parent / "m.card.json").read_text(encoding="utf-8")) == bundle.card


@pytest.mark.parametrize(("suffix", "files"), [(".xml", {"m.xml", "m.bin"}), (".keras", {"m.keras"})])
def test_what_a_bundle_has_is_copied_with_its_card(make_bundle, tmp_path, suffix, files):
    home = make_bundle("one")
    to = tmp_path / "out" / f"m{suffix}"
    assert run("one", "--folder", str(tmp_path), "--to", str(to)).exit_code == 0
    assert {file.name for file in to.parent.iterdir()} == {*files, "m.card.json"}
    for name in files:
        assert (to.parent / name).read_bytes() == (home / name.replace("m.", "model.")).read_bytes()


@pytest.mark.parametrize("suffix", [".xml", ".keras"])
def test_nothing_is_left_of_an_export_that_failed_and_it_can_be_run_again(make_bundle, tmp_path, monkeypatch, suffix):
    make_bundle("one")
    to = tmp_path / "out" / f"m{suffix}"

    def full(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copyfile", full)
        assert isinstance(run("one", "--folder", str(tmp_path), "--to", str(to)).exception, OSError)
    assert list(to.parent.iterdir()) == []
    assert run("one", "--folder", str(tmp_path), "--to", str(to)).exit_code == 0


@pytest.mark.parametrize(("name", "expected"), [("m.onnx", "tf2onnx"), ("m", "ends in"), ("there.xml", "exists")])
def test_what_cannot_be_written_is_reported_before_anything_is(make_bundle, tmp_path, name, expected):
    make_bundle("one")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "there.bin").write_bytes(b"mine")
    outcome = run("one", "--folder", str(tmp_path), "--to", str(tmp_path / "out" / name))
    assert isinstance(outcome.exception, BundleError)
    assert expected in str(outcome.exception)
    assert [file.read_bytes() for file in (tmp_path / "out").iterdir()] == [b"mine"]
