"""The training loop, in pure Keras 3: a recipe and faces enter, a folder with the best weights leaves.

The folder holds best.keras (moving average of the weights, at its best validation AUC), checkpoint.npz to go on from,
curves.csv and tensorboard/. Nothing here depends on Keras' backend.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import TrainingError
from stream_detect.evaluation.calibration import auc, score
from stream_detect.evaluation.dataset import Faces
from stream_detect.training import checkpoint
from stream_detect.training.architectures import Architecture, architecture_named
from stream_detect.training.batches import Batches
from stream_detect.training.checkpoint import Curves, Progress, Weights
from stream_detect.training.recipe import LAST, Recipe, learning_rate

BEST_FILE = "best.keras"

_POINT_EVERY = 50
"""Steps that a point of the loss curve averages."""

OnStep = Callable[[int, float, float], None]
"""Takes the step, its loss, and the best validation AUC so far (negative before the first)."""


def train(  # noqa: PLR0913 - two of them are for the screen
    recipe: Recipe,
    faces: Faces,
    val: Faces,
    folder: Path,
    on_step: OnStep | None = None,
    *,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Trains to the recipe's last step, or until its patience ends; goes on where the folder's checkpoint ends, if any.

    Args:
        recipe: every number of the training.
        faces: to learn from.
        val: to choose the best weights by.
        folder: made if absent.
        on_step: called after every step.
        tell: takes why the training ended before its last step.

    Returns:
        The file with the best weights.

    Raises:
        TrainingError: the loss is no number any more, the folder's checkpoint is of another recipe, or the disk is
            full.
        DatasetError: the faces are one-sided.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)  # batches are made on threads of our own
    batches = Batches(faces, recipe)
    network = architecture_named(recipe.architecture)
    model = _compiled(recipe, faces)
    begun = (folder / checkpoint.CHECKPOINT_FILE).is_file()
    progress = checkpoint.restore(folder, recipe, model) if begun else Progress()
    losses: list[float] = []
    with Curves(folder, progress.curve) as curves:
        for step, (crops, labels) in batches.from_step(progress.step + 1):
            if 0 < recipe.patience <= progress.since_best:
                break
            model.optimizer.learning_rate = learning_rate(recipe, step - 1)
            model.reset_metrics()  # else Keras gives the mean loss since the beginning
            losses.append(_finite(float(model.train_on_batch(network.scaled(crops), _targets(labels, recipe))), step))
            progress.step = step
            _average(progress, recipe, model)
            due = step % recipe.validate_every == 0 or step == recipe.steps
            if due or step % _POINT_EVERY == 0:
                with _kept_before(step, folder):
                    reached = _validate(progress, recipe, model, val, folder) if due else math.nan
                    progress.curve.append((step, float(np.mean(losses)), reached))
                    curves.write(progress.curve)
                    if due:
                        checkpoint.save(folder, recipe, model, progress)
                losses.clear()
            if on_step:
                on_step(step, progress.curve[-1][1] if not losses else losses[-1], progress.best_auc)
    if tell and progress.step < recipe.steps:
        tell(
            f"stopped early at step {progress.step:,} of {recipe.steps:,}: {progress.since_best} validations in a row "
            f"without an AUC above {progress.best_auc:.4f} (patience {recipe.patience}); the best weights are kept"
        )
    return folder / BEST_FILE


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


def _compiled(recipe: Recipe, faces: Faces) -> keras.Model:
    keras.utils.set_random_seed(recipe.seed)
    h, w = faces.crops.shape[1:3]
    model = architecture_named(recipe.architecture).untrained((w, h), recipe.dropout)
    model.compile(
        keras.optimizers.Adam(recipe.learning_rate),
        keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing),
    )
    return model


def _targets(labels: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """What the network ought to say (n, k): its last output fake, any before it real."""
    outputs = architecture_named(recipe.architecture).outputs
    real = np.repeat(1 - labels[:, np.newaxis], outputs - 1, axis=1)
    return np.concatenate((real, labels[:, np.newaxis]), axis=1)


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            f"expected a finite loss, received {loss} at step {step}: it diverged; lower the learning rate"
        )
    return loss


def _average(progress: Progress, recipe: Recipe, model: keras.Model) -> None:
    """Takes the weights into the moving average, from the recipe's step on."""
    if progress.step <= recipe.ema_from:
        return
    weights: Weights = model.get_weights()
    if not progress.average:
        progress.average = weights
        return
    rest = np.float32(1 - recipe.ema)
    pairs = zip(progress.average, weights, strict=True)
    progress.average = [average + rest * (now - average) for average, now in pairs]


def _validate(progress: Progress, recipe: Recipe, model: keras.Model, val: Faces, folder: Path) -> float:
    """The validation AUC of the averaged weights, which are kept when it is the best so far."""
    weights = model.get_weights()
    if progress.average:
        model.set_weights(progress.average)
    network = architecture_named(recipe.architecture)
    scored = score(val, lambda crops: predict(model, crops, network))
    chosen = scored.of(recipe.selected_by)
    reached = auc(chosen if chosen.both else scored)
    if reached > progress.best_auc or recipe.selected_by == LAST:
        progress.best_auc = max(reached, progress.best_auc)
        scratch = folder / f".{BEST_FILE}"
        model.save(scratch, include_optimizer=False)
        scratch.replace(folder / BEST_FILE)
    model.set_weights(weights)
    return reached


def predict(model: keras.Model, crops: NDArray[np.uint8], architecture: Architecture) -> NDArray[np.float32]:
    """Raw fake_probability (n,) of crops, uint8 (n, h, w, 3), by a network trained here: its last output."""
    return np.asarray(model.predict_on_batch(architecture.scaled(crops)), np.float32)[:, -1]
