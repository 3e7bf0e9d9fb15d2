"""The command `stream-detect models publish`: collects what a card needs, and makes the bundle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import DatasetError
from stream_detect.evaluation.crops import load_joined
from stream_detect.evaluation.dataset import Faces, read_traits
from stream_detect.evaluation.manifest import real_clips
from stream_detect.models.bundle import Bundle
from stream_detect.training.architectures import architecture_named
from stream_detect.training.convert import check_place
from stream_detect.training.precision import CALIBRATED_ON, require_nncf
from stream_detect.training.publish import Beside, LeftOut, Trained, check_halves, publish
from stream_detect.training.recipe import Recipe
from stream_detect.training.recipe_file import RecipeFile, checked, read_recipe
from stream_detect.types import CropPolicy

_SEED = 20261122


@dataclass(frozen=True, slots=True)
class Request:
    """The command's options.

    Args:
        weights: .keras file.
        data: folders with faces.csv, or such tables, used for its training.
        measured_on: others, not used for its training.
        to: folder for bundles.
        name: name of the bundle; None for the recipe's.
        recipe_file: recipe of the training; None for the defaults.
        architecture: name of the network; None for the recipe's.
        clips: manifest of real clips, to count false alarms per hour; None to skip this.
        left_out: "FAMILY=KERAS" each; without a family, the short training with all.
        int8: whether to make an INT8 network too.
        cache: folder for crops.
    """

    weights: Path
    data: tuple[Path, ...]
    measured_on: tuple[Path, ...]
    to: Path
    name: str | None
    recipe_file: Path | None
    architecture: str | None
    clips: Path | None
    left_out: tuple[str, ...]
    int8: bool
    cache: Path


def published(request: Request) -> Bundle:
    """Makes the bundle.

    Raises:
        DatasetError: the tables or the faces are not sufficient.
        TrainingError: the recipe is invalid, or NNCF is not installed.
        BundleError: no bundle can be made there, or the weights belong to another architecture.
    """
    # Whatever can be wrong with these is reported before the faces are cut and measured.
    left_out = tuple(_left_out(text) for text in request.left_out)
    for weights in (request.weights, *(each.weights for each in left_out)):
        if not weights.is_file():
            raise DatasetError(f"expected a trained network (.keras) at {weights}, but there is none")
    clips = real_clips(request.clips) if request.clips else ()
    if request.int8:
        require_nncf()
    name, recipe = _recipe(request)
    check_place(request.to, name)
    crop = CropPolicy(architecture_named(recipe.architecture).wh)
    measured_on = (*request.data, *request.measured_on)
    val = load_joined(measured_on, "val", crop, request.cache)
    check_halves(val, recipe)
    faces = load_joined(request.data, "train", crop, request.cache)
    traits = {group: known for data in measured_on for group, known in read_traits(data).items()}
    beside = Beside(traits, clips, left_out, _int8_faces(faces, recipe) if request.int8 else None)
    learnt = tuple(filter(recipe.learns, faces.rows))
    trained = Trained(name, recipe, _command(request, name), crop, learnt)
    return publish(trained, request.weights, val, request.to, beside)


def _recipe(request: Request) -> tuple[str, Recipe]:
    """The bundle's name, and the recipe."""
    read = read_recipe(request.recipe_file) if request.recipe_file else RecipeFile(None, (), {})
    recipe = checked(read.values | ({"architecture": request.architecture} if request.architecture else {}))
    return request.name or read.name or f"my-{recipe.architecture}", recipe


def _left_out(text: str) -> LeftOut:
    family, equals, file = text.partition("=")
    if not equals or not file:
        raise DatasetError(f"expected --left-out FAMILY=FILE.keras, received {text!r}")
    return LeftOut(family, Path(file))


def _int8_faces(faces: Faces, recipe: Recipe) -> NDArray[np.uint8]:
    """Some training faces, drawn at random from all that were used.

    If every collection gives as many, INT8 changes lite0-faces more: the AUC of talking heads by .013, not .006.
    """
    chosen = [i for i, row in enumerate(faces.rows) if recipe.learns(row)]
    if not chosen:
        raise DatasetError("expected training faces for the INT8 network, received none; add some, or use --no-int8")
    drawn = np.random.default_rng(_SEED).permutation(chosen)[:CALIBRATED_ON]
    return np.stack([faces.crops[int(i)] for i in drawn])


def _command(request: Request, name: str) -> str:
    """The command that trains it again, for the card."""
    recipe = request.recipe_file
    option = f"--recipe {recipe.absolute().parent.name}/{recipe.name}" if recipe else f"--name {name}"
    return f"stream-detect train {'--data FOLDER ' * len(request.data)}--to FOLDER {option}"
