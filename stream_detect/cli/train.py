"""The command `stream-detect train`: trains a model and makes a bundle of it; Keras is imported when it runs."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from stream_detect.cli.models import metrics_of
from stream_detect.errors import DatasetError
from stream_detect.evaluation.crops import load_joined
from stream_detect.evaluation.dataset import Faces, Row, read_traits
from stream_detect.evaluation.manifest import SPLITS, Split, real_clips
from stream_detect.training.recipe import Recipe
from stream_detect.training.recipe_file import RecipeFile, checked, read_recipe
from stream_detect.types import CropPolicy

if TYPE_CHECKING:
    from stream_detect.training.train import TrainingStep

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Data = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        metavar="FOLDER|CSV",
        help="Folder with faces.csv, or such a table, with the columns file, label, and optionally source, group, "
        "split and family. The files are below the table's folder. May be given several times.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", metavar="FOLDER", help="Cache of face crops, 200 kB each. Default: ~/.cache/stream-detect."
    ),
]
_DEFAULTS = Recipe()
_LINE_EVERY = 50
"""Steps between lines of output if it is not a terminal."""


@app.callback()
def _root() -> None:
    """Train models."""


@app.command()
def train(  # noqa: PLR0913 - the command's options
    to: Annotated[
        Path,
        typer.Option(
            "--to", metavar="FOLDER", help="Folder of the run; a training that was interrupted there is resumed."
        ),
    ],
    *,
    data: Data = None,
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="Recipe in TOML; the options below override it.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the bundle, which is created in the run's folder. Default: my-ARCHITECTURE."),
    ] = None,
    architecture: Annotated[str | None, typer.Option(help=f"Network. Default: {_DEFAULTS.architecture}.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help=f"Number of batches. Default: {_DEFAULTS.steps}.")] = None,
    batch: Annotated[int | None, typer.Option(min=2, help=f"Faces per batch. Default: {_DEFAULTS.batch}.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help=f"Peak learning rate. Default: {_DEFAULTS.learning_rate}.")
    ] = None,
    sources: Annotated[
        list[str] | None, typer.Option("--source", help="Train on this source only; may be given several times.")
    ] = None,
    blended: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help=f"Share of pairs whose fake is blended from the real one. Default: {_DEFAULTS.blended}."
        ),
    ] = None,
    selected_by: Annotated[
        str | None,
        typer.Option(
            "--select-by",
            help="Source or family whose validation AUC selects the weights; 'all': the AUC of all faces; 'last': the "
            f"last weights. Default: {_DEFAULTS.selected_by}.",
        ),
    ] = None,
    sent: Annotated[
        float | None,
        typer.Option(min=0, max=1, help=f"Share of pairs encoded in H.264 or VP8. Default: {_DEFAULTS.sent}."),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=0,
            help=f"Validations without a better AUC before training ends; 0: never. Default: {_DEFAULTS.patience}.",
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out", metavar="FAMILY", help="Leave out the fakes of this family; may be given several times."
        ),
    ] = None,
    initial: Annotated[
        str | None, typer.Option(help=f"Initial weights, random or imagenet. Default: {_DEFAULTS.initial}.")
    ] = None,
    data_format: Annotated[
        str | None,
        typer.Option(
            help="channels_last or channels_first; the latter is twice as fast with KERAS_BACKEND=torch on a CPU. "
            f"Default: {_DEFAULTS.data_format}."
        ),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help=f"float32 or mixed_bfloat16. Default: {_DEFAULTS.precision}.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help=f"Seed of all random draws. Default: {_DEFAULTS.seed}.")
    ] = None,
    clips: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV", help="Manifest of real clips, on which false alarms per hour are measured for the card."
        ),
    ] = None,
    cache: Cache = None,
    processes: Annotated[
        int,
        typer.Option(
            min=0,
            help="Processes that make batches, for training on an accelerator; 0: threads, enough for a CPU.",
        ),
    ] = 0,
) -> None:
    """Train a model on labelled faces, measure it, and make a bundle from it."""
    _quiet()
    from stream_detect.training import publish  # noqa: PLC0415 - Keras takes seconds to import
    from stream_detect.training.architectures import architecture_named  # noqa: PLC0415
    from stream_detect.training.convert import check_place  # noqa: PLC0415

    options = {
        "architecture": architecture,
        "steps": steps,
        "batch": batch,
        "learning_rate": learning_rate,
        "sources": tuple(sources) if sources else None,
        "blended": blended,
        "selected_by": selected_by,
        "sent": sent,
        "patience": patience,
        "leave_out": tuple(leave_out) if leave_out else None,
        "initial": initial,
        "data_format": data_format,
        "precision": precision,
        "seed": seed,
    }
    read = read_recipe(recipe_file) if recipe_file else RecipeFile(None, (), {})
    recipe = checked(read.values | {key: value for key, value in options.items() if value is not None})
    name = name or read.name or f"my-{recipe.architecture}"
    tables = tuple(data or read.data)
    if not tables:
        raise DatasetError("expected faces to train on, received none: name a folder by --data, or data in the recipe")
    check_place(to, name)
    crop = CropPolicy(architecture_named(recipe.architecture).wh)
    # Whatever can be wrong with these is reported before the hours of a training.
    traits = {group: each for table in tables for group, each in read_traits(table).items()}
    beside = publish.Beside(traits, real_clips(clips) if clips else ())
    run = _run(recipe, tables, _Making(crop, cache, processes), to)
    trained = publish.Trained(name, recipe, _again(recipe_file, name, options, len(tables)), crop, run.rows)
    bundle = publish.publish(trained, run.weights, run.val, to, beside)
    Console(highlight=False, markup=False).print(metrics_of(bundle.card))
    typer.echo(f"The bundle is {bundle.folder}, its report beside it. Serve it with model.folder set to {to}.")


def _again(recipe_file: Path | None, name: str, options: Mapping[str, object], tables: int = 1) -> str:
    """The command that trains it again, for the card."""
    words = ["stream-detect train", *["--data FOLDER"] * tables, "--to FOLDER --name", name]
    if recipe_file:
        words += ["--recipe", f"{recipe_file.absolute().parent.name}/{recipe_file.name}"]
    for key, value in options.items():
        flag = {"sources": "source", "selected_by": "select-by"}.get(key, key.replace("_", "-"))
        for each in value if isinstance(value, tuple) else (value,) * (value is not None):
            words += [f"--{flag}", shlex.quote(f"{each}")]
    return " ".join(words)


@dataclass(frozen=True, slots=True)
class _Run:
    """Result of one training: the best weights, the faces used to choose them, and the rows of the training faces."""

    weights: Path
    val: Faces
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _Making:
    """How faces are cut, where crops are cached, and how many processes make batches."""

    crop: CropPolicy
    cache: Path | None
    processes: int


def _run(recipe: Recipe, data: Sequence[Path], making: _Making, to: Path) -> _Run:
    from stream_detect.training.publish import check_halves  # noqa: PLC0415 - Keras is imported by then
    from stream_detect.training.train import train as train_model  # noqa: PLC0415

    faces, val = (_load(data, split, making.crop, making.cache) for split in SPLITS)
    check_halves(val, recipe)
    with _bar("training") as (progress, task):
        progress.update(task, total=recipe.steps)

        def on_step(at: "TrainingStep") -> None:
            reached = f", best validation AUC {at.best_auc:.4f}" if at.best_auc >= 0 else ""
            said = f"loss {at.loss:.4f}{reached}, {at.images_per_s:.1f} images/s"
            progress.update(task, completed=at.step, description=f"training, {said}")
            if at.step % _LINE_EVERY == 0 and not progress.console.is_terminal:
                left = timedelta(seconds=round(at.left_s))
                typer.echo(f"step {at.step:,} of {recipe.steps:,}: {said}, {left} left")

        best = train_model(recipe, faces, val, to, on_step, notify=typer.echo, processes=making.processes)
    return _Run(best, val, tuple(filter(recipe.learns, faces.rows)))


def _load(data: Sequence[Path], split: Split, crop: CropPolicy, cache: Path | None) -> Faces:
    with _bar(f"finding the faces of {split}") as (progress, task):
        faces = load_joined(
            data,
            split,
            crop,
            cache or Path.home() / ".cache" / "stream-detect",
            lambda done, total: progress.update(task, completed=done, total=total),
        )
        progress.update(task, completed=len(faces.rows), total=len(faces.rows))
    if not faces.rows:
        named = " and ".join(str(each) for each in data)
        raise DatasetError(f"expected faces in split {split} of {named}, found none in {len(faces.not_found)} files")
    files = len({row.file for row in faces.rows}) + len(faces.not_found)
    typer.echo(f"{split}: {len(faces.rows):,} faces of {files:,} files; in {len(faces.not_found):,} none was found")
    return faces


@contextmanager
def _bar(what: str) -> Iterator[tuple[Progress, TaskID]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress, progress.add_task(what, total=None)


def _quiet() -> None:
    """Keeps TensorFlow from writing a page to stderr while it is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
