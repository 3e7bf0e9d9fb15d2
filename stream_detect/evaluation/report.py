"""The report of an evaluation: one HTML page with tables and plots that loads nothing and runs no script."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stream_detect.evaluation import plots
from stream_detect.evaluation.bootstrap import Estimate
from stream_detect.evaluation.judge import Outcome
from stream_detect.evaluation.scored import Scored
from stream_detect.evaluation.summary import Level, Summary, scored, scored_by_source

NOT_KNOWN = "-"

_LEVELS: dict[Level, str] = {"image": "images", "frame": "frames of the videos", "video": "videos"}


@dataclass(frozen=True, slots=True)
class _Card:
    """A plot, or a confusion matrix, with its title."""

    title: str
    svg: Markup | None = None
    confusion: tuple[tuple[int, int], tuple[int, int]] | None = None


def number(known: float | None) -> str:
    """Three digits."""
    return NOT_KNOWN if known is None else f"{known:.3f}"


def value(estimated: Estimate | None) -> str:
    """A figure without its interval."""
    return number(estimated.value if estimated else None)


def percent(estimated: Estimate | None) -> str:
    """A share without its interval, in per cent."""
    return NOT_KNOWN if estimated is None else f"{estimated.value:.1%}"


def points(change: float | None, digits: int | None = None) -> str:
    """A change with its sign: of a number with so many digits, or in points of a hundred."""
    if change is None:
        return NOT_KNOWN
    return f"{100 * change:+.1f} pp" if digits is None else f"{change:+.{digits}f}"


def html_report(summary: Summary, outcomes: Sequence[Outcome]) -> str:
    """The page.

    Args:
        summary: what was measured.
        outcomes: what it was measured on, for the plots.
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
    yield _drawn("ROC", plots.roc(both))
    yield _drawn("Precision and recall", plots.precision_recall(both))
    yield _drawn("Reliability", plots.reliability_plot(both))
    for name, some in both.items() if by else ():
        yield from _by_set(f"ROC by {by}: {name}", some)
    if any(row.level == level for row in summary.families):
        for i, model in enumerate(summary.models):
            yield from _by_family(model.name, scored_by_source(outcomes, i, level))
    for model in summary.models:
        if model.name in both:
            yield _drawn(f"Scores: {model.name}", plots.histogram(both[model.name], model.thresholds))
    for part in summary.parts:
        if part.level == level and part.set is None and part.figures and part.model in both:
            for at in part.figures.at:
                yield _Card(f"Confusion from {at.threshold:g} on: {part.model}", confusion=at.confusion)


def _by_set(title: str, some: Scored) -> Iterator[_Card]:
    """ROC of each set that has real and fake items; `source` holds the set."""
    sets = {name: some.of(name) for name in sorted(set(some.source.tolist()))}
    if shown := {name or "(empty)": of for name, of in sets.items() if of.both}:
        yield _drawn(title, plots.roc(shown))


def _by_family(model: str, some: Scored) -> Iterator[_Card]:
    """ROC and reliability of each family's fakes against all real files."""
    of = {family: some.where(~some.fake | (some.family == family)) for family in some.families}
    if shown := {family: each for family, each in of.items() if each.both}:
        yield _drawn(f"ROC by family: {model}", plots.roc(shown))
        yield _drawn(f"Reliability by family: {model}", plots.reliability_plot(shown, balanced=True))


def _drawn(title: str, svg: str) -> _Card:
    return _Card(title, svg=Markup(svg))  # noqa: S704 - made by matplotlib, which escapes the names in it
