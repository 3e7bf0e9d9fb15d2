"""What both benchmarks print and write: the table of figures, the file, the machine."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from figures import Figure
from rich.console import Console
from rich.table import Table

COLUMNS = 160


def print_tables(*tables: Table) -> None:
    """On standard output, as wide as they need to be where that is a file."""
    Console(width=None if sys.stdout.isatty() else COLUMNS).print(*tables)


def figure_table(figures: Sequence[Figure]) -> Table:
    """Every figure beside what it should be."""
    table = Table(title="Figures", title_justify="left")
    for heading in ("figure", "median", "runs", "target", "met", "what"):
        table.add_column(heading, justify="right" if heading in {"median", "target"} else "left")
    met = {None: "", True: "[green]yes[/]", False: "[red]no[/]"}
    for figure in figures:
        table.add_row(
            figure.key,
            f"{figure.value:.2f} {figure.unit}",
            " ".join(f"{run:.2f}" for run in figure.runs),
            str(figure.target or ""),
            "[bold red]void[/]" if figure.void else met[figure.met],
            figure.what,
        )
    return table


def write_report(file: Path, figures: Sequence[Figure], **more: Any) -> None:
    """All figures by their keys, and what else there is to say, as JSON."""
    report = {**{figure.key: figure.to_json() for figure in figures}, **more}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=2) + "\n")


def void_reasons(figures: Sequence[Figure], console: Console) -> int:
    """Say why figures mean nothing; 1 when any does, else 0, as exit statuses are."""
    reasons = dict.fromkeys(reason for figure in figures for reason in figure.void)
    for reason in reasons:
        console.print(f"[bold red]void[/] {reason}")
    return 1 if reasons else 0


def machine() -> Mapping[str, Any]:
    """Where it was measured, and of what."""
    return {
        "processors": os.cpu_count(),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("stream-detect", "aiortc", "av", "openvino")},
    }
