"""A real, tiny training: it learns, keeps the best weights, resumes after an interruption, and yields a bundle."""

import csv
import json
import shutil
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from typer.testing import CliRunner

from stream_detect import extras
from stream_detect.errors import DatasetError, MissingExtraError, SettingsError, TrainingError
from stream_detect.evaluation.dataset import Faces
from stream_detect.models.bundle import Bundle
from stream_detect.training.recipe import Recipe, RecipeValueError

# ruff: noqa: PLC0415 - TensorFlow is imported by the tests that run, not while tests are collected
# TensorFlow's variables do not support NumPy 2's `copy` yet.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

RECIPE = Recipe(steps=6, batch=4, ema_from=1, validate_every=3)


@pytest.fixture
def small(marked_faces):
    """The marked faces at 64x64, so that a step takes milliseconds."""
    return Faces(np.ascontiguousarray(marked_faces.crops[:, 96:160, 96:160]), marked_faces.rows, ())


def weights_of(file):
    import keras

    return keras.saving.load_model(file, compile=False).get_weights()


def test_a_training_broken_off_ends_as_if_it_had_not_been(small, tmp_path):
    from stream_detect.training.train import train

    whole = train(RECIPE, small, small, tmp_path / "whole")

    class BrokenOffError(Exception):
        pass

    def stop(at):
        if at.step == 4:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        train(RECIPE, small, small, tmp_path / "halves", stop)
    steps = []
    again = train(RECIPE, small, small, tmp_path / "halves", lambda at: steps.append(at.step))
    assert steps == [4, 5, 6]  # the checkpoint is from step 3
    for one, other in zip(weights_of(whole), weights_of(again), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    curves = [(tmp_path / name / "curves.csv").read_text(encoding="utf-8") for name in ("whole", "halves")]
    assert curves[0] == curves[1]


def test_weights_of_two_cycles_are_averaged_and_a_resumed_training_does_so_too(small, tmp_path):
    from stream_detect.training.train import train

    recipe = replace(RECIPE, restarts=(3,), selected_by="last", ema=0.5, learning_rate=0.01)
    last = weights_of(train(recipe, small, small, tmp_path / "last"))
    averaged, first = replace(recipe, cycle_share=0.25), tmp_path / "first.keras"

    class BrokenOffError(Exception):
        pass

    def stop(at):
        if at.step == 4:
            shutil.copy(tmp_path / "both" / "best.keras", first)  # the checkpoint is from step 3
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        train(averaged, small, small, tmp_path / "both", stop)
    both = weights_of(train(averaged, small, small, tmp_path / "both"))
    for mean, old, new in zip(both, weights_of(first), last, strict=True):
        np.testing.assert_allclose(mean, 0.75 * old + 0.25 * new, atol=1e-4)
    assert any(np.abs(mean - new).max() > 1e-3 for mean, new in zip(both, last, strict=True))


@pytest.mark.parametrize(
    "changed",
    [{"cycle_share": 0.0}, {"cycle_share": 1.5}, {"restarts": ()}, {"selected_by": "all"}, {"ema_from": 3}],
)
def test_an_average_of_cycles_that_cannot_be_is_refused(changed):
    with pytest.raises(RecipeValueError) as refused:
        replace(RECIPE, **{"restarts": (3,), "selected_by": "last", "cycle_share": 0.5, **changed})
    assert refused.value.key == "cycle_share"


def test_a_finished_training_does_nothing_more(small, tmp_path):
    from stream_detect.training.train import train

    train(RECIPE, small, small, tmp_path)
    steps = []
    train(RECIPE, small, small, tmp_path, lambda at: steps.append(at.step))
    assert steps == []


def test_it_learns_an_easy_task(small, tmp_path):
    from stream_detect.training.train import train

    losses, reached = [], []
    recipe = replace(RECIPE, steps=60, batch=16, ema_from=30, ema=0.9, validate_every=20)
    train(recipe, small, small, tmp_path, lambda at: (losses.append(at.loss), reached.append(at.best_auc)))
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    assert reached[-1] > 0.9
    with (tmp_path / "curves.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in rows if row["val_auc"]] == [20, 40, 60]


def test_a_checkpoint_of_another_recipe_is_refused(small, tmp_path):
    from stream_detect.training.train import train

    train(RECIPE, small, small, tmp_path)
    with pytest.raises(TrainingError, match="of another"):
        train(replace(RECIPE, seed=2), small, small, tmp_path)


def test_a_checkpoint_of_other_faces_is_refused(small, tmp_path):
    from stream_detect.training.train import train

    train(RECIPE, small, small, tmp_path)
    fewer = Faces(small.crops[:-2], small.rows[:-2], ())
    for faces, val in ((fewer, small), (small, fewer)):
        with pytest.raises(TrainingError, match="of these faces"):
            train(replace(RECIPE, patience=3), faces, val, tmp_path)


@pytest.mark.parametrize("content", [b"PK half a file", b"", None], ids=["damaged", "empty", "of another program"])
def test_a_damaged_checkpoint_is_named(small, tmp_path, content):
    from stream_detect.training.train import train

    if content is None:
        np.savez(tmp_path / "checkpoint.npz", weights=np.zeros(3))
    else:
        (tmp_path / "checkpoint.npz").write_bytes(content)
    with pytest.raises(TrainingError, match=r"checkpoint\.npz"):
        train(RECIPE, small, small, tmp_path)


def test_a_training_that_diverges_says_so(small, tmp_path):
    from stream_detect.training.train import train

    with pytest.raises(TrainingError, match="learning rate"):
        train(replace(RECIPE, steps=40, learning_rate=1e30), small, small, tmp_path)


def test_train_and_evaluate_as_commands(training_data, face, tmp_path, monkeypatch):
    from stream_detect.cli.evaluate import app as evaluate
    from stream_detect.cli.train import app as train

    rng = np.random.default_rng(1)
    for i in range(4, 12):  # enough validation groups for both halves
        training_data.add((face * rng.uniform(0.6, 1.0)).astype(np.uint8), f"real/val{i}.jpg", f"val{i}")
        marked = (face * rng.uniform(0.6, 1.0)).astype(np.uint8)
        marked[::6] = 255 - marked[::6]
        training_data.add(marked, f"fake/val{i}.jpg", f"val{i}")
    data, run, cache = training_data.write(), tmp_path / "run", tmp_path / "cache"
    recipe = tmp_path / "quick.toml"
    recipe.write_text("ema_from = 1\nvalidate_every = 2\nsteps = 90\n", encoding="utf-8")
    monkeypatch.setattr("stream_detect.evaluation.bootstrap.DRAWS", 20)
    # Two steps teach nothing: any scores must still give a bundle.
    monkeypatch.setattr("stream_detect.training.publish.fit_calibration", _identity)
    options = ["--data", str(data), "--cache", str(cache)]
    trained = CliRunner().invoke(
        train,
        [
            "train",
            *options,
            "--to",
            str(run),
            "--recipe",
            str(recipe),
            "--name",
            "tiny",
            "--steps",
            "2",
            "--batch",
            "4",
        ],
        catch_exceptions=False,
    )
    assert trained.exit_code == 0, trained.output
    card = Bundle.load(run / "tiny").card
    assert card.training.data == "4 real and 4 fake faces of astronaut"
    named = f"--name tiny --recipe {tmp_path.name}/quick.toml"
    assert card.training.recipe == f"stream-detect train --data FOLDER --to FOLDER {named} --steps 2 --batch 4"
    assert {metric.name for metric in card.metrics} >= {"auc", "accuracy", "precision", "recall", "false_alarm_rate"}
    assert {file.name for file in (run / "report").iterdir()} == {
        "roc.png",
        "confusion.png",
        "scores.png",
        "curves.png",
    }
    rows = ["--manifest", str(data / "faces.csv"), "--root", str(data), "--only", "split=val", "--held-out"]
    evaluated = CliRunner().invoke(
        evaluate,
        [*rows, "--crops", "--by", "source", "--model", str(run / "tiny"), "--json", str(tmp_path / "seen.json")],
        catch_exceptions=False,
    )
    assert evaluated.exit_code == 0, evaluated.output
    (whole, _) = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))["parts"]
    (measured,) = [m for m in card.metrics if m.name == "auc" and not m.family]
    assert whole["model"] == "tiny"
    assert whole["figures"]["auc"]["value"] == pytest.approx(measured.value, abs=1e-3)

    from stream_detect.cli.models import app as models

    elsewhere = shutil.copytree(data, tmp_path / "elsewhere")
    with (data / "faces.csv").open(encoding="utf-8", newline="") as file:
        others = [row | {"source": "elsewhere", "group": f"other-{row['group']}"} for row in csv.DictReader(file)]
    with (elsewhere / "faces.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(others[0]))
        table.writeheader()
        table.writerows(others)
    weights = ["--weights", str(run / "best.keras"), "--recipe", str(recipe), "--name", "tiny", "--no-int8"]
    published = CliRunner().invoke(
        models,
        ["publish", *weights, *options, "--measured-on", str(elsewhere), "--to", str(tmp_path / "bundles")],
        catch_exceptions=False,
    )
    assert published.exit_code == 0, published.output
    again = Bundle.load(tmp_path / "bundles" / "tiny").card
    assert (again.training.data, again.training.sources) == (card.training.data, card.training.sources)
    (more,) = [m for m in again.metrics if m.name == "auc" and not m.family and "source" not in m.data]
    assert more.n > measured.n


def test_the_command_on_the_card_names_recipe_and_options(tmp_path):
    from stream_detect.cli.train import _again

    given = {"steps": None, "sources": ("a", "b"), "selected_by": "last", "blended": 0.0}
    assert _again(tmp_path / "recipes" / "x.toml", "x", given) == (
        "stream-detect train --data FOLDER --to FOLDER --name x --recipe recipes/x.toml "
        "--source a --source b --select-by last --blended 0.0"
    )
    twice = _again(None, "x", {"sources": ("my faces",)}, 2)
    assert twice == "stream-detect train --data FOLDER --data FOLDER --to FOLDER --name x --source 'my faces'"


def test_what_is_measured_at_the_end_is_checked_before_the_training(training_data, tmp_path):
    from stream_detect.cli.models import app as models
    from stream_detect.cli.train import app

    data, weights = training_data.write(), tmp_path / "best.keras"
    clips = tmp_path / "clips.csv"
    clips.write_text("file,label\ngone.mp4,real\n", encoding="utf-8")
    given = ["--data", str(data), "--to", str(tmp_path / "run"), "--clips", str(clips), "--cache", str(tmp_path / "c")]
    publish = ["publish", "--weights", str(weights), *given]
    weights.touch()
    for command, arguments, message in (
        (app, ["train", *given], r"expected a video at .*gone\.mp4, which .*clips\.csv lists"),
        (models, publish, r"expected a video at .*gone\.mp4"),
        (models, [*publish, "--left-out", "swap=absent.keras"], r"expected a trained network .* at absent\.keras"),
    ):
        with pytest.raises(DatasetError, match=message):
            CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert not (tmp_path / "c").exists()
    assert not (tmp_path / "run").exists()


def _identity(scored, fitted_on):
    from stream_detect.models.card import PlattScaling

    return PlattScaling(fitted_on=fitted_on)


def test_a_full_disk_keeps_the_checkpoint_before(small, tmp_path, monkeypatch):
    from stream_detect.training import checkpoint
    from stream_detect.training.train import train

    whole = tmp_path / "run"

    def full(folder, recipe, model, progress):
        if progress.step == 6:
            raise OSError(28, "No space left on device", str(folder / "checkpoint.npz"))
        save(folder, recipe, model, progress)

    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(TrainingError, match=r"step 6 in .*checkpoint\.npz.*No space left.*same command again"):
        train(RECIPE, small, small, whole)
    monkeypatch.setattr(checkpoint, "save", save)
    steps = []
    train(RECIPE, small, small, whole, lambda at: steps.append(at.step))
    assert steps == [4, 5, 6]


def test_tensorboard_finds_the_curve(small, tmp_path):
    from stream_detect.training.train import train

    train(RECIPE, small, small, tmp_path)
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"loss" in content
    assert b"validation_AUC" in content


def test_patience_ends_a_training_early_and_a_resumed_one_alike(small, tmp_path, monkeypatch):
    from stream_detect.training import train as training

    recipe = replace(RECIPE, steps=12, validate_every=1, patience=2)
    reached = iter((0.6, 0.7, 0.7, 0.65, 0.9))
    monkeypatch.setattr(training, "auc", lambda _: next(reached))
    notices, steps = [], []
    training.train(recipe, small, small, tmp_path, lambda at: steps.append(at.step), notify=notices.append)
    assert steps == [1, 2, 3, 4]
    assert "stopped early at step 4 of 12: 2 validations" in notices[0]
    assert "0.7000" in notices[0]
    training.train(recipe, small, small, tmp_path, lambda at: steps.append(at.step), notify=notices.append)
    assert steps == [1, 2, 3, 4]
    assert notices[1] == notices[0]
    more = replace(recipe, patience=3)  # only decides when to end: the checkpoint still belongs to this training
    with pytest.raises(StopIteration):
        training.train(more, small, small, tmp_path, lambda at: steps.append(at.step))
    assert steps == [1, 2, 3, 4, 5]


def test_no_patience_with_the_last_weights():
    with pytest.raises(TrainingError, match="patience"):
        Recipe(patience=3, selected_by="last")


def test_weights_decay_in_kernels_only():
    from stream_detect.training.architectures import architecture_named
    from stream_detect.training.train import compiled

    network = architecture_named("meso4")
    recipe = replace(RECIPE, optimizer="adamw", weight_decay=0.1, gradient_norm=5.0)
    model = compiled(recipe, network, (64, 64), begun=False)
    optimizer = model.optimizer
    assert (optimizer.weight_decay, optimizer.global_clipnorm) == (0.1, 5.0)
    for variable in model.trainable_variables:
        assert optimizer._use_weight_decay(variable) == ("kernel" in variable.path)


def test_tensorflow_refuses_channels_first_before_anything_is_written(small, tmp_path):
    from stream_detect.training.train import train

    recipe = replace(RECIPE, architecture="efficientnet_lite0", data_format="channels_first")
    with pytest.raises(
        TrainingError, match=r"KERAS_BACKEND=torch or jax .*torch==2\.13\.0.*--data-format channels_last"
    ):
        train(recipe, small, small, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("torch", r"it is not installed: pip install torch==2\.13\.0"),
        ("mxnet", "tensorflow, torch, jax, received 'mxnet'"),
    ],
)
def test_a_backend_that_is_not_there_is_reported_with_its_cure(backend, message, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == backend else find_spec(name))
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises((MissingExtraError, SettingsError), match=message):
        extras.require_keras("a test")


@pytest.mark.parametrize(("selected_by", "expected"), [("a", 1.0), ("gan", 0.75), ("all", 0.875), ("b", 0.875)])
def test_weights_are_chosen_by_a_source_a_family_or_all(selected_by, expected):
    from stream_detect.evaluation.dataset import Row
    from stream_detect.training.train import chosen_auc

    rows = (
        Row("0", "real", "a", "0", "val"),
        Row("1", "fake", "a", "1", "val", "swap"),
        Row("2", "real", "c", "2", "val"),
        Row("3", "fake", "b", "3", "val", "gan"),
    )
    scores = np.array([0.1, 0.9, 0.5, 0.5], np.float32)  # a tie counts half
    faces = Faces(np.zeros((4, 8, 8, 3), np.uint8), rows, ())
    assert chosen_auc(faces, replace(RECIPE, selected_by=selected_by), lambda _: scores) == pytest.approx(expected)
