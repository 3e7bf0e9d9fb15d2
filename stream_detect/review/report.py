"""Reports of analyses, made from results (docs/protocol.md): a self-contained HTML page, and a CSV table.

The markup is in `templates`; everything that is inserted is escaped. No cell of a table can be read as a formula.
"""

import csv
import io
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup

from stream_detect.media.credentials import Credentials
from stream_detect.review.verdict import shown_probability
from stream_detect.types import Thresholds

if TYPE_CHECKING:
    from jinja2 import Template

_WIDTH, _HEIGHT = 900, 220
_LEFT, _TOP, _RIGHT, _BOTTOM = 40, 10, 10, 26
_COLUMNS = 850
"""Columns of the timeline; in each, the highest and the lowest value are drawn."""

Results = Mapping[str, Any]
Pictures = Callable[[str, int, Literal["picture", "map"]], bytes | None]
"""Returns the JPEG of a flagged frame or its heat map, by the name of the model and the number of the frame."""

_WORDS = {"fake": "FAKE", "real": "REAL", "uncertain": "UNCERTAIN", "no_face": "NO FACE", "gathering": "TOO SHORT"}
_MOST_TRACKS = 50
"""Number of tracks in the HTML report; all are in the JSON."""

_CONTENT = "content"


def html_report(results: Results, pictures: Pictures) -> str:
    """HTML page of one analysis."""
    begin, end = html_page(results["file"]["name"])
    return f"{begin}{html_section(results, pictures)}{end}"


def html_page(title: str) -> tuple[str, str]:
    """HTML before and after the sections of a page."""
    begin, _, end = _template("page.html").render(title=title, content=_CONTENT).rpartition(_CONTENT)
    return begin, end


def html_problem(name: str, problem: str) -> str:
    """HTML section of a file that could not be judged."""
    return _template("problem.html").render(name=name, problem=problem)


def html_section(results: Results, pictures: Pictures) -> str:
    """HTML section of one analysis."""
    reviews = [
        {
            **review,
            "curve": Markup(curve(review["frames"], review["model"]["thresholds"], review["verdict"]["state"]))  # noqa: S704 - made of our own template
            if results["file"]["kind"] == "video"
            else "",
            "gallery": list(_gallery(review["model"], review["flagged"], pictures)),
            "probability": _probability(review),
        }
        for review in results["models"]
    ]
    read = results.get("credentials")  # results of versions before 0.3 have none
    credentials = None if read is None else Credentials.of(read)
    return _template("analysis.html").render(
        results=results, reviews=reviews, words=_WORDS, most_tracks=_MOST_TRACKS, credentials=credentials
    )


def curve(frames: Sequence[Mapping[str, Any]], thresholds: Mapping[str, float], state: str) -> str:
    """SVG of the frames' scores as dots and the window's fake_probability as a line, with the thresholds.

    Args:
        frames: in the form of docs/protocol.md.
        thresholds: of the model.
        state: state of the file, for the text alternative.
    """
    end_s = max((frame["time_s"] for frame in frames), default=0.0) or 1.0
    scores = [(frame["time_s"], face["score"]) for frame in frames for face in frame["faces"]]
    window = [(frame["time_s"], frame["fake_probability"]) for frame in frames]
    rows = [_TOP, _row(thresholds["fake_enter"]), _row(thresholds["real_enter"]), _row(0.0)]
    return _template("curve.svg").render(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        top=_TOP,
        bands=list(zip(("fake", "uncertain", "real"), rows, rows[1:], strict=False)),
        dots="".join(f"M{x:.1f} {y:.1f}h0" for x, y in _thinned(scores, end_s, joined=False)),
        line=_path(_thinned(window, end_s, joined=True)),
        end_s=end_s,
        state=_WORDS.get(state, state),
    )


def _thinned(
    points: Sequence[tuple[float, float | None]], end_s: float, *, joined: bool
) -> Iterator[tuple[float, float]]:
    """Points in pixels, at most two per column; with `joined`, NaN marks a gap."""
    column, held = -1, list[float]()
    hole = True
    for time_s, value in (*points, (end_s * 2, None)):
        at = int(time_s / end_s * _COLUMNS)
        if at != column or value is None:
            for extreme in sorted({min(held), max(held)}) if held else ():
                yield _LEFT + column * (_WIDTH - _LEFT - _RIGHT) / _COLUMNS, _row(extreme)
            held = []
        if value is None:
            if joined and not hole:
                yield float("nan"), float("nan")
            hole = True
            continue
        column, hole = at, False
        held.append(value)


def _path(points: Iterator[tuple[float, float]]) -> str:
    parts, verb = [], "M"
    for x, y in points:
        if x != x:  # noqa: PLR0124 - NaN: a hole
            verb = "M"
            continue
        parts.append(f"{verb}{x:.1f} {y:.1f}")
        verb = "L"
    return "".join(parts)


def _row(value: float) -> float:
    return _TOP + (1 - value) * (_HEIGHT - _TOP - _BOTTOM)


def _gallery(
    reviewed: Mapping[str, Any], flagged: Sequence[Mapping[str, Any]], pictures: Pictures
) -> Iterator[dict[str, Any]]:
    kinds: tuple[Literal["picture", "map"], ...] = ("picture", "map")
    model = reviewed["name"]
    limits = Thresholds(**reviewed["thresholds"])
    for each in flagged:
        coded = {kind: pictures(model, each["n"], kind) for kind in kinds}
        images = {kind: b64encode(content).decode() for kind, content in coded.items() if content is not None}
        score = shown_probability(each["score"], limits)
        yield {"images": images, "what": f"face {each['track']} at {each['time_s']:.1f} s, score {score}"}


def _probability(review: Mapping[str, Any]) -> str:
    """The fake_probability of the verdict; empty if there is none."""
    value = review["verdict"]["fake_probability"]
    return "" if value is None else shown_probability(value, Thresholds(**review["model"]["thresholds"]))


@cache
def _template(name: str) -> "Template":
    """One of our templates; inserted values are escaped, and missing ones are errors."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - .1 s, which no start needs

    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


CREDENTIALS_COLUMNS = ("credentials", "signer", "declared_generated")
_REPORT_COLUMNS = (
    *("file", "file_sha256", "model", "model_sha256", "fake_enter", "fake_leave", "real_enter", "real_leave"),
    *("time_s", "track", "left", "top", "right", "bottom", "score", "fake_probability", "state", "rejected"),
    *(*CREDENTIALS_COLUMNS, "notes"),
)

_FORMULA = re.compile(
    r"(^|[;,|\t\r\n])([\s\"'\u200b\ufeff\x00-\x1f]*)([=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b])"
)
"""Where a formula would begin, including full-width and small forms: at the start of a cell, and after any character at
which the spreadsheets of some country split cells."""


def csv_report(results: Mapping[str, Any]) -> Iterator[str]:
    """Lines of a table with every face in every sampled frame; a frame without faces has one line."""
    yield csv_line(_REPORT_COLUMNS)
    for review in results["models"]:
        model = review["model"]
        limits = model["thresholds"]
        file = results["file"]
        head = (
            *(file["name"], file["sha256"], model["name"], model["sha256"]),
            *(limits[name] for name in ("fake_enter", "fake_leave", "real_enter", "real_leave")),
        )
        tail = (*credentials_cells(results.get("credentials") or {}), "; ".join(results.get("notes", ())))
        for frame in review["frames"]:
            for face in frame["faces"]:
                shown = (face[name] for name in ("score", "fake_probability", "state", "rejected"))
                yield csv_line((*head, frame["time_s"], face["track"], *face["box"], *shown, *tail))
            if not frame["faces"]:
                yield csv_line((*head, frame["time_s"], *("",) * 7, frame["state"], "", *tail))


def credentials_cells(credentials: Mapping[str, Any]) -> tuple[object, ...]:
    """The cells of `CREDENTIALS_COLUMNS`; unknown values are empty.

    Args:
        credentials: from `media.credentials.Credentials.as_json`; empty for results of versions that did not read them.
    """
    return tuple(credentials.get(name, "") for name in ("state", "signer", "generated"))


def csv_line(values: Iterable[object]) -> str:
    """A line of CSV; an apostrophe precedes text that a spreadsheet would interpret as a formula."""
    line = io.StringIO()
    safe = [_FORMULA.sub(r"\1\2'\3", value) if isinstance(value, str) else value for value in values]
    csv.writer(line, lineterminator="\n").writerow(safe)
    return line.getvalue()
