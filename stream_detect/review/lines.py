"""What the command line prints and writes of a file: a finding enters; a line for people, of JSON or of CSV leaves."""

import json
from collections.abc import Iterator
from typing import Any

from stream_detect.review.batch import Finding
from stream_detect.review.report import csv_line
from stream_detect.review.reviewed import ModelReview, Reviewed, file_json, frame_parts, model_parts, tracks_json
from stream_detect.review.verdict import worst_of

_WORDS = {"fake": "FAKE", "real": "REAL", "uncertain": "UNCERTAIN", "no_face": "NO FACE"}
_PROBABILITY = "fake_probability"
CSV_HEAD = (
    *("file", "sha256", "kind", "model", "model_sha256", "verdict", _PROBABILITY, "reason"),
    *("tracks", "sampled", "flagged", "error"),
)


def person_line(finding: Finding) -> str:
    """One line: verdict, probability, name, reason."""
    if finding.reviewed is None:
        return f"{'ERROR':<9}      {finding.given.name}: {finding.problem}"
    worst = worst_review(finding.reviewed)
    value = worst.verdict.fake_probability
    shown = "    " if value is None else f"{value:.2f}"
    by = f" [{worst.judge.name}]" if len(finding.reviewed.models) > 1 else ""
    notes = "".join(f"; {note}" for note in finding.reviewed.notes)
    return f"{_WORDS[worst.verdict.state]:<9} {shown} {finding.given.name}{by}: {worst.verdict.reason}{notes}"


def json_parts(finding: Finding) -> Iterator[str]:
    """One object on one line, in parts: of several models the worst's, and all of them in `models`."""
    if finding.reviewed is None:
        yield _text({"file": finding.given.name, "verdict": None, "error": finding.problem}) + "\n"
        return
    reviewed, worst = finding.reviewed, worst_review(finding.reviewed)
    facts, value = file_json(finding.upload), worst.verdict.fake_probability
    head: dict[str, Any] = {
        "file": finding.given.name,
        "verdict": worst.verdict.state,
        _PROBABILITY: None if value is None else round(value, 4),
        "reason": worst.verdict.reason,
        "bundle": {"name": worst.judge.name, "sha256": worst.judge.sha256},
        **{name: facts[name] for name in facts if name != "name"},
        "rate_hz": reviewed.rate_hz,
        "sampled": reviewed.sampled,
        "notes": list(reviewed.notes),
        "annotated": [str(path) for path in finding.annotated],
        "tracks": tracks_json(worst),
    }
    yield _text(head)[:-1] + ", "
    yield from frame_parts(worst)
    if len(reviewed.models) > 1:
        for number, model in enumerate(reviewed.models):
            yield ', "models": [' if not number else ", "
            yield from model_parts(model)
        yield "]"
    yield "}\n"


def csv_lines(finding: Finding) -> Iterator[str]:
    """A line a model; one with the error when there is a problem."""
    given = finding.given.name
    if finding.reviewed is None:
        yield csv_line([given, *[""] * (len(CSV_HEAD) - 2), finding.problem])
        return
    for model in finding.reviewed.models:
        verdict = model.verdict
        value = "" if verdict.fake_probability is None else round(verdict.fake_probability, 4)
        counts = len(model.tracks), finding.reviewed.sampled, len(model.flagged)
        file = given, finding.upload.sha256, finding.upload.kind
        yield csv_line([*file, model.judge.name, model.judge.sha256, verdict.state, value, verdict.reason, *counts, ""])


def worst_review(reviewed: Reviewed) -> ModelReview:
    """Of several models the one whose verdict is the file's."""
    state = worst_of([model.verdict.state for model in reviewed.models])
    same = [model for model in reviewed.models if model.verdict.state is state]
    return max(same, key=lambda model: model.verdict.fake_probability or 0.0)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
