"""The report of an evaluation: one HTML page with tables and plots that loads nothing and runs no script.

The plots are SVG, drawn in the colour of the surrounding text.
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from stream_detect.evaluation.bootstrap import Estimate, Floats
from stream_detect.evaluation.figures import reliability
from stream_detect.evaluation.judge import Outcome
from stream_detect.evaluation.scored import Scored, auc
from stream_detect.evaluation.summary import Level, Summary, scored, scored_by_source

NOT_KNOWN = "-"

_LEVELS: dict[Level, str] = {"image": "images", "frame": "frames of the videos", "video": "videos"}

COLOURS = ("#3b82c4", "#d9622b", "#2a9d6f", "#9b6bd3", "#b58a0e", "#c2477f")
"""Colours that are distinct on light and dark; the first two also for colour-blind people (after Okabe and Ito)."""
REAL, FAKE = COLOURS[0], COLOURS[1]

_INK = "#123456"
"""Stands for the text's colour until the SVG is written."""
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "stream-detect",
    "font.family": "sans-serif",
    "font.size": 10,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_MOST_POINTS = 400
"""Points per curve: more are not visible, and make the page large."""
_SIDE_IN = 4.2


@dataclass(frozen=True, slots=True)
class _Card:
    """A plot, or a confusion matrix, with its title."""

    title: str
    svg: Markup | None = None
    confusion: tuple[tuple[int, int], tuple[int, int]] | None = None


def number(known: float | None) -> str:
    """A number with three digits."""
    return NOT_KNOWN if known is None else f"{known:.3f}"


def value(estimated: Estimate | None) -> str:
    """A figure without its interval."""
    return number(estimated.value if estimated else None)


def percent(estimated: Estimate | None) -> str:
    """A share in per cent, without its interval."""
    return NOT_KNOWN if estimated is None else f"{estimated.value:.1%}"


def points(change: float | None, digits: int | None = None) -> str:
    """A change with its sign: with that many digits, or in percentage points."""
    if change is None:
        return NOT_KNOWN
    return f"{100 * change:+.1f} pp" if digits is None else f"{change:+.{digits}f}"


def html_report(summary: Summary, outcomes: Sequence[Outcome]) -> str:
    """The HTML page.

    Args:
        summary: the figures.
        outcomes: the judged files, for the plots.
    """
    shown = [level for level in _LEVELS if any(part.level == level for part in summary.parts)]
    drawn = [(level, list(_plots(summary, outcomes, level))) for level in shown]
    refused = [
        (part, reason, n)
        for part in summary.parts
        if part.level != "frame"
        for reason, n in part.counts.unusable.items()
    ]
    template = _environment().get_template("evaluation.html")
    return template.render(
        title=" and ".join(manifest.name for manifest in summary.subject.manifests),
        summary=summary,
        levels=_LEVELS,
        shown=shown,
        plots=[(level, cards) for level, cards in drawn if cards],
        refused=refused,
    )


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("stream_detect.evaluation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.filters.update(number=number, value=value, percent=percent, points=points)
    return made


def _plots(summary: Summary, outcomes: Sequence[Outcome], level: Level) -> Iterator[_Card]:
    by = summary.subject.by
    of_model = {model.name: scored(outcomes, i, level, by) for i, model in enumerate(summary.models)}
    both = {name: some for name, some in of_model.items() if some.both}
    if not both:
        return
    yield _drawn("ROC", roc(both))
    yield _drawn("Precision and recall", precision_recall(both))
    yield _drawn("Reliability", reliability_plot(both))
    for name, some in both.items() if by else ():
        yield from _by_set(f"ROC by {by}: {name}", some)
    if any(row.level == level for row in summary.families):
        for i, model in enumerate(summary.models):
            yield from _by_family(model.name, scored_by_source(outcomes, i, level))
    for model in summary.models:
        if model.name in both:
            yield _drawn(f"Scores: {model.name}", histogram(both[model.name], model.thresholds))
    for part in summary.parts:
        if part.level == level and part.set is None and part.figures and part.model in both:
            for at in part.figures.at:
                yield _Card(f"Confusion matrix at {at.threshold:g}: {part.model}", confusion=at.confusion)


def _by_set(title: str, some: Scored) -> Iterator[_Card]:
    """ROC of each set with real and fake items; `source` contains the set."""
    sets = {name: some.of(name) for name in sorted(set(some.source.tolist()))}
    if shown := {name or "(empty)": of for name, of in sets.items() if of.both}:
        yield _drawn(title, roc(shown))


def _by_family(model: str, some: Scored) -> Iterator[_Card]:
    """ROC and reliability of each family's fakes, against all real files."""
    of = {family: some.where(~some.fake | (some.family == family)) for family in some.families}
    if shown := {family: each for family, each in of.items() if each.both}:
        yield _drawn(f"ROC by family: {model}", roc(shown))
        yield _drawn(f"Reliability by family: {model}", reliability_plot(shown, balanced=True))


def _drawn(title: str, svg: str) -> _Card:
    return _Card(title, svg=Markup(svg))  # noqa: S704 - made by matplotlib, which escapes the names in it


def roc(curves: Mapping[str, Scored]) -> str:
    """Recall against false alarms, one curve per name; each has real and fake items."""

    def draw(axes: Axes) -> None:
        for colour, (name, some) in _coloured(curves):
            alarms, recall, _ = roc_curve(some.fake, some.probability)
            axes.plot(*_thinned(alarms, recall), label=f"{name}: AUC {auc(some):.3f}", color=colour)
        _diagonal(axes)

    return _svg(draw, "false-alarm rate", "recall of fakes", "lower right")


def precision_recall(curves: Mapping[str, Scored]) -> str:
    """Precision against recall, one curve per name; each has real and fake items."""

    def draw(axes: Axes) -> None:
        for colour, (name, some) in _coloured(curves):
            precision, recall, _ = precision_recall_curve(some.fake, some.probability)
            axes.step(*_thinned(recall, precision), where="post", label=name, color=colour)

    return _svg(draw, "recall of fakes", "precision", "lower left")


def reliability_plot(curves: Mapping[str, Scored], *, balanced: bool = False) -> str:
    """The share of fakes against the mean fake_probability, in ten bins; larger dots are bins with more items.

    Args:
        curves: items by name, each with real and fake ones.
        balanced: whether all real and all fake items have the same total weight.
    """

    def draw(axes: Axes) -> None:
        for colour, (name, some) in _coloured(curves):
            n_fake = some.fake.sum()
            weights = np.where(some.fake, 1 / n_fake, 1 / (len(some) - n_fake)) if balanced else None
            mean, share, n = reliability(some, weights)
            axes.plot(mean, share, color=colour, linewidth=1, label=name)
            axes.scatter(mean, share, 12 + 150 * n / n.sum(), color=colour, alpha=0.7, linewidths=0)
        _diagonal(axes)

    return _svg(draw, "mean fake_probability", "share of fakes", "upper left")


def histogram(some: Scored, thresholds: tuple[float, ...]) -> str:
    """Histogram of the scores of real and of fake items."""

    def draw(axes: Axes) -> None:
        bins = [step / 40 for step in range(41)]
        tops = [0.01]
        for fake, colour in ((False, REAL), (True, FAKE)):
            values = some.probability[some.fake == fake]
            label = f"{'fake' if fake else 'real'} ({len(values):,})"
            weights = np.full(len(values), 1 / max(len(values), 1))
            shares, _, _ = axes.hist(values, bins, weights=weights, color=colour, alpha=0.6, label=label)
            tops.append(float(np.max(shares)))
        for threshold in thresholds:
            axes.axvline(threshold, color=_INK, linestyle=":", linewidth=0.8)
        axes.set_ylim(0, 1.15 * max(tops))

    return _svg(draw, "fake_probability", "share of the items", "upper center")


def _diagonal(axes: Axes) -> None:
    axes.plot((0, 1), (0, 1), color=_INK, linestyle=":", linewidth=0.8)


def _coloured(curves: Mapping[str, Scored]) -> list[tuple[str, tuple[str, Scored]]]:
    return [(COLOURS[i % len(COLOURS)], item) for i, item in enumerate(curves.items())]


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(np.int64))
    return x[chosen], y[chosen]


def _svg(draw: Callable[[Axes], None], x: str, y: str, legend: str) -> str:
    with rc_context(_STYLE):
        figure = Figure(figsize=(_SIDE_IN, _SIDE_IN), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
        draw(axes)
        axes.legend(loc=legend, fontsize=9)  # "best" compares all places, and warns on a busy machine
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(written.getvalue())


def _for_page(svg: str) -> str:
    """The svg element without ids that would occur twice on a page."""
    inner = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    inner = re.sub(r'<g id="[^"]*"', "<g", inner)
    # The page sets the size.
    inner = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", inner, count=1)
    inner = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", inner, count=1)
    return inner.replace(_INK, "currentColor")
