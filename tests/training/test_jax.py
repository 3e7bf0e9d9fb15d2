"""The same training on JAX, as on an accelerator; its bundle is served like any other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream_detect.models.bundle import Bundle

SCRIPT = Path(__file__).with_name("on_jax.py")


@pytest.mark.tensorflow  # converts what JAX trained
def test_a_training_on_jax_ends_as_a_bundle_that_both_backends_agree_on(tmp_path):
    child = subprocess.run(
        [sys.executable, str(SCRIPT), "streamnet", str(tmp_path)],
        env=os.environ | {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    backend, steps, difference = child.stdout.split()[-3:]
    assert (backend, steps) == ("jax", "6")
    assert float(difference) < 1e-3
    assert Bundle.load(tmp_path / "tiny").card.architecture == "streamnet"
