"""Tiny bundles: a one-layer network with a known output, so that no weights are needed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from stream_detect.models.bundle import FILES, sha256_of


def mean_of_first_channel() -> ov.Model:
    """(1, 16, 16, 3) -> (1, 2): the mean of channel 0, and 1 minus it."""
    given = ops.parameter([-1, 16, 16, 3], np.float32, name="crops")
    red = ops.gather(given, ops.constant(0), ops.constant(3))
    mean = ops.reduce_mean(red, ops.constant([1, 2]), keep_dims=False)
    column = ops.unsqueeze(mean, ops.constant([1]))
    both = ops.concat([column, ops.subtract(ops.constant(np.float32(1)), column)], 1)
    return ov.Model([both], [given], "mean")


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    ov.save_model(mean_of_first_channel(), folder / "model.xml", compress_to_fp16=False)
    (folder / "model.keras").write_bytes(b"not read by these tests")
    return folder


@pytest.fixture
def make_bundle(tiny_files: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a bundle; keywords replace parts of its card."""

    def make(name: str = "tiny", **changes: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for file in FILES:
            (folder / file).write_bytes((tiny_files / file).read_bytes())
        card: dict[str, Any] = {
            "name": name,
            "title": "Mean of red",
            "version": "1",
            "architecture": "mean",
            "input": {"width_px": 16, "height_px": 16},
            "output": {"means": "fake"},
            "training": {"data": "none", "terms": "public domain", "recipe": "by hand"},
            "limits": ["sees redness only"],
            "sha256": {file: sha256_of(folder / file) for file in FILES},
        }
        (folder / "card.json").write_text(json.dumps(card | changes))
        return folder

    return make
