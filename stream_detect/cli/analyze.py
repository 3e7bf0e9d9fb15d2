"""The command `stream-detect analyze`: examines pictures and videos, prints a line for each, and writes reports."""

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from stream_detect.cli.analyze_output import STDOUT, outputs, person_line, printable
from stream_detect.cli.batch import BatchOptions, FileOutcome, PassedOver, examined
from stream_detect.cli.inputs import STDIN, inputs_of
from stream_detect.cli.progress import reporting
from stream_detect.errors import SettingsError, StreamDetectError
from stream_detect.media.credentials import trust_anchors_of
from stream_detect.models.registry import Registry
from stream_detect.review.models import ExaminationSettings
from stream_detect.settings.file import load_settings
from stream_detect.types import VerdictState

FAKE_FOUND, FAILED = 1, 2

_MOST_THREADS = 4
"""Maximum for one video's decoder: more gain little, and each holds frames."""

_OUTPUTS = {"--json": (".json", ".jsonl", ".ndjson"), "--csv": (".csv",)}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class _Analyze(TyperCommand):
    """`--json` and `--csv` without a name write to standard output; before a name with their suffix, to that file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _with_outputs(args))


@app.command(name="analyze", cls=_Analyze)
def analyze(  # noqa: PLR0913 - the command's options
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH|GLOB|DIR|URL|-",
            help="Pictures, videos and folders, which are searched recursively; - is standard input.",
        ),
    ],
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Bundle to judge by; repeat to compare several. Default: the one in the settings."
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="HZ", help="Samples per second of a video. Default: review.rate_hz.")
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(metavar="[FILE.json]", help="Write JSON Lines, one object per file. Without FILE: to stdout."),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(metavar="[FILE.csv]", help="Write CSV, one line per file and model. Without FILE: to stdout."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a self-contained report with pictures.")
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each file here with the badge burnt in.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="Number of files examined at once.")
    ] = os.cpu_count() or 1,
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings file. Default: stream-detect.yaml in this folder."),
    ] = None,
) -> None:
    """Examine pictures and videos for fake faces.

    Exit status 0: no fake was found; 1: a fake was found; 2: a file could not be examined, or another error.
    """
    loaded = load_settings(settings, os.environ)
    rate_hz = loaded.review.rate_hz if rate is None else rate
    inputs = list(inputs_of(files))
    names = tuple(dict.fromkeys(model or [loaded.model.name]))
    for name in names:
        Registry.of(loaded.model.folder).load(name)  # a missing or damaged bundle is not the fault of a file
    trust_anchors_of(loaded.review.trust_anchors)
    if sum(given.name == STDIN for given in inputs) > 1:
        raise SettingsError("expected - once, received it several times: standard input can be read only once")
    if STDOUT == json == csv:
        raise SettingsError("expected --json or --csv on standard output, not both; name a file for one")
    options = BatchOptions(
        _with_spare(loaded.only(ExaminationSettings), min(jobs, len(inputs))), names, rate_hz, jobs, annotate
    )
    passed_over = PassedOver(inputs)
    lines = sys.stderr if STDOUT in (json, csv) else sys.stdout
    status = 0
    shown = [printable(given.shown) for given in inputs]
    with outputs(json, csv, html) as take, reporting(shown, lines, sys.stderr) as report:
        for number, each in enumerate(examined(inputs, options, report.share)):
            outcome = passed_over.filtered(each)
            if outcome is not None:
                take(outcome)
                status = max(status, _status(outcome))
            report.done(number, "" if outcome is None else person_line(outcome))
    if passed_over.count:
        sys.stderr.write(f"Skipped {passed_over.count} files in folders that are neither pictures nor videos.\n")
    sys.stdout.flush()
    context.obj.status = status


@dataclass
class _Judged:
    """The exit status, once all files are judged and written."""

    status: int | None = None


def run(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit status, which is 1 only if a fake was found.

    Click and Python end with 1 for a broken pipe, an interrupt and unexpected errors; here this is 2.
    """
    judged = _Judged()
    try:
        app(args=list(arguments), prog_name="stream-detect analyze", obj=judged)
    except SystemExit as ended:
        if judged.status is None and ended.code:
            return FAILED
    except (StreamDetectError, OSError):
        raise
    except Exception:  # noqa: BLE001 - the command's edge
        traceback.print_exc()
        return FAILED
    return judged.status or 0


def _with_spare(settings: ExaminationSettings, jobs: int) -> ExaminationSettings:
    """Lets decoding use the processors that no job needs, and annotated files the disk to its end: it is the user's."""
    threads = max(settings.review.threads, min((os.cpu_count() or 1) // max(jobs, 1), _MOST_THREADS))
    return settings.model_copy(
        update={"review": settings.review.model_copy(update={"threads": threads, "min_free_bytes": 0})}
    )


def _status(outcome: FileOutcome) -> int:
    if outcome.reviewed is None or outcome.problem:
        return FAILED
    return FAKE_FOUND if outcome.reviewed.verdict is VerdictState.FAKE else 0


def _with_outputs(arguments: list[str]) -> list[str]:
    """Adds the file to each `--json` and `--csv`: the next argument if it has their suffix; otherwise "-".

    So `--json clip.mp4` reads the clip and can never overwrite it. A following "-" is standard output, unless there is
    no other input.
    """
    written: list[str] = []
    rest = list(arguments)
    while rest:
        each = rest.pop(0)
        if each == "--":
            return [*written, each, *rest]
        suffixes = _OUTPUTS.get(each)
        if suffixes is None:
            written.append(each)
        elif rest and (rest[0].lower().endswith(suffixes) or (rest[0] == STDOUT and _others(written, rest[1:]))):
            written.append(f"{each}={rest.pop(0)}")
        else:
            written.append(f"{each}={STDOUT}")
    return written


def _others(before: list[str], after: list[str]) -> bool:
    """Whether an argument may be an input file: neither an option nor its value."""
    valued = {"--model", "--rate", "--html", "--annotate", "--jobs", "--settings"}
    given = [*before, *after]
    return any(
        (not each.startswith("-") or each == STDIN) and (not number or given[number - 1] not in valued)
        for number, each in enumerate(given)
    )
