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
"""Steps averaged in one point of the loss curve."""


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """Progress of a training after a step.

    Args:
        step: number of batches done.
        loss: loss of its batch, or the mean since the last point of the curve if the step ends one.
        best_auc: highest validation AUC so far; negative before the first.
        images_per_s: faces per second since the start of this run, including validations.
        left_s: seconds until the recipe's last step, at that speed.
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
    """Trains to the recipe's last step or until its patience ends, from the folder's checkpoint if there is one.

    Args:
        recipe: parameters of the training.
        faces: training faces.
        val: validation faces, to choose the best weights.
        folder: created if missing.
        on_step: called after every step.
        notify: called with the reason if the training ends before its last step.
        processes: number of processes that make the batches; 0 for threads.

    Returns:
        The file with the best weights.

    Raises:
        TrainingError: the loss is not a number, the checkpoint belongs to another recipe or other faces, the backend
            cannot run the recipe, its initial weights are missing, or the disk is full.
        DatasetError: there are no faces for a pairing of the recipe, or the faces are one-sided.
    """
    network = architecture_named(recipe.architecture)
    begun = (folder / checkpoint.CHECKPOINT_FILE).is_file()
    h, w = faces.crops.shape[1:3]
    model = compiled(recipe, network, (w, h), begun=begun)
    folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)  # batches are made on our own threads
    batches = Batches(faces, recipe)
    digest = checkpoint.digest_of(faces, val)
    progress = checkpoint.restore(folder, recipe, digest, model) if begun else Progress(faces=digest)
    average = _MovingAverage(recipe, model, progress.average)
    speed = _Speed(recipe, progress.step)
    losses: list[float] = []
    with Curves(folder, progress.curve) as curves:
        for step, (crops, labels) in batches.from_step(progress.step + 1, processes):
            if 0 < recipe.patience <= progress.since_best:
                break
            model.optimizer.learning_rate = learning_rate(recipe, step - 1)
            model.reset_metrics()  # otherwise Keras returns the mean loss since the beginning
            loss = model.train_on_batch(network.scaled(crops), targets(labels, network))
            losses.append(_finite(float(loss), step))
            progress.step = step
            average.take(step)
            if step in recipe.restarts and recipe.cycle_share < 1:
                progress.cycles = _of_cycles(progress.cycles, average.weights(), recipe.cycle_share)
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
    """Measures the speed of a run.

    Args:
        recipe: steps, and faces per batch.
        begun_at: step from which the run continues.
    """

    def __init__(self, recipe: Recipe, begun_at: int) -> None:
        self._recipe, self._begun_at = recipe, begun_at
        self._begun_s = time.monotonic()

    def after(self, step: int) -> tuple[float, float]:
        """Faces per second, and seconds left."""
        taken_s = max(time.monotonic() - self._begun_s, 1e-9)
        done = step - self._begun_at
        return done * self._recipe.batch / taken_s, (self._recipe.steps - step) * taken_s / done


@contextmanager
def _kept_before(step: int, folder: Path) -> Iterator[None]:
    """Explains, when the disk is full, what is lost and what is not: files are replaced only by complete ones."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"expected room for step {step} in {error.filename or folder}, cannot write it: {error.strerror or error}; "
            "the previous checkpoint is kept: free some space and run the same command again"
        ) from error


def compiled(recipe: Recipe, network: Architecture, wh: tuple[int, int], *, begun: bool) -> keras.Model:
    """The network with its optimizer, ready for training.

    Args:
        recipe: parameters of the training.
        network: the recipe's architecture.
        wh: width and height of the crops in pixels.
        begun: whether weights of a checkpoint replace the initial ones, which may then be missing.

    Raises:
        TrainingError: the backend cannot run the recipe, or its initial weights are missing.
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
            "cannot train so on a CPU: pip install torch==2.13.0 and set KERAS_BACKEND=torch, or use --data-format "
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
    """Target outputs of the network (n, k): the last one fake, any before it real."""
    real = np.repeat(1 - labels[:, np.newaxis], network.outputs - 1, axis=1)
    return np.concatenate((real, labels[:, np.newaxis]), axis=1)


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            f"expected a finite loss, received {loss} at step {step}: it diverged; lower the learning rate"
        )
    return loss


class _MovingAverage:
    """The moving average of a model's weights, kept on the model's device, so that a step on a GPU copies nothing.

    Args:
        recipe: gives the decay and the first step.
        model: the model.
        begun: the average so far, of a resumed training; empty before its first step.
    """

    def __init__(self, recipe: Recipe, model: keras.Model, begun: Weights) -> None:
        self._recipe, self._variables = recipe, model.weights
        self._values = [keras.ops.convert_to_tensor(array) for array in begun]

    def take(self, step: int) -> None:
        """Adds the weights of a step to the average."""
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


def _of_cycles(before: Weights, newest: Weights, share: float) -> Weights:
    """The average of the weights at the ends of cycles: `share` of the newest, the rest of those before, if any."""
    if not before:
        return newest
    return [old + np.float32(share) * (new - old) for old, new in zip(before, newest, strict=True)]


def _validate(progress: Progress, recipe: Recipe, model: keras.Model, val: Faces, folder: Path) -> float:
    """The validation AUC of the averaged weights, which are saved if it is the best so far."""
    weights = model.get_weights()
    if progress.average:
        model.set_weights(_of_cycles(progress.cycles, progress.average, recipe.cycle_share))
    network = architecture_named(recipe.architecture)
    reached = chosen_auc(val, recipe, lambda crops: predict(model, crops, network))
    if reached > progress.best_auc or recipe.selected_by == LAST:
        progress.best_auc = max(reached, progress.best_auc)
        _save(model, network, folder / BEST_FILE)
    model.set_weights(weights)
    return reached


def chosen_auc(val: Faces, recipe: Recipe, predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> float:
    """The validation AUC by which the recipe chooses its weights."""
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
