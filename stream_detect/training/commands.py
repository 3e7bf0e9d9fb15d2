"""The commands `stream-detect train` and `stream-detect evaluate`. Keras is imported when one of them runs."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from stream_detect.errors import DatasetError
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import CARD_FILE, Bundle
from stream_detect.models.contract import Metric
from stream_detect.models.registry import Registry
from stream_detect.training.dataset import Faces, Split, load_faces
from stream_detect.training.recipe import Recipe
from stream_detect.types import CropPolicy

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option("--data", metavar="FOLDER", help="Folder with faces.csv and its tars.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", metavar="FOLDER", help="Where cut faces are kept, 200 kB each; if not given, ~/.cache/stream-detect."
    ),
]
_DEFAULTS = Recipe()


@app.callback()
def _root() -> None:
    """Train and measure models."""


@app.command()
def train(  # noqa: PLR0913 - the command's options
    data: Data,
    to: Annotated[
        Path, typer.Option("--to", metavar="FOLDER", help="The run's folder; a training begun there is gone on with.")
    ],
    *,
    name: Annotated[str, typer.Option(help="Name of the bundle, made inside the run's folder.")] = "my-meso4",
    architecture: Annotated[str, typer.Option(help="Network.")] = _DEFAULTS.architecture,
    steps: Annotated[int, typer.Option(min=1, help="Batches in all.")] = _DEFAULTS.steps,
    batch: Annotated[int, typer.Option(min=2, help="Faces a batch.")] = _DEFAULTS.batch,
    learning_rate: Annotated[float, typer.Option(help="At its peak.")] = _DEFAULTS.learning_rate,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = _DEFAULTS.seed,
    cache: Cache = None,
) -> None:
    """Train a model on a folder of labelled faces, measure it, and make a bundle of it."""
    _quiet()
    from stream_detect.training import publish  # noqa: PLC0415 - Keras takes seconds to import
    from stream_detect.training.architectures import architecture_named  # noqa: PLC0415
    from stream_detect.training.convert import check_place  # noqa: PLC0415
    from stream_detect.training.train import train as train_model  # noqa: PLC0415

    check_place(to, name)
    recipe = Recipe(architecture=architecture, steps=steps, batch=batch, learning_rate=learning_rate, seed=seed)
    crop = CropPolicy(architecture_named(architecture).wh)
    faces, val = _load(data, "train", crop, cache), _load(data, "val", crop, cache)
    with _bar("training") as (progress, task):
        progress.update(task, total=steps)

        def on_step(step: int, loss: float, best_auc: float) -> None:
            reached = f", best validation AUC {best_auc:.4f}" if best_auc >= 0 else ""
            progress.update(task, completed=step, description=f"training, loss {loss:.3f}{reached}")

        best = train_model(recipe, faces, val, to, on_step)
    command = (
        f"stream-detect train --data FOLDER --to FOLDER --name {name} --architecture {architecture} --steps {steps} "
        f"--batch {batch} --learning-rate {learning_rate:g} --seed {seed}"
    )
    trained = publish.Trained(name, architecture, crop, faces.rows, command)
    bundle = publish.publish(trained, best, val, to)
    _print(bundle.card.metrics)
    typer.echo(f"The bundle is {bundle.folder}, its report beside it. Serve it with models.folder set to {to}.")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Name of a shipped bundle, or a bundle's folder.")],
    data: Data,
    *,
    report: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write pictures and metrics.json here.")] = None,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole",
            help="Measure on all validation groups; without it, on the half that the calibration of a model trained "
            "on this folder did not use.",
        ),
    ] = False,
    cache: Cache = None,
) -> None:
    """Measure a model bundle on the validation faces of a folder, as the badge uses it."""
    from stream_detect.training.evaluate import COUNTED_FROM, calibrated, halves, measure, score  # noqa: PLC0415
    from stream_detect.training.report import write_report  # noqa: PLC0415

    folder = Path(model)
    bundle = Bundle.load(folder) if (folder / CARD_FILE).is_file() else Registry.of(None).load(model)
    classifier = load_model(bundle, "openvino", threads=2).classifier()
    faces = _load(data, "val", classifier.crop, cache)
    scored = calibrated(score(faces, classifier.predict), classifier.calibration)
    chosen = scored if whole else halves(scored)[1]
    on = "all validation faces" if whole else "held-out faces"
    metrics = measure(chosen, COUNTED_FROM, on, bundle.card.thresholds)
    _print(metrics)
    if report:
        write_report(chosen, COUNTED_FROM, report)
        text = json.dumps([metric.model_dump() for metric in metrics], indent=2)
        (report / "metrics.json").write_text(text + "\n", encoding="utf-8")


def _load(data: Path, split: Split, crop: CropPolicy, cache: Path | None) -> Faces:
    with _bar(f"finding the faces of {split}") as (progress, task):
        faces = load_faces(
            data,
            split,
            crop,
            cache or Path.home() / ".cache" / "stream-detect",
            lambda done, total: progress.update(task, completed=done, total=total),
        )
        progress.update(task, completed=len(faces.rows), total=len(faces.rows))
    if not faces.rows:
        raise DatasetError(f"expected faces in split {split} of {data}, found none in {len(faces.not_found)} pictures")
    typer.echo(f"{split}: {len(faces.rows):,} faces; in {len(faces.not_found)} pictures none was found")
    return faces


@contextmanager
def _bar(what: str) -> Iterator[tuple[Progress, TaskID]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress, progress.add_task(what, total=None)


def _print(metrics: tuple[Metric, ...]) -> None:
    table = Table("figure", "value", "95 % interval", "faces", "measured on")
    for metric in metrics:
        interval = "" if metric.low is None else f"{metric.low:.3f} to {metric.high:.3f}"
        table.add_row(metric.name, f"{metric.value:.3f}", interval, f"{metric.n:,}", metric.data)
    Console().print(table)


def _quiet() -> None:
    """TensorFlow writes a page to stderr while it is imported, unless told not to."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
