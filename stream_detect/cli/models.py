"""The commands `stream-detect models ...`: list, describe, verify, make, fetch and export model bundles."""

import os
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import httpx
import typer
from rich.console import Console
from rich.table import Table

from stream_detect.errors import BundleError
from stream_detect.extras import require_keras
from stream_detect.models.bundle import export, read_card
from stream_detect.models.card import Card, Metric
from stream_detect.models.pull import LICENCE, ORIGIN, PUBLISHED, credit, fetch, published_named
from stream_detect.models.registry import Registry

ROUTE = "/api/models/judging"
TIMEOUT_S = 30.0
"""Loading a bundle takes some tenths of a second, with the tensorflow backend ten seconds."""


def judge_by(name: str, url: str, token: str | None) -> str:
    """Makes the server use the bundle of that name.

    Args:
        name: name of a bundle on the server.
        url: http or https address of the server.
        token: its access token, if it has one.

    Returns:
        The name confirmed by the server.

    Raises:
        BundleError: the server cannot be reached, or refuses; the message says why.
    """
    if not url.startswith(("https://", "http://")):
        raise BundleError(f"expected the http or https address of a server, received {url!r}")
    if token and not token.isascii():
        raise BundleError("expected an access token of ASCII characters, received others")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.put(url.rstrip("/") + ROUTE, json={"name": name}, headers=headers, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BundleError(f"expected a stream-detect server at {url}, received none: {error}") from error
    if answer.is_error:
        raise BundleError(f"the server refuses to use {name!r}: {_detail(answer)}")
    try:
        return str(answer.json()["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"expected a stream-detect server at {url}, received another answer: {error}") from error


def _detail(answer: httpx.Response) -> str:
    """The detail of the server's problem+json; otherwise the status."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"


app = typer.Typer(help="List, describe, verify, import, export, pull and use model bundles.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="DIR", help="Folder with further bundles, like model.folder.")
]


@app.command(name="list")
def list_bundles(folder: Folder = None) -> None:
    """List all bundles with their architecture, crop size and title."""
    registry = Registry.of(folder)
    table = Table("name", "architecture", "crop", "title", box=None)
    for name in registry.names():
        card = read_card(registry.folder_of(name))
        table.add_row(name, card.architecture, f"{card.input.width_px}x{card.input.height_px}", card.title)
    Console(markup=False).print(table)


@app.command()
def info(name: str, folder: Folder = None) -> None:
    """Show the card of a bundle: terms, limits and metrics."""
    home = Registry.of(folder).folder_of(name)
    card = read_card(home)
    console = Console(highlight=False, markup=False)  # a card's brackets are no markup
    console.print(f"{card.title}  ({card.name} {card.version}, {card.architecture})", style="bold")
    console.print(f"in      {home}\ndata    {card.training.data}\nterms   {card.training.terms}")
    console.print(f"made by {card.training.recipe}")
    for limit in card.limits:
        console.print(f"limit   {limit}")
    console.print(metrics_of(card))


@app.command()
def verify(names: Annotated[list[str] | None, typer.Argument()] = None, folder: Folder = None) -> None:
    """Check the cards and SHA-256 sums of bundles, by default of all. Exit status 1: a bundle is broken."""
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
def import_bundle(  # noqa: PLR0913 - the command's options
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="Keras .h5 or .keras weights.")],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of bundles to create the new one in.")],
    name: Annotated[str, typer.Option("--name", help="Name of the new bundle.")],
    architecture: Annotated[str, typer.Option("--architecture", help="Network that the weights belong to.")] = "meso4",
    means: Annotated[
        Literal["fake", "real"], typer.Option("--output-means", help="Meaning of an output of 1; for MesoNet: real.")
    ] = "fake",
    index: Annotated[
        int | None, typer.Option("--output-index", min=0, help="Output of the network to use. Default: the last.")
    ] = None,
) -> None:
    """Make a bundle from trained weights. Requires TensorFlow."""
    folder = _training().import_weights(weights, architecture, means, name, to, index=index)
    typer.echo(f"made    {folder}")


@app.command(name="publish")
def publish_bundle(  # noqa: PLR0913 - the command's options
    weights: Annotated[Path, typer.Option("--weights", metavar="KERAS", help="Trained network, a .keras file.")],
    data: Annotated[
        list[Path],
        typer.Option(
            "--data", metavar="FOLDER|CSV", help="Labelled faces that it was trained on; may be given several times."
        ),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of bundles to create the new one in.")],
    *,
    measured_on: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER|CSV",
            help="Labelled faces that it was not trained on: their split val is added to the validation faces; may be "
            "given several times.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the bundle. Default: the recipe's.")] = None,
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="Recipe in TOML that it was trained with.")
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="Network, unless the recipe names it.")] = None,
    clips: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Manifest of real clips, on which false alarms per hour are counted."),
    ] = None,
    left_out: Annotated[
        list[str] | None,
        typer.Option(
            "--left-out",
            metavar="FAMILY=KERAS",
            help="Network of a short training without this family, to be measured on it; '=KERAS' names the network of "
            "the same training with all families. May be given several times.",
        ),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8/--no-int8", help="Also make an INT8 network, kept if its scores differ little. Requires NNCF."
        ),
    ] = True,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Cache of face crops. Default: ~/.cache/stream-detect.")
    ] = None,
) -> None:
    """Calibrate and measure a trained network, and make a bundle from it. Requires TensorFlow."""
    require_keras("stream-detect models publish")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    publishing = import_module("stream_detect.cli.publish")
    bundle = publishing.published(
        publishing.Request(
            weights=weights,
            data=tuple(data),
            measured_on=tuple(measured_on or ()),
            to=to,
            name=name,
            recipe_file=recipe_file,
            architecture=architecture,
            clips=clips,
            left_out=tuple(left_out or ()),
            int8=int8,
            cache=cache or Path.home() / ".cache" / "stream-detect",
        )
    )
    Console(highlight=False, markup=False).print(metrics_of(bundle.card))
    typer.echo(f"made    {bundle.folder}")


@app.command(name="export")
def export_bundle(
    name: str,
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="File to write: .tflite (LiteRT), .xml (OpenVINO) or .keras.")
    ],
    folder: Folder = None,
) -> None:
    """Write the network of a bundle for use by other programs, with its card beside it."""
    for file in export(Registry.of(folder).load(name), to):
        typer.echo(f"made    {file}")


@app.command()
def pull(
    names: Annotated[list[str] | None, typer.Argument(help=f"Any of {', '.join(PUBLISHED)}. Default: all.")] = None,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of bundles to create the new ones in.")],
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licence without being asked.")] = False,
    origin: Annotated[
        str, typer.Option("--from", metavar="URL", help="Address of the files, or of a mirror.")
    ] = ORIGIN,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Cache of downloads. Default: ~/.cache/stream-detect/weights.")
    ] = None,
) -> None:
    """Download the weights published by MesoNet's authors, check them, and make bundles. Requires TensorFlow."""
    require_keras("stream-detect models pull")  # before anything is downloaded
    wanted = [published_named(name) for name in names or PUBLISHED]
    typer.echo(LICENCE)
    if not yes:
        typer.confirm("Use them under this licence?", abort=True)
    for each in wanted:
        file = fetch(each, cache or Path.home() / ".cache" / "stream-detect" / "weights", origin)
        home = _training().import_weights(file, each.architecture, "real", each.name, to)
        credit(home, each)
        typer.echo(f"made    {home}")


@app.command()
def use(
    name: str,
    *,
    url: Annotated[str, typer.Option(help="Address of the running server.")] = "http://127.0.0.1:8080",
    token: Annotated[str | None, typer.Option(envvar="STREAM_DETECT_TOKEN", help="Access token of the server.")] = None,
) -> None:
    """Switch a running server to another bundle without interrupting its streams."""
    typer.echo(f"judging {judge_by(name, url, token)}")


def _training() -> ModuleType:
    """The only access to training: for separate commands, so that serving never loads it."""
    require_keras("making a bundle from weights")
    return import_module("stream_detect.training.convert")


def metrics_of(card: Card) -> Table:
    """The table of a card's metrics."""
    table = Table("figure", "threshold", "value", "95 %", "n", "measured on", box=None)
    for metric in card.metrics:
        counted = "" if metric.threshold is None else f"{metric.threshold:g}"
        table.add_row(metric.name, counted, f"{metric.value:.3f}", _interval(metric), str(metric.n), metric.data)
    return table


def _interval(metric: Metric) -> str:
    return "" if metric.low is None or metric.high is None else f"{metric.low:.3f}-{metric.high:.3f}"
