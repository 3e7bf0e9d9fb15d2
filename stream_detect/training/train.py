"""The training loop, in pure Keras 3 with any of its backends: trains on faces by a recipe, and keeps the best weights.

The folder holds best.keras (the moving average of the weights, at its best validation AUC, as a channels_last network
in f32 even if the training used another format), checkpoint.npz to go on from, curves.csv and tensorboard/.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import TrainingError
from stream_detect.evaluation.dataset import Faces
from stream_detect.evaluation.scored import auc, score
from stream_detect.training import checkpoint
from stream_detect.training.architectures import Architecture, architecture_named
from stream_detect.training.batches import Batches
from stream_detect.training.checkpoint import Curves, Progress, Weights
from stream_detect.training.recipe import ALL, LAST, Recipe, learning_rate

BEST_FILE = "best.keras"

_POINT_EVERY = 50
"""Steps that a point of the loss curve averages."""


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """How far a training is after a step.

    Args:
        step: batches done.
        loss: of its batch, or the mean since the last point of the curve where the step ends one.
        best_auc: highest validation AUC so far; negative before the first.
        images_per_s: faces trained on since this run began, by the time since then, validations included.
        left_s: until the recipe's last step, at that speed.
    """

    step: int
    loss: float
    best_auc: float
    images_per_s: float
    left_s: float


OnStep = Callable[[TrainingStep], None]


def train(  # noqa: PLR0913 - two of them are for the screen
    recipe: Recipe,
    faces: Faces,
    val: Faces,
    folder: Path,
    on_step: OnStep | None = None,
    *,
    notify: Callable[[str], None] | None = None,
    processes: int = 0,
) -> Path:
    """Trains to the recipe's last step, or until its patience ends; goes on where the folder's checkpoint ends, if any.

    Args:
        recipe: every number of the training.
        faces: to learn from.
        val: to choose the best weights by.
        folder: made if absent.
        on_step: called after every step.
        notify: takes why the training ended before its last step.
        processes: that make the batches; 0 makes them on threads.

    Returns:
        The file with the best weights.

    Raises:
        TrainingError: the loss is no number any more, the folder's checkpoint is of another recipe, the backend cannot
            run the recipe, its initial weights are not there, or the disk is full.
        DatasetError: a pairing of the recipe finds no faces, or the faces are one-sided.
    """
    network = architecture_named(recipe.architecture)
    begun = (folder / checkpoint.CHECKPOINT_FILE).is_file()
    h, w = faces.crops.shape[1:3]
    model = compiled(recipe, network, (w, h), begun=begun)
    folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)  # batches are made on threads of our own
    batches = Batches(faces, recipe)
    progress = checkpoint.restore(folder, recipe, model) if begun else Progress()
    average = _MovingAverage(recipe, model, progress.average)
    speed = _Speed(recipe, progress.step)
    losses: list[float] = []
    with Curves(folder, progress.curve) as curves:
        for step, (crops, labels) in batches.from_step(progress.step + 1, processes):
            if 0 < recipe.patience <= progress.since_best:
                break
            model.optimizer.learning_rate = learning_rate(recipe, step - 1)
            model.reset_metrics()  # else Keras gives the mean loss since the beginning
            loss = model.train_on_batch(network.scaled(crops), targets(labels, network))
            losses.append(_finite(float(loss), step))
            progress.step = step
            average.take(step)
            due = step % recipe.validate_every == 0 or step == recipe.steps
            shown = losses[-1]
            if due or step % _POINT_EVERY == 0:
                shown = float(np.mean(losses))
                if due:
                    progress.average = average.weights()
                with _kept_before(step, folder):
                    reached = _validate(progress, recipe, model, val, folder) if due else math.nan
                    progress.curve.append((step, shown, reached))
                    curves.write(progress.curve)
                    if due:
                        checkpoint.save(folder, recipe, model, progress)
                losses.clear()
            if on_step:
                on_step(TrainingStep(step, shown, progress.best_auc, *speed.after(step)))
    if notify and progress.step < recipe.steps:
        notify(
            f"stopped early at step {progress.step:,} of {recipe.steps:,}: {progress.since_best} validations in a row "
            f"without an AUC above {progress.best_auc:.4f} (patience {recipe.patience}); the best weights are kept"
        )
    return folder / BEST_FILE


class _Speed:
    """Measures how fast a run is.

    Args:
        recipe: steps and faces a batch.
        begun_at: step that the run goes on from.
    """

    def __init__(self, recipe: Recipe, begun_at: int) -> None:
        self._recipe, self._begun_at = recipe, begun_at
        self._begun_s = time.monotonic()

    def after(self, step: int) -> tuple[float, float]:
        """Faces a second, and seconds left."""
        taken_s = max(time.monotonic() - self._begun_s, 1e-9)
        done = step - self._begun_at
        return done * self._recipe.batch / taken_s, (self._recipe.steps - step) * taken_s / done


@contextmanager
def _kept_before(step: int, folder: Path) -> Iterator[None]:
    """Says of a full disk what is lost, and what is not: every file is replaced only when the new one is whole."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"expected room for step {step} in {error.filename or folder}, cannot write it: {error.strerror or error}; "
            "the checkpoint before is kept: make room and give the same command again"
        ) from error


def compiled(recipe: Recipe, network: Architecture, wh: tuple[int, int], *, begun: bool) -> keras.Model:
    """The network with its optimizer, ready to be trained.

    Args:
        recipe: every number of the training.
        network: of the recipe's architecture.
        wh: width and height of the crops in pixels.
        begun: a checkpoint's weights will replace the initial ones, so that these need not be there.

    Raises:
        TrainingError: the backend cannot run the recipe, or its initial weights are not there.
    """
    _check_backend(recipe)
    keras.utils.set_random_seed(recipe.seed)
    with _computing_in(recipe.precision):
        model = network.untrained(wh, recipe.dropout, recipe.data_format)
    if not begun:
        network.begin(model, recipe.initial)
    model.compile(_optimizer(recipe, model), keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing))
    return model


def _check_backend(recipe: Recipe) -> None:
    if recipe.data_format == "channels_first" and keras.backend.backend() == "tensorflow":
        raise TrainingError(
            'expected KERAS_BACKEND=torch or jax for data_format = "channels_first", received tensorflow, which '
            "cannot train so on a CPU: pip install torch==2.13.0 and set KERAS_BACKEND=torch, or give --data-format "
            "channels_last"
        )


@contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _optimizer(recipe: Recipe, model: keras.Model) -> keras.optimizers.Optimizer:
    norm = recipe.gradient_norm or None
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(recipe.learning_rate, global_clipnorm=norm)
    optimizer = keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay, global_clipnorm=norm)
    optimizer.exclude_from_weight_decay([each for each in model.trainable_variables if len(each.shape) < 2])
    return optimizer


def targets(labels: NDArray[np.float32], network: Architecture) -> NDArray[np.float32]:
    """What the network ought to say (n, k): its last output fake, any before it real."""
    real = np.repeat(1 - labels[:, np.newaxis], network.outputs - 1, axis=1)
    return np.concatenate((real, labels[:, np.newaxis]), axis=1)


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            f"expected a finite loss, received {loss} at step {step}: it diverged; lower the learning rate"
        )
    return loss


class _MovingAverage:
    """The moving average of a model's weights, kept where the model is: an accelerator's step copies none of them.

    Args:
        recipe: says how much the past weighs, and from which step on.
        model: whose weights are averaged.
        begun: the average so far, of a training that goes on; empty before its first step.
    """

    def __init__(self, recipe: Recipe, model: keras.Model, begun: Weights) -> None:
        self._recipe, self._variables = recipe, model.weights
        self._values = [keras.ops.convert_to_tensor(array) for array in begun]

    def take(self, step: int) -> None:
        """Takes the weights of a step into the average."""
        if step <= self._recipe.ema_from:
            return
        now = [keras.ops.stop_gradient(each.value) for each in self._variables]
        if not self._values:
            self._values = [keras.ops.copy(each) for each in now]
            return
        rest = 1 - self._recipe.ema
        pairs = zip(self._values, now, strict=True)
        self._values = [average + rest * (each - average) for average, each in pairs]

    def weights(self) -> Weights:
        """The average; empty before its first step."""
        return [np.asarray(keras.ops.convert_to_numpy(each), np.float32) for each in self._values]


def _validate(progress: Progress, recipe: Recipe, model: keras.Model, val: Faces, folder: Path) -> float:
    """The validation AUC of the averaged weights, which are kept when it is the best so far."""
    weights = model.get_weights()
    if progress.average:
        model.set_weights(progress.average)
    network = architecture_named(recipe.architecture)
    reached = chosen_auc(val, recipe, lambda crops: predict(model, crops, network))
    if reached > progress.best_auc or recipe.selected_by == LAST:
        progress.best_auc = max(reached, progress.best_auc)
        _save(model, network, folder / BEST_FILE)
    model.set_weights(weights)
    return reached


def chosen_auc(val: Faces, recipe: Recipe, predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> float:
    """The validation AUC that the recipe chooses its weights by."""
    scored = score(val, predict)
    if recipe.selected_by not in (ALL, LAST):
        of_source = scored.of(recipe.selected_by)
        of_family = scored.where((val.families == recipe.selected_by) | ~val.fake)
        for part in (of_source, of_family):
            if part.both:
                return auc(part)
    return auc(scored)


def _save(model: keras.Model, network: Architecture, file: Path) -> None:
    """Writes the weights as a channels_last network in f32, which every backend reads."""
    plain = network.untrained((model.input_shape[2], model.input_shape[1]), 0.0)
    plain.set_weights(model.get_weights())
    scratch = file.with_name(f".{file.name}")
    plain.save(scratch)
    scratch.replace(file)


def predict(model: keras.Model, crops: NDArray[np.uint8], architecture: Architecture) -> NDArray[np.float32]:
    """Raw fake_probability (n,) of crops, uint8 (n, h, w, 3), by a network trained here: its last output."""
    said = keras.ops.convert_to_numpy(model.predict_on_batch(architecture.scaled(crops)))
    return np.asarray(said, np.float32)[:, -1]
