"""`stream-detect explain`: a face and its heat map side by side; errors for files without a picture or a face."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut
from typer.testing import CliRunner

from stream_detect.cli.explain import app
from stream_detect.errors import BundleError, MediaError
from stream_detect.settings import Settings
from tests.evaluation.conftest import write_video


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "astronaut.png"
    cv2.imwrite(str(file), astronaut()[..., ::-1])
    return file


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_face_and_its_map_lie_side_by_side(picture, tmp_path):
    outcome = run(picture, "--to", tmp_path / "map.png")
    assert outcome.exit_code == 0, outcome.output
    assert f"{Settings().model.name}: 0." in outcome.output
    both = cv2.imread(str(tmp_path / "map.png"))
    assert both.shape == (192, 384, 3)
    face, over = both[:, :192].astype(int), both[:, 192:].astype(int)
    assert 0.01 < np.mean(np.abs(face - over).max(axis=2) > 20) < 0.9
    assert (over - face)[..., 0].mean() < 0 < (over - face)[..., 2].mean()  # orange: less blue, more red


def test_what_the_other_commands_read_is_read_too(tmp_path):
    write_video(tmp_path / "clip.mp4", [np.ascontiguousarray(astronaut()[:400, :400])] * 2)
    outcome = run(tmp_path / "clip.mp4", "--to", tmp_path / "map.png")
    assert outcome.exit_code == 0, outcome.exception


@pytest.mark.parametrize("content", [None, b"not a picture"])
def test_a_file_without_a_picture_is_named(tmp_path, content):
    file = tmp_path / "a.jpg"
    if content:
        file.write_bytes(content)
    outcome = run(file, "--to", tmp_path / "map.png")
    assert isinstance(outcome.exception, MediaError)
    assert "a.jpg" in str(outcome.exception)


def test_a_picture_without_face_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((200, 200, 3), 128, np.uint8))
    outcome = run(tmp_path / "grey.png", "--to", tmp_path / "map.png")
    assert isinstance(outcome.exception, MediaError)
    assert "found none" in str(outcome.exception)


@pytest.mark.parametrize("to", ["map.nothing", "absent/map.png"])
def test_a_place_that_cannot_be_written_is_named(picture, tmp_path, to):
    outcome = run(picture, "--to", tmp_path / to)
    assert isinstance(outcome.exception, MediaError)
    assert to in str(outcome.exception)


def test_a_model_that_is_not_there_is_named(picture, tmp_path):
    outcome = run(picture, "--to", tmp_path / "map.png", "--model", "absent")
    assert isinstance(outcome.exception, BundleError)
