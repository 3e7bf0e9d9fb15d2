"""`stream-detect models ...`: what bundles there are, what they say of themselves, whether they are whole."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from stream_detect.errors import BundleError
from stream_detect.models.bundle import read_card
from stream_detect.models.contract import Card, Metric
from stream_detect.models.registry import Registry

app = typer.Typer(help="List, describe, verify and import model bundles.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="DIR", help="Folder with further bundles, as models.folder.")
]


@app.command(name="list")
def list_bundles(folder: Folder = None) -> None:
    """Name, architecture and title of every bundle found."""
    registry = Registry.of(folder)
    table = Table("name", "architecture", "crop", "title", box=None)
    for name in registry.names():
        card = read_card(registry.folder_of(name))
        table.add_row(name, card.architecture, f"{card.input.width_px}x{card.input.height_px}", card.title)
    Console().print(table)


@app.command()
def info(name: str, folder: Folder = None) -> None:
    """A bundle's card: terms, limits, measured figures."""
    home = Registry.of(folder).folder_of(name)
    card = read_card(home)
    console = Console(highlight=False)
    console.print(f"{card.title}  ({card.name} {card.version}, {card.architecture})", style="bold")
    console.print(f"in      {home}\ndata    {card.training.data}\nterms   {card.training.terms}")
    console.print(f"made by {card.training.recipe}")
    for limit in card.limits:
        console.print(f"limit   {limit}")
    console.print(_metrics(card))


@app.command()
def verify(names: Annotated[list[str] | None, typer.Argument()] = None, folder: Folder = None) -> None:
    """Checks cards and sha256 sums, of all bundles if none is named; exit status 1 when one is broken."""
    registry = Registry.of(folder)
    broken = False
    for name in names or registry.names():
        try:
            registry.load(name)
        except BundleError as error:
            broken = True
            typer.echo(f"broken  {name}: {error}")
        else:
            typer.echo(f"whole   {name}")
    if broken:
        raise typer.Exit(1)


@app.command(name="import")
def import_bundle(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="Keras .h5 or .keras weights.")],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of bundles in which the new one is made.")],
    name: Annotated[str, typer.Option("--name", help="Name of the new bundle.")],
    architecture: Annotated[str, typer.Option("--architecture", help="Which network the weights belong to.")] = "meso4",
    means: Annotated[
        Literal["fake", "real"], typer.Option("--output-means", help="What 1 says; MesoNet's says real.")
    ] = "fake",
) -> None:
    """Makes a bundle of trained weights; needs TensorFlow."""
    # The one way from serving to training: a command that runs by itself, found by name so that serving never loads it.
    from importlib import import_module  # noqa: PLC0415 - see above

    folder = import_module("stream_detect.training.convert").import_weights(weights, architecture, means, name, to)
    typer.echo(f"made    {folder}")


def _metrics(card: Card) -> Table:
    table = Table("figure", "counted from", "value", "95 %", "n", "on", box=None)
    for metric in card.metrics:
        counted = "" if metric.threshold is None else f"{metric.threshold:g}"
        table.add_row(metric.name, counted, f"{metric.value:.3f}", _interval(metric), str(metric.n), metric.data)
    return table


def _interval(metric: Metric) -> str:
    return "" if metric.low is None or metric.high is None else f"{metric.low:.3f}-{metric.high:.3f}"
