"""The checkpoint of a training: everything that the next step depends on, so that a training can be resumed.

It is one .npz file: the variables of the network (including the random state of dropout) and of the optimizer
(including its step), the averages, the best figure so far and the curve. Batches depend on their number only
(batches.py).
"""

import csv
import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from zipfile import BadZipFile

import keras
import numpy as np
from numpy.typing import NDArray
from tensorboardX import SummaryWriter

from stream_detect.errors import TrainingError
from stream_detect.evaluation.dataset import Faces
from stream_detect.training.recipe import Recipe

CHECKPOINT_FILE = "checkpoint.npz"

Weights = list[NDArray[np.float32]]


@dataclass(slots=True)
class Progress:
    """Progress of a training.

    Args:
        step: number of batches done.
        best_auc: highest validation AUC so far.
        average: moving average of all weights; empty before its first step.
        cycles: average of the weights at the ends of the cycles so far; empty before the first restart, or if the
            recipe does not average them.
        curve: points (step, mean loss since the last point, validation AUC or NaN).
        faces: digest of the faces (`digest_of`).
    """

    step: int = 0
    best_auc: float = -1.0
    average: Weights = field(default_factory=list)
    cycles: Weights = field(default_factory=list)
    curve: list[tuple[float, float, float]] = field(default_factory=list)
    faces: str = ""

    @property
    def since_best(self) -> int:
        """Number of validations since the first one with the highest AUC."""
        reached = [auc for _, _, auc in self.curve if not math.isnan(auc)]
        return len(reached) - 1 - reached.index(max(reached)) if reached else 0


def save(folder: Path, recipe: Recipe, model: keras.Model, progress: Progress) -> None:
    """Writes the state atomically; after an interruption the previous one remains."""
    state: dict[str, NDArray[np.generic]] = {
        "recipe": np.array(_named(recipe)),
        "faces": np.array(progress.faces),
        "step": np.array(progress.step),
        "best_auc": np.array(progress.best_auc),
        "curve": np.array(progress.curve, np.float64).reshape(-1, 3),
    }
    for kind, arrays in (
        ("model", _values(model.variables)),
        ("optimizer", _values(model.optimizer.variables)),
        ("average", progress.average),
        ("cycles", progress.cycles),
    ):
        state |= {f"{kind}_{index:04}": array for index, array in enumerate(arrays)}
    scratch = folder / f".{CHECKPOINT_FILE}"
    with scratch.open("wb") as stream:
        np.savez(stream, **state)  # type: ignore[arg-type] # numpy takes these names for its own flag
    scratch.replace(folder / CHECKPOINT_FILE)


def digest_of(*sets: Faces) -> str:
    """Identifies the faces of a training by their rows in order: the same steps with other faces are another training.

    Args:
        *sets: those to learn from, and those to choose the best weights by.
    """
    return hashlib.sha256(repr([each.rows for each in sets]).encode()).hexdigest()


def restore(folder: Path, recipe: Recipe, faces: str, model: keras.Model) -> Progress:
    """Reads the state into a compiled model of the same recipe.

    Args:
        folder: folder of the run.
        recipe: parameters of the training.
        faces: digest of its faces.
        model: receives the weights.

    Raises:
        TrainingError: it is missing or damaged, or belongs to another recipe or to other faces.
    """
    file = folder / CHECKPOINT_FILE
    try:
        with np.load(file, allow_pickle=False) as stored:
            state = dict(stored)
        named, learnt = str(state["recipe"]), str(state["faces"])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise TrainingError(f"expected a training's checkpoint at {file}, but it cannot be read: {error}") from error
    if named != _named(recipe):
        raise TrainingError(
            f"expected a checkpoint of this recipe at {file}, received one of another: use the options of that "
            "training, or another folder"
        )
    if learnt != faces:
        raise TrainingError(
            f"expected a checkpoint of these faces at {file}, received one of others: use the tables of that training "
            "as they were, or another folder"
        )
    model.optimizer.build(model.trainable_variables)
    for kind, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        for variable, value in zip(variables, _of_kind(state, kind), strict=True):
            variable.assign(value)
    return Progress(
        int(state["step"]),
        float(state["best_auc"]),
        _weights(state, "average"),
        _weights(state, "cycles"),
        [(float(step), float(loss), float(auc)) for step, loss, auc in state["curve"]],
        faces,
    )


def _named(recipe: Recipe) -> str:
    """All parameters that the weights depend on; patience only sets the end, so training can continue beyond it."""
    return str({key: value for key, value in asdict(recipe).items() if key != "patience"})


def _values(variables: Sequence[keras.Variable]) -> list[NDArray[np.generic]]:
    return [np.asarray(keras.ops.convert_to_numpy(variable.value)) for variable in variables]


def _weights(state: dict[str, NDArray[np.generic]], kind: str) -> Weights:
    return [array.astype(np.float32) for array in _of_kind(state, kind)]


def _of_kind(state: dict[str, NDArray[np.generic]], kind: str) -> list[NDArray[np.generic]]:
    return [state[name] for name in sorted(state) if name.startswith(f"{kind}_")]


CURVES_FILE = "curves.csv"
TENSORBOARD_FOLDER = "tensorboard"

Point = tuple[float, float, float]
"""Step, mean loss since the previous point, validation AUC or NaN."""


class Curves:
    """Curves of a run. A context manager.

    Args:
        folder: folder of the run.
        begun: points of the checkpoint from which the run continues, which are written already.
    """

    def __init__(self, folder: Path, begun: Sequence[Point]) -> None:
        self._file = folder / CURVES_FILE
        # What an interrupted run wrote after its checkpoint is removed from TensorBoard's curves.
        after = int(begun[-1][0]) + 1 if begun else 0
        self._tensorboard = SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=after)

    def write(self, curve: Sequence[Point]) -> None:
        """Adds the newest point of the curve; the CSV file is replaced as a whole.

        Raises:
            OSError: it cannot be written.
        """
        step, loss, reached = curve[-1]
        scratch = self._file.with_name(f".{self._file.name}")
        with scratch.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow(("step", "loss", "val_auc"))
            for at, mean, auc in curve:
                table.writerow((int(at), f"{mean:.5f}", "" if math.isnan(auc) else f"{auc:.5f}"))
        scratch.replace(self._file)
        self._tensorboard.add_scalar("loss", loss, int(step))
        if not math.isnan(reached):
            self._tensorboard.add_scalar("validation AUC", reached, int(step))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tensorboard.close()
