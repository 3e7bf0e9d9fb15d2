"""The timeline as a drawing: sampled frames enter, an inline SVG leaves; its size does not grow with the video's."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

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
