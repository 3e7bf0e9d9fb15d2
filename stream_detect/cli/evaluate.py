"""The command `stream-detect evaluate`: measures models on labelled files."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.errors import DatasetError
from stream_detect.evaluation.dataset import read_table, table_file
from stream_detect.evaluation.manifest import SPLITS, Split
from stream_detect.evaluation.report import html_report, percent, points, value
from stream_detect.evaluation.run import EvaluationPlan, OnProgress, evaluate, load_entrants
from stream_detect.evaluation.score_sheet import check_report, write_report
from stream_detect.evaluation.summary import Summary
from stream_detect.settings.file import load_settings

_MOST_SHOWN = 5
"""Maximum number of unreadable files listed on the screen; all are in the report and the scores."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(name="evaluate")
def evaluate_models(  # noqa: PLR0913 - the command's options
    more: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Further bundles, like --model.")] = None,
    *,
    manifest: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Table with the columns file and label (real or fake), and any others."),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to which file names are relative; tar files in it are searched too."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER|CSV",
            help="Instead of --manifest and --root: training data, a folder with faces.csv or such a table, of which "
            "the split val is used; may be given several times.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Bundle, or its folder; may be given several times. Default: the one in the settings."
        ),
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="COLUMN", help="Also measure each value of this column.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Use these rows only; may be given several times.")
    ] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Leave out the groups on which training fits the calibration.")
    ] = False,
    crops: Annotated[bool, typer.Option("--crops", help="The pictures are face crops.")] = False,
    robustness: Annotated[bool, typer.Option("--robustness", help="Also judge degraded files.")] = False,
    robustness_of: Annotated[
        int,
        typer.Option(
            metavar="N", min=2, help="Number of pictures for --robustness, drawn evenly; a tenth as many videos."
        ),
    ] = 200,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures to this file.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report with plots to this file.")] = None,
    scores: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the score of each file to this CSV file.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Number of files judged at once.")] = os.cpu_count() or 1,
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings file. Default: stream-detect.yaml in this folder."),
    ] = None,
) -> None:
    """Measure models on labelled pictures and videos."""
    loaded = load_settings(settings, os.environ)
    names = [*(model or []), *(more or [])] or [loaded.model.name]
    tables = _tables(manifest, root, data or [])
    columns = _pairs(only or [])
    split = _split(columns.pop("split", "val")) if data else None
    plan = EvaluationPlan(
        manifest=tables[0][0],
        root=tables[0][1],
        more=tables[1:],
        by=by,
        only=columns,
        split=split,
        held_out=held_out,
        crops=crops or bool(data and all(read_table(table).packed for table in data)),
        threads=threads,
        robust=robustness_of if robustness else 0,
    )
    for report in filter(None, (json, html)):
        check_report(report)
    begun_s = time.monotonic()
    entrants = load_entrants(names, loaded.model)
    with _bar() as on_progress:
        summary, outcomes = evaluate(plan, entrants, loaded.only(AnalysisSettings), scores, on_progress)
    took_s = time.monotonic() - begun_s
    if json:
        write_report(json, summary.to_json())
    if html:
        write_report(html, html_report(summary, outcomes))
    _print(summary)
    typer.echo(f"{len(outcomes):,} files in {took_s:.1f} s")


def _tables(manifest: Path | None, root: Path | None, data: list[Path]) -> tuple[tuple[Path, Path], ...]:
    """Each manifest with the folder of its files."""
    if data and not (manifest or root):
        return tuple((table_file(each), table_file(each).parent) for each in data)
    if manifest and root and not data:
        return ((manifest, root),)
    raise DatasetError("expected --manifest CSV and --root DIR, or --data FOLDER, and not both")


def _split(named: str) -> Split:
    split = next((each for each in SPLITS if each == named), None)
    if split is None:
        raise DatasetError(f"expected --only split=train or split=val, received split={named}")
    return split


def _pairs(only: list[str]) -> dict[str, str]:
    pairs = {}
    for text in only:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise DatasetError(f"expected --only COLUMN=VALUE, received {text!r}")
        pairs[name] = value
    return pairs


@contextmanager
def _bar() -> Iterator[OnProgress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("judging", total=None)

        def on_progress(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield on_progress


def _print(summary: Summary) -> None:
    console = Console(markup=False)  # brackets in names of files and sets are no markup
    console.print(_figures(summary))
    if summary.families:
        console.print(_families(summary))
    if summary.real_sources:
        console.print(_real_sources(summary))
    if summary.robustness:
        console.print(_robustness(summary))
    for bad in summary.unreadable[:_MOST_SHOWN]:
        console.print(f"row {bad.row}, {bad.file}: {bad.reason}", highlight=False)
    if len(summary.unreadable) > _MOST_SHOWN:
        console.print(f"and {len(summary.unreadable) - _MOST_SHOWN} more files that could not be read")


def _figures(summary: Summary) -> Table:
    table = Table("model", "level", "set", "judged", "AUC", "threshold", "alarms", "recall", "accuracy", box=None)
    for part in summary.parts:
        start = (part.model, part.level, part.set if part.set is not None else "all")
        judged, seen = f"{part.counts.judged}/{part.counts.files}", part.figures
        if seen is None:
            table.add_row(*start, judged)
            continue
        for i, at in enumerate(seen.at):
            first = (*start, judged, value(seen.auc)) if i == 0 else ("",) * 5
            shares = (percent(at.false_alarm_rate), percent(at.recall), percent(at.accuracy))
            table.add_row(*first, f"{at.threshold:g}", *shares)
    return table


def _families(summary: Summary) -> Table:
    table = Table("model", "family", "generator", "fakes", "AUC", "own real", "AUC", "recall", "called real", box=None)
    for row in summary.families:
        of = row.figures
        named = "all" if of.generator is None else of.generator or "not named"
        own = (f"{of.own_reals:,}", value(of.own_auc))
        shares = (percent(of.recall), percent(of.taken_for_real))
        table.add_row(row.model, of.family, named, f"{of.fakes:,}", value(of.auc), *own, *shares)
    return table


def _real_sources(summary: Summary) -> Table:
    table = Table("model", "source", "real", "alarms", "called real", box=None)
    for row in summary.real_sources:
        of = row.figures
        table.add_row(row.model, of.source, f"{of.reals:,}", percent(of.false_alarms), percent(of.called_real))
    return table


def _robustness(summary: Summary) -> Table:
    table = Table("model", "of", "condition", "judged", "AUC", "change", "alarms", "change", box=None)
    for row in summary.robustness:
        judged = f"{row.judged}/{row.files}"
        auc = (value(row.auc), points(row.auc_change, 3))
        alarms = (percent(row.false_alarm_rate), points(row.false_alarm_change))
        table.add_row(row.model, row.level, row.condition, judged, *auc, *alarms)
    return table
