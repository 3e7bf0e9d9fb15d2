"""Output of `analyze`: lines for people, JSON lines, a CSV table and an HTML report."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TextIO

from stream_detect.cli.batch import FileOutcome
from stream_detect.errors import StorageError
from stream_detect.review.report import (
    CREDENTIALS_COLUMNS,
    credentials_cells,
    csv_line,
    html_page,
    html_problem,
    html_section,
)
from stream_detect.review.results import ModelReview, Reviewed, file_json, frame_parts, model_parts, tracks_json
from stream_detect.review.verdict import shown_probability, worst_of

_WORDS = {"fake": "FAKE", "real": "REAL", "uncertain": "UNCERTAIN", "no_face": "NO FACE"}
_PROBABILITY = "fake_probability"
CSV_HEAD = (
    *("file", "sha256", "kind", "model", "model_sha256", "verdict", _PROBABILITY, "reason"),
    *("tracks", "sampled", "flagged", *CREDENTIALS_COLUMNS, "notes", "error"),
)


def person_line(outcome: FileOutcome) -> str:
    """One line: verdict, probability, name, reason."""
    if outcome.reviewed is None:
        return f"{'ERROR':<9}      {printable(outcome.given.shown)}: {printable(outcome.problem)}"
    worst = worst_review(outcome.reviewed)
    value = worst.verdict.fake_probability
    shown = "    " if value is None else shown_probability(value, worst.judge.thresholds)
    by = f" [{worst.judge.name}]" if len(outcome.reviewed.models) > 1 else ""
    notes = [worst.verdict.reason, *outcome.reviewed.notes, outcome.reviewed.credentials.sentence, outcome.problem]
    said = "; ".join(filter(None, notes))
    return f"{_WORDS[worst.verdict.state]:<9} {shown} {printable(outcome.given.shown)}{by}: {printable(said)}"


def printable(text: str) -> str:
    r"""The text with control characters and hidden characters as escapes such as \x1b."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def json_parts(outcome: FileOutcome) -> Iterator[str]:
    """One object on one line, in parts: that of the worst model, and all models in `models`."""
    if outcome.reviewed is None:
        yield _text({"file": outcome.given.shown, "verdict": None, "error": outcome.problem}) + "\n"
        return
    reviewed, worst = outcome.reviewed, worst_review(outcome.reviewed)
    facts, value = file_json(outcome.upload), worst.verdict.fake_probability
    head: dict[str, Any] = {
        "file": outcome.given.shown,
        "verdict": worst.verdict.state,
        _PROBABILITY: None if value is None else round(value, 4),
        "reason": worst.verdict.reason,
        "bundle": {
            "name": worst.judge.name,
            "sha256": worst.judge.sha256,
            "thresholds": asdict(worst.judge.thresholds),
        },
        **{name: facts[name] for name in facts if name != "name"},
        "rate_hz": reviewed.rate_hz,
        "sampled": reviewed.sampled,
        "notes": list(reviewed.notes),
        "credentials": reviewed.credentials.as_json(),
        "annotated": [os.fsencode(path).decode("utf-8", "backslashreplace") for path in outcome.annotated],
        "tracks": tracks_json(worst),
    }
    if outcome.problem:
        head["error"] = outcome.problem
    yield _text(head)[:-1] + ", "
    yield from frame_parts(worst)
    if len(reviewed.models) > 1:
        for number, model in enumerate(reviewed.models):
            yield ', "models": [' if not number else ", "
            yield from model_parts(model)
        yield "]"
    yield "}\n"


def csv_lines(outcome: FileOutcome) -> Iterator[str]:
    """One line per model; one with the error if there is a problem."""
    given = outcome.given.shown
    if outcome.reviewed is None:
        yield csv_line([given, *[""] * (len(CSV_HEAD) - 2), outcome.problem])
        return
    for model in outcome.reviewed.models:
        verdict = model.verdict
        value = "" if verdict.fake_probability is None else round(verdict.fake_probability, 4)
        counts = len(model.tracks), outcome.reviewed.sampled, len(model.flagged)
        file = given, outcome.upload.sha256, outcome.upload.kind
        said = model.judge.name, model.judge.sha256, verdict.state, value, verdict.reason
        cells = credentials_cells(outcome.reviewed.credentials.as_json())
        yield csv_line([*file, *said, *counts, *cells, "; ".join(outcome.reviewed.notes), outcome.problem])


def worst_review(reviewed: Reviewed) -> ModelReview:
    """The model whose verdict is the file's."""
    state = worst_of([model.verdict.state for model in reviewed.models])
    same = [model for model in reviewed.models if model.verdict.state is state]
    return max(same, key=lambda model: model.verdict.fake_probability or 0.0)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


STDOUT = "-"

Take = Callable[[FileOutcome], None]


@contextmanager
def outputs(json_to: str | None, csv_to: str | None, html_to: Path | None) -> Iterator[Take]:
    """Opens the outputs; returns a function that writes outcomes, called in order.

    Args:
        json_to: file, or "-"; None for none.
        csv_to: file, or "-"; None for none.
        html_to: file; None for none.

    Raises:
        StorageError: a file cannot be written.
    """
    takes: list[Take] = []
    with ExitStack() as stack:
        if json_to is not None:
            lines = stack.enter_context(_opened(json_to))
            takes.append(lambda outcome: lines.writelines(json_parts(outcome)))
        if csv_to is not None:
            table = stack.enter_context(_opened(csv_to))
            table.write(csv_line(CSV_HEAD))
            takes.append(lambda outcome: table.writelines(csv_lines(outcome)))
        if html_to is not None:
            takes.append(stack.enter_context(_page(html_to)))

        def take(outcome: FileOutcome) -> None:
            for each in takes:
                each(outcome)

        yield take


@contextmanager
def _page(to: Path) -> Iterator[Take]:
    with _opened(str(to)) as page:
        begin, end = html_page(to.stem)
        page.write(begin)

        def take(outcome: FileOutcome) -> None:
            page.write(_section(outcome))

        yield take
        page.write(end)


def _section(outcome: FileOutcome) -> str:
    if outcome.reviewed is None:
        return html_problem(outcome.given.shown, outcome.problem)
    results = json.loads(outcome.reviewed.as_json("", outcome.upload))
    section = html_section(results, pictures_of(outcome.reviewed))
    return section + (html_problem(outcome.given.shown, outcome.problem) if outcome.problem else "")


def pictures_of(reviewed: Reviewed) -> Callable[[str, int, Literal["picture", "map"]], bytes | None]:
    """Returns the pictures for a report."""

    def picture(model: str, n: int, kind: Literal["picture", "map"]) -> bytes | None:
        flagged = reviewed.flagged[model][n - 1]
        return flagged.picture if kind == "picture" else flagged.heat_map

    return picture


@contextmanager
def _opened(to: str) -> Iterator[TextIO]:
    if to == STDOUT:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # for JSON, regardless of the terminal
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        with Path(to).open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise StorageError(f"{to} cannot be written: {error.strerror}") from error
