"""Reports of analyses: results as docs/protocol.md has them, and flagged pictures, enter; CSV and HTML leave.

The HTML file is whole in itself: pictures and timelines are within it, nothing is loaded from elsewhere.
"""

import csv
import io
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, Literal

_WIDTH, _HEIGHT = 900, 220
_LEFT, _TOP, _RIGHT, _BOTTOM = 40, 10, 10, 26
_COLUMNS = 850
"""Steps in time; of what falls into one, the highest and the lowest are drawn."""
_BLUE, _ORANGE, _VERMILION, _GREY = "#0072b2", "#e69f00", "#d55e00", "#767676"


def curve(frames: Sequence[Mapping[str, Any]], thresholds: Mapping[str, float], state: str) -> str:
    """The frames' scores as dots and the window's fake_probability as a line, over the thresholds.

    Args:
        frames: as docs/protocol.md has them.
        thresholds: of the model.
        state: of the file, for the drawing's words.
    """
    end_s = max((frame["time_s"] for frame in frames), default=0.0) or 1.0
    high = _row(thresholds["fake_enter"])
    low = _row(thresholds["real_enter"])
    scores = [(frame["time_s"], face["score"]) for frame in frames for face in frame["faces"]]
    window = [(frame["time_s"], frame["fake_probability"]) for frame in frames]
    label = f"Scores over {end_s:.1f} seconds, called {state}"
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in _thinned(scores, end_s, joined=False))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}" font-size="12">'
        f"{_band(_TOP, high, _VERMILION)}{_band(high, low, _ORANGE)}{_band(low, _row(0.0), _BLUE)}"
        f'<path d="{dots}" stroke="{_GREY}" stroke-width="3" stroke-linecap="round"/>'
        f'<path d="{_path(_thinned(window, end_s, joined=True))}" fill="none" stroke="currentColor" stroke-width="2"/>'
        f"{_times(end_s)}"
        f'<text x="{_LEFT - 6}" y="{_TOP + 10}" text-anchor="end" fill="currentColor">1</text>'
        f'<text x="{_LEFT - 6}" y="{_row(0.0)}" text-anchor="end" fill="currentColor">0</text></svg>'
        "<figcaption>Dots: one frame's score. Line: fake probability of the window, as the badge would have said. "
        "Fake above, real below, uncertain between.</figcaption>"
    )


def _thinned(
    points: Sequence[tuple[float, float | None]], end_s: float, *, joined: bool
) -> Iterator[tuple[float, float]]:
    """Points in pixels, at most two a column; where `joined`, NaN stands for a hole."""
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


def _band(top: float, bottom: float, colour: str) -> str:
    width = _WIDTH - _LEFT - _RIGHT
    return (
        f'<rect x="{_LEFT}" y="{top:.1f}" width="{width}" height="{bottom - top:.1f}" fill="{colour}" opacity=".15"/>'
    )


def _times(end_s: float) -> str:
    marks = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
        anchor = "end" if share == 1 else "middle"
        text = f"{share * end_s:.0f} s" if end_s >= 10 else f"{share * end_s:.1f} s"
        marks.append(f'<text x="{x:.0f}" y="{_HEIGHT - 6}" text-anchor="{anchor}" fill="currentColor">{text}</text>')
    return "".join(marks)


def _row(value: float) -> float:
    return _TOP + (1 - value) * (_HEIGHT - _TOP - _BOTTOM)


Results = Mapping[str, Any]
Pictures = Callable[[str, int, Literal["picture", "map"]], bytes | None]
"""Gives the JPEG of a flagged frame, or of its heat map, by the model's name and its number."""

_WORDS = {"fake": "FAKE", "real": "REAL", "uncertain": "UNCERTAIN", "no_face": "NO FACE", "gathering": "TOO SHORT"}
_MOST_TRACKS = 50
"""Listed in the HTML report; all are in the JSON."""

_REPORT_COLUMNS = (
    *("file", "file_sha256", "model", "model_sha256", "fake_enter", "fake_leave", "real_enter", "real_leave"),
    *("time_s", "track", "left", "top", "right", "bottom", "score", "fake_probability", "state", "rejected"),
)
_CAVEAT = (
    "A model found these faces more like the fakes, or more like the real faces, that it was trained on. That is no "
    "proof, of either. Do not decide about a person by it alone."
)
_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin-top:2rem}
.state{display:inline-block;padding:.1rem .6rem;border-radius:.3rem;color:#fff;background:#767676;font-weight:600}
.state.fake{background:#d55e00}.state.real{background:#0072b2}.state.uncertain{background:#e69f00;color:#101214}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{opacity:.75}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #8884}
.wide{overflow-x:auto}svg{width:100%;height:auto}
.flagged{display:grid;grid-template-columns:repeat(auto-fill,minmax(16rem,1fr));gap:1rem;padding:0}
figure{margin:0}figure img{width:100%;border-radius:.3rem}figure img.map{width:40%}figcaption{font-size:.875rem}
.small{font-size:.875rem;opacity:.85}article+article{border-top:2px solid #8888;margin-top:3rem;padding-top:1rem}
"""


def csv_report(results: Results) -> Iterator[str]:
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
        for frame in review["frames"]:
            for face in frame["faces"]:
                shown = (face[name] for name in ("score", "fake_probability", "state", "rejected"))
                yield csv_line((*head, frame["time_s"], face["track"], *face["box"], *shown))
            if not frame["faces"]:
                yield csv_line((*head, frame["time_s"], *("",) * 7, frame["state"], ""))


def html_report(results: Results, pictures: Pictures) -> str:
    """A page of one analysis."""
    return "".join(html_page([html_section(results, pictures)], results["file"]["name"]))


def html_page(sections: Iterable[str], title: str) -> Iterator[str]:
    """A page of several, in parts.

    Args:
        sections: `html_section`s.
        title: of the page.
    """
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{escape(title)} - stream-detect</title><style>{_STYLE}</style></head>'
        "<body><main>\n"
    )
    yield from sections
    yield "</main></body></html>\n"


def html_problem(name: str, problem: str) -> str:
    """The section of a file that could not be judged."""
    return f'<article><h1>{escape(name)}</h1><p><span class="state">ERROR</span> {escape(problem)}</p></article>\n'


def html_section(results: Results, pictures: Pictures) -> str:
    """One analysis as a part of a page."""
    file = results["file"]
    facts = {
        "sha256": file["sha256"],
        "form": f"{file['kind']}, {file['codec']}, {file['width']}x{file['height']}, {file['bytes']:,} bytes",
    }
    if file["kind"] == "video":
        facts["length"] = f"{file['duration_s']:.1f} s at {file['fps']:.5g} frames a second"
        facts["sampled"] = f"{results['sampled']} frames, {results['rate_hz']:g} a second"
    notes = "".join(f"<p>Note: {escape(note)}.</p>" for note in results.get("notes", ()))
    reviews = "".join(_review(review, pictures, file) for review in results["models"])
    return (
        f"<article><h1>{escape(file['name'])}</h1>{_list(facts)}{notes}{reviews}"
        f'<p class="small">{_CAVEAT}</p></article>\n'
    )


def _review(review: Mapping[str, Any], pictures: Pictures, file: Mapping[str, Any]) -> str:
    model, verdict = review["model"], review["verdict"]
    limits = model["thresholds"]
    facts = {
        "bundle": f"{model['name']}: {model['title']}",
        "sha256": model["sha256"],
        "thresholds": f"fake from {limits['fake_enter']:g} until below {limits['fake_leave']:g}, "
        f"real to {limits['real_enter']:g} until above {limits['real_leave']:g}",
        "terms": model["terms"],
    }
    known = "".join(f"<li>{escape(limit)}</li>" for limit in model["limits"])
    shown = f"<figure>{curve(review['frames'], limits, verdict['state'])}</figure>" if file["kind"] == "video" else ""
    return (
        f'<section><h2>{_state(verdict["state"])} <span class="small">by {escape(model["name"])}</span></h2>'
        f"<p>{escape(_sentence(verdict['reason']))}{_probability(verdict['fake_probability'])}</p>{shown}"
        f"{_tracks(review['tracks'])}{_gallery(model['name'], review['flagged'], pictures)}{_list(facts)}"
        f"<details><summary>What this model is known not to do</summary><ul>{known}</ul></details></section>"
    )


def _tracks(tracks: list[Mapping[str, Any]]) -> str:
    if not tracks:
        return ""
    rows = "".join(
        f"<tr><td>{track['track']}</td><td>{_state(track['state'])}</td><td>{track['from_s']:.1f} - "
        f"{track['to_s']:.1f} s</td><td>{track['admitted']}</td><td>{escape(track['reason'])}</td></tr>"
        for track in tracks[:_MOST_TRACKS]
    )
    more = f"<p>{len(tracks) - _MOST_TRACKS} more faces are in the JSON report.</p>" * (len(tracks) > _MOST_TRACKS)
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("face", "state", "seen", "scores", "why"))
    return f'<h3>Faces</h3><div class="wide"><table><tr>{heads}</tr>{rows}</table></div>{more}'


def _gallery(model: str, flagged: list[Mapping[str, Any]], pictures: Pictures) -> str:
    figures = []
    for each in flagged:
        what = f"face {each['track']} at {each['time_s']:.1f} s, score {each['score']:.2f}"
        images = "".join(
            f'<img class="{kind}" alt="{"flagged frame" if kind == "picture" else "heat map"}: {what}" '
            f'src="data:image/jpeg;base64,{b64encode(coded).decode()}">'
            for kind in ("picture", "map")
            if (coded := pictures(model, each["n"], kind)) is not None  # type: ignore[arg-type]
        )
        figures.append(f"<figure>{images}<figcaption>{what}</figcaption></figure>")
    if not figures:
        return ""
    return (
        '<h3>Flagged frames</h3><p class="small">The highest scores of each face; in orange what spoke for a fake.</p>'
        f'<div class="flagged">{"".join(figures)}</div>'
    )


def _state(state: str) -> str:
    return f'<span class="state {escape(state)}">{_WORDS.get(state, escape(state))}</span>'


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


def _probability(value: float | None) -> str:
    return "" if value is None else f" Highest fake probability: {value:.2f}."


def _list(facts: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in facts.items())}</dl>"


def csv_line(values: Iterable[object]) -> str:
    """A line of CSV; what a spreadsheet would take for a formula has an apostrophe before it."""
    line = io.StringIO()
    safe = [f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"} else value for value in values]
    csv.writer(line, lineterminator="\n").writerow(safe)
    return line.getvalue()
