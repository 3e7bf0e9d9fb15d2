"""The report: a summary and its outcomes enter, one HTML page that needs nothing else leaves."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import chain

from stream_detect.evaluation import plots
from stream_detect.evaluation.bootstrap import Estimate
from stream_detect.evaluation.figures import AtThreshold
from stream_detect.evaluation.judge import Outcome
from stream_detect.evaluation.summary import Level, Part, Robustness, Summary, scored

NOT_KNOWN = "-"


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


_CSS = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6676; --line: #d9dee6; --page: #f6f7f9; --card: #fff;
  --cell: 59 130 196; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #9aa6b6; --line: #323b48; --page: #12161c; --card: #1a2028; --cell: 86 156 220; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { font-size: 1.6rem; margin: 0 0 .25rem } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem }
h3 { font-size: .95rem; margin: 0 0 .5rem } p { max-width: 48rem } .soft { color: var(--soft) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap }
th { color: var(--soft); font-weight: 600 } tr:last-child td { border-bottom: 0 } td { vertical-align: top }
small { display: block; color: var(--soft); font-size: .8em } .card > div small { display: inline; margin-left: .4em }
svg { display: block; width: 100%; height: auto } svg text { font-family: system-ui, sans-serif !important }
.confusion { table-layout: fixed } .confusion th, .confusion td { text-align: center; border: 0; padding: .6rem }
.confusion td { background: rgb(var(--cell) / calc(.08 + .6 * var(--share))); border: 2px solid var(--card) }
.big { font-size: 1.5rem; font-weight: 650 }
"""

_READING = """<p class="soft">Intervals are 95 %, from a bootstrap that draws whole groups (the manifest's column
<code>group</code>, else single files). False alarm: a real file that is said to be fake. Recall: fakes that are said to
be fake. EER: where misses and false alarms are equally frequent. AP: average precision. ECE: expected calibration
error. Files without a usable face are counted, not guessed, and are in no other figure. A video's score is the robust
mean of its worst face's scores.</p>"""

_WORSENED = """<p class="soft">The same files, worsened before they are judged; false alarms and recall at each
model's own threshold. H.264 and VP8: sent through a call of at most 640 x 480; a picture for one second, moving a
little and with a camera's noise.</p>"""

_LEVELS: dict[Level, str] = {"image": "images", "frame": "frames of the videos", "video": "videos"}


def page(summary: Summary, outcomes: Sequence[Outcome]) -> str:
    """The whole page.

    Args:
        summary: what was measured.
        outcomes: what it was measured on, for the plots.
    """
    levels = [level for level in _LEVELS if any(part.level == level for part in summary.parts)]
    body = [
        _head(summary),
        _cards(summary),
        "<h2>Figures</h2>",
        *(_figures(summary, level) for level in levels),
        _READING,
        *chain.from_iterable(_plots(summary, outcomes, level) for level in levels),
        _robustness(summary),
        _not_judged(summary),
    ]
    title = escape(f"Evaluation on {summary.subject.manifest}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_CSS}</style></head>'
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _head(summary: Summary) -> str:
    subject = summary.subject
    said = [f"{subject.rows:,} files", f"sha256 of the manifest {subject.sha256[:12]}"]
    said += [f"rows with {escape(', '.join(subject.only))}"] if subject.only else []
    said += ["pictures are face crops, found again and aligned"] if subject.crops else []
    models = "".join(
        f"<p><strong>{escape(m.name)}</strong> {escape(m.version)} - {escape(m.title)} "
        f'<span class="soft">(weights {m.sha256[:12]}; its badge says fake from {m.threshold:g} on). '
        f"{escape(m.terms)}</span></p>"
        for m in summary.models
    )
    return f'<h1>Evaluation on {escape(subject.manifest)}</h1><p class="soft">{"; ".join(said)}</p>{models}'


def _cards(summary: Summary) -> str:
    cards = []
    for part in summary.parts:
        if part.set is None and part.figures is not None:
            at = part.figures.at[-1]
            cards.append(
                f'<div class="card"><h3>{escape(part.model)}, {_LEVELS[part.level]}</h3>'
                f'<div class="big">AUC {value(part.figures.auc)}</div>'
                f"<div>from {at.threshold:g} on: false alarms {_share(at.false_alarm_rate)}</div>"
                f"<div>recall {_share(at.recall)}</div></div>"
            )
    return f'<h2>In short</h2><div class="grid">{"".join(cards)}</div>'


def _figures(summary: Summary, level: Level) -> str:
    parts = [part for part in summary.parts if part.level == level]
    first = _table(
        ("set", "model", "judged", "real", "fake", "AUC", "AP", "EER", "recall at 1 % FPR", "at 5 %", "ECE"),
        (_by_rank(part) for part in parts),
    )
    second = _table(
        ("set", "model", "from", "accuracy", "precision", "recall", "F1", "false alarms"),
        (_by_answer(part, at) for part in parts if part.figures for at in part.figures.at),
    )
    alarms = "".join(_alarms(part) for part in parts if level == "video" and part.set is None)
    return f"<h3>{_LEVELS[level].capitalize()}</h3>{first}<br>{second}{alarms}<br>"


def _alarms(part: Part) -> str:
    """How often the badge would have raised a false alarm."""
    hours = part.counts.real_s / 3600
    rate = f", {part.counts.alarms / hours:.1f} an hour" if hours else ""
    times = f"{part.counts.alarms:,} times in {60 * hours:.1f} minutes of real videos"
    return f"<p>The badge of {escape(part.model)} turned to FAKE {times}{rate}.</p>"


def _by_rank(part: Part) -> tuple[str, ...]:
    counts, seen = part.counts, part.figures
    judged = f"{counts.judged:,} of {counts.files:,}"
    judged += f" ({counts.crops_themselves:,} as they came)" if counts.crops_themselves else ""
    start = (_set(part), escape(part.model), judged)
    if seen is None:
        return (*start, *(NOT_KNOWN,) * 8)
    rest = (
        seen.average_precision,
        seen.equal_error_rate,
        seen.recall_at_1_percent,
        seen.recall_at_5_percent,
        seen.calibration_error,
    )
    return (*start, f"{seen.real:,}", f"{seen.fake:,}", _estimate(seen.auc), *(number(each) for each in rest))


def _by_answer(part: Part, at: AtThreshold) -> tuple[str, ...]:
    values = (at.accuracy, at.precision, at.recall, at.f1, at.false_alarm_rate)
    return (_set(part), escape(part.model), f"{at.threshold:g}", *(_share(each) for each in values))


def _plots(summary: Summary, outcomes: Sequence[Outcome], level: Level) -> Iterable[str]:
    by = summary.subject.by
    of_model = {model.name: scored(outcomes, i, level, by) for i, model in enumerate(summary.models)}
    both = {name: some for name, some in of_model.items() if some.both}
    if not both:
        return
    yield f'<h2>Plots, {_LEVELS[level]}</h2><div class="grid">'
    yield _card("ROC", plots.roc(both))
    yield _card("Precision and recall", plots.precision_recall(both))
    yield _card("Reliability", plots.reliability_plot(both))
    for name, some in both.items() if by else ():
        sets = {part: some.of(part) for part in sorted(set(some.source.tolist()))}
        if shown := {part or "(empty)": of for part, of in sets.items() if of.both}:
            yield _card(f"ROC by {by}: {name}", plots.roc(shown))
    for model in summary.models:
        if model.name in both:
            yield _card(f"Scores: {model.name}", plots.histogram(both[model.name], model.thresholds))
    for part in summary.parts:
        if part.level == level and part.set is None and part.figures and part.model in both:
            for at in part.figures.at:
                yield _card(f"Confusion from {at.threshold:g} on: {part.model}", _confusion(at))
    yield "</div>"


def _confusion(at: AtThreshold) -> str:
    rows = []
    for truth, counts in zip(("real", "fake"), at.confusion, strict=True):
        whole = max(sum(counts), 1)
        cells = "".join(f'<td style="--share:{n / whole:.3f}">{n:,}<br>{n / whole:.1%}</td>' for n in counts)
        rows.append(f"<tr><th>is {truth}</th>{cells}</tr>")
    return f'<table class="confusion"><tr><th></th><th>said real</th><th>said fake</th></tr>{"".join(rows)}</table>'


def _robustness(summary: Summary) -> str:
    if not summary.robustness:
        return ""
    columns = ("model", "of", "condition", "judged", "AUC", "change", "false alarms", "change", "recall", "change")
    table = _table(columns, map(_robust, summary.robustness))
    return f"<h2>Robustness</h2>{_WORSENED}{table}"


def _robust(row: Robustness) -> tuple[str, ...]:
    return (
        escape(row.model),
        f"{row.level}s",
        escape(row.condition),
        f"{row.judged:,} of {row.files:,}",
        _estimate(row.auc),
        points(row.auc_change, 3),
        _share(row.false_alarm_rate),
        points(row.false_alarm_change),
        _share(row.recall),
        points(row.recall_change),
    )


def _not_judged(summary: Summary) -> str:
    reasons = [
        (_set(part), escape(part.model), escape(reason), f"{n:,}")
        for part in summary.parts
        if part.level != "frame"
        for reason, n in part.counts.unusable.items()
    ]
    bad = [(str(each.row), escape(each.file), escape(each.reason)) for each in summary.unreadable]
    return "".join(
        (
            f"<h2>Without a usable face</h2>{_table(('set', 'model', 'reason', 'files'), reasons)}" if reasons else "",
            f"<h2>Could not be read</h2>{_table(('row', 'file', 'reason'), bad)}" if bad else "",
        )
    )


def _set(part: Part) -> str:
    return "<strong>all</strong>" if part.set is None else escape(part.set or "(empty)")


def _estimate(estimated: Estimate | None) -> str:
    """A figure, its interval smaller below."""
    between = f"<small>{estimated.low:.3f} - {estimated.high:.3f}</small>" if estimated else ""
    return value(estimated) + between


def _share(estimated: Estimate | None) -> str:
    between = f"<small>{estimated.low:.1%} - {estimated.high:.1%}</small>" if estimated else ""
    return percent(estimated) + between


def _card(title: str, content: str) -> str:
    return f'<div class="card"><h3>{escape(title)}</h3>{content}</div>'


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="card scroll"><table><tr>{head}</tr>{body}</table></div>'
