"""Plots of a report: they are written and not empty."""

import cv2
import numpy as np
import pytest

from stream_detect.evaluation.scored import Scored
from stream_detect.training.report import write_curves, write_report


@pytest.fixture
def scored():
    rng = np.random.default_rng(1)
    fake = np.arange(60) % 2 == 1
    source = np.array(["dfdc"] * 40 + ["fairface"] * 20)
    return Scored(np.clip(rng.normal(0.4 + 0.2 * fake, 0.2), 0, 1), fake, source, np.arange(60).astype(str))


def shows_something(file):
    image = cv2.imread(str(file))
    return image is not None and min(image.shape[:2]) >= 400 and image.std() > 10


def test_report_is_three_pictures(scored, tmp_path):
    files = write_report(scored, 0.5, tmp_path / "new" / "report")
    assert sorted(file.name for file in files) == ["confusion.png", "roc.png", "scores.png"]
    assert all(shows_something(file) for file in files)


@pytest.mark.parametrize("measured", ["", "0.61"], ids=["not yet validated", "validated"])
def test_curves_are_drawn(tmp_path, measured):
    file = tmp_path / "curves.csv"
    file.write_text(f"step,loss,val_auc\n50,.69,\n100,.61,{measured}\n", encoding="utf-8")
    assert shows_something(write_curves(file, tmp_path / "curves.png"))
