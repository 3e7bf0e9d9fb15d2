"""The same training on JAX, as on an accelerator, and on PyTorch, as on a CPU; the bundle can be served."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from stream_detect.models.bundle import Bundle
from tests.conftest import TORCH_ABSENT

SCRIPT = Path(__file__).with_name("on_backend.py")

QUICK = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",
    # Compilation takes nearly all of the time: it is done once, without optimisations.
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


@pytest.mark.tensorflow  # converts what another backend trained
@pytest.mark.parametrize(
    ("backend", "architecture", "data_format", "precision"),
    [
        ("jax", "meso4", "channels_last", "float32"),
        ("jax", "efficientnet_lite0", "channels_first", "float32"),
        ("torch", "efficientnet_lite0", "channels_first", "mixed_bfloat16"),
    ],
)
def test_it_is_continued_and_ends_as_a_bundle_that_all_agree_on(
    backend, architecture, data_format, precision, tmp_path
):
    if find_spec(backend) is None:
        pytest.skip(TORCH_ABSENT if backend == "torch" else f"{backend} is not installed")
    child = subprocess.run(
        [sys.executable, str(SCRIPT), architecture, data_format, precision, str(tmp_path)],
        env=os.environ | QUICK | {"KERAS_BACKEND": backend, "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax")},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    used, steps, between_backends, between_formats = child.stdout.split()[-4:]
    assert (used, steps) == (backend, "3")  # those after the checkpoint of the interrupted run
    assert float(between_backends) < 1e-3
    assert float(between_formats) < 0.02  # NaN, from constant outputs, fails too
    assert Bundle.load(tmp_path / "tiny").card.architecture == architecture
