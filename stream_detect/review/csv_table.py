"""The CSV table of results: every face in every sampled frame, in cells that no spreadsheet evaluates as formulas."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

CREDENTIALS_COLUMNS = ("credentials", "signer", "declared_generated")
_REPORT_COLUMNS = (
    *("file", "file_sha256", "model", "model_sha256", "fake_enter", "fake_leave", "real_enter", "real_leave"),
    *("time_s", "track", "left", "top", "right", "bottom", "score", "fake_probability", "state", "rejected"),
    *CREDENTIALS_COLUMNS,
)

_FORMULA = re.compile(
    r"(^|[;,|\t\r\n])([\s\"'\u200b\ufeff\x00-\x1f]*)([=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b])"
)
"""Where a formula would begin, full-width and small forms included: at a cell's beginning, and behind whatever some
country's spreadsheets split cells at."""


def csv_report(results: Mapping[str, Any]) -> Iterator[str]:
    """A table of every face in every sampled frame, in lines; a frame without a face has one too."""
    yield csv_line(_REPORT_COLUMNS)
    for review in results["models"]:
        model = review["model"]
        limits = model["thresholds"]
        file = results["file"]
        head = (
            *(file["name"], file["sha256"], model["name"], model["sha256"]),
            *(limits[name] for name in ("fake_enter", "fake_leave", "real_enter", "real_leave")),
        )
        tail = credentials_cells(results.get("credentials") or {})
        for frame in review["frames"]:
            for face in frame["faces"]:
                shown = (face[name] for name in ("score", "fake_probability", "state", "rejected"))
                yield csv_line((*head, frame["time_s"], face["track"], *face["box"], *shown, *tail))
            if not frame["faces"]:
                yield csv_line((*head, frame["time_s"], *("",) * 7, frame["state"], "", *tail))


def credentials_cells(credentials: Mapping[str, Any]) -> tuple[object, ...]:
    """The cells of `CREDENTIALS_COLUMNS`, empty where nothing is known.

    Args:
        credentials: as `media.credentials.Credentials.as_json`; empty for results of versions that read none.
    """
    return tuple(credentials.get(name, "") for name in ("state", "signer", "generated"))


def csv_line(values: Iterable[object]) -> str:
    """A line of CSV; in texts, an apostrophe stands before what a spreadsheet would take for a formula."""
    line = io.StringIO()
    safe = [_FORMULA.sub(r"\1\2'\3", value) if isinstance(value, str) else value for value in values]
    csv.writer(line, lineterminator="\n").writerow(safe)
    return line.getvalue()
