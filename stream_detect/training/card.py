"""The card of a trained model: what it learnt from and what was measured enter, the card with its sentences leaves."""

from collections import Counter
from collections.abc import Iterable

from stream_detect.evaluation.calibration import COUNTED_FROM
from stream_detect.evaluation.dataset import Row
from stream_detect.evaluation.sources import source
from stream_detect.models.card import Calibration, Card, Crop, Metric, Output, Thresholds, Training
from stream_detect.training.architectures import architecture_named
from stream_detect.training.recipe import Recipe
from stream_detect.types import CropPolicy

_NEVER_SHOWN = (
    "talking heads made by diffusion or from one photo (LivePortrait, AniPortrait and the like)",
    "lips moved to another voice",
    "faces made by GANs",
    "masks, make-up and filters of video calls",
)
_BLENDED = "fakes made by blending a changed copy of a real face into itself"
_LIMITS = (
    "It looks at the face in single pictures: it hears no voice and sees no movement.",
    "It knows the kinds of fakes it was trained on; newer or other kinds may look real to it.",
    "Strong compression, blur, make-up filters and unusual light can mislead it in either direction.",
    "Its answer is a hint, not a proof: never take a decision about a person on it alone.",
)


def data_in_words(rows: Iterable[Row]) -> str:
    """The faces of a split, counted by source: "9,108 real and 9,465 fake faces of DFDC (...); ..."."""
    counts = Counter((row.source, row.label) for row in rows)
    parts = []
    for name in sorted({name for name, _ in counts}):
        kinds = [f"{counts[name, label]:,} {label}" for label in ("real", "fake") if counts[name, label]]
        parts.append(f"{' and '.join(kinds)} faces of {source(name)}")
    return "; ".join(parts)


def terms_in_words(rows: Iterable[Row]) -> str:
    """What the sources' terms mean for the weights."""
    known = [source(name) for name in sorted({row.source for row in rows})]
    terms = "; ".join(f"{each.title}: {each.terms}" for each in known)
    return f"The weights were trained on data under these terms, which bind their use. {terms}."


def limits_in_words(metrics: Iterable[Metric], skill: str, badge: Thresholds) -> tuple[str, ...]:
    """Sentences for the page; the measured false alarms and misses among them.

    Args:
        metrics: of the whole validation half first, then by source.
        skill: what it was trained to see, in a few words.
        badge: where the badge says fake and real.
    """
    first: dict[tuple[str, float | None], Metric] = {}
    for metric in metrics:
        first.setdefault((metric.name, metric.threshold), metric)

    def counted_from(threshold: float) -> str:
        alarms, recall = first["false_alarm_rate", threshold], first["recall", threshold]
        return f"{alarms.value:.0%} of the real faces and misses {1 - recall.value:.0%} of the fake ones"

    taken = first["taken_for_real", badge.real_enter].value
    measured = (
        f"Measured on single pictures it had not seen: from {badge.fake_enter:g} on, where the badge says fake, it "
        f"calls fake {counted_from(badge.fake_enter)}; up to {badge.real_enter:g}, where the badge says real, lie "
        f"{taken:.1%} of the fake ones. Counted from {COUNTED_FROM:g} on, it calls fake {counted_from(COUNTED_FROM)}. "
        "The badge joins many pictures, which steadies the answer but does not remove a bias against one face, camera "
        "or light."
    )
    return (f"Trained on {skill}.", *_LIMITS[:1], measured, *_LIMITS[1:])


def trained_card(  # noqa: PLR0913 - a card has so many parts
    *,
    name: str,
    recipe: Recipe,
    command: str,
    crop: CropPolicy,
    rows: tuple[Row, ...],
    calibration: Calibration,
    thresholds: Thresholds,
    metrics: tuple[Metric, ...],
) -> Card:
    """The card of a model that this project trained, its sha256 sums still open.

    Args:
        name: of the bundle.
        recipe: every number of its training.
        command: that trains it again.
        crop: how its faces were cut.
        rows: what it was trained on.
        calibration: of its raw scores.
        thresholds: of the calibrated ones.
        metrics: measured after calibration.
    """
    fakes = Counter(row.source for row in rows if row.label == "fake")
    architecture, blended = recipe.architecture, recipe.blended > 0
    skills = [str(source(name)) for name in sorted(fakes)] + [_BLENDED] * blended
    mostly = (fakes or Counter(row.source for row in rows)).most_common(1)[0][0]
    return Card(
        name=name,
        title=f"{architecture.capitalize()}, trained by this project on {source(mostly).title}",
        version="1",
        architecture=architecture,
        input=architecture_named(architecture).input(crop.wh),
        crop=Crop(centre=crop.centre, side=crop.side, side_factor=crop.side_factor, upright=crop.upright),
        output=Output(means="fake", index=architecture_named(architecture).fake_output),
        calibration=calibration,
        thresholds=thresholds,
        training=Training(
            data="; ".join([data_in_words(rows)] + [_BLENDED] * blended),
            terms=terms_in_words(rows),
            recipe=command,
            never_shown=_NEVER_SHOWN,
        ),
        limits=limits_in_words(metrics, " and ".join(skills), thresholds),
        metrics=metrics,
        sha256={},
    )
