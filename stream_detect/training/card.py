"""Writes the card of a trained model: its data and terms by family, its limits in sentences, and its metrics."""

from collections import Counter
from collections.abc import Iterable

from stream_detect.evaluation.dataset import Row
from stream_detect.evaluation.manifest import source
from stream_detect.evaluation.metrics import COUNTED_FROM
from stream_detect.models.card import (
    Card,
    Crop,
    Metric,
    Output,
    PlattScaling,
    Training,
    TrainingSource,
    WindowThresholds,
)
from stream_detect.training.architectures import architecture_named
from stream_detect.training.recipe import Recipe
from stream_detect.types import CropPolicy

_TITLES = {"efficientnet_lite0": "EfficientNet-Lite0", "mesoinception4": "MesoInception-4"}
"""Titles of architectures whose names differ from their spelling."""
_FAMILIES = {
    "dfdc": "face swaps of the DeepFake Detection Challenge",
    "swap": "face swaps (DeepFaceLive, DreamID and the like)",
    "reenact": "faces that another person or a voice moves (SadTalker, VASA-1 and the like)",
    "gan": "faces made by GANs (StyleGAN and the like)",
    "diffusion": "faces made by diffusion (Stable Diffusion, FLUX and the like)",
    "edit": "faces changed in part by inpainting",
}
"""Known families of fakes, in words for a card."""
_NEVER_SHOWN = ("lips moved to another voice in a real video", "masks, make-up and filters of video calls")
"""Kinds of fakes of which no collection has any."""
_BLENDED = "fakes made by blending a changed copy of a real face into itself"
_LIMITS = (
    "It looks at the face in single frames: it hears no voice and sees no movement.",
    "It knows the kinds of fakes it was trained on; newer or other kinds may look real to it.",
    "Strong compression, blur, make-up filters and unusual light can mislead it in either direction.",
    "Its answer is a hint, not a proof: never base a decision about a person on it alone.",
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
    """The terms of the weights that follow from the sources: every licence once, with its sources."""
    by_terms: dict[str, list[str]] = {}
    for name, known in sorted({(row.source, row.terms) for row in rows}):
        by_terms.setdefault(known, []).append(source(name).title)
    terms = "; ".join(f"{', '.join(titles)}: {known}" for known, titles in by_terms.items())
    return f"The weights were trained on data under these terms, which bind their use. {terms}."


def training_sources(rows: Iterable[Row]) -> tuple[TrainingSource, ...]:
    """The faces by source and family, each with its licence."""
    counts = Counter((row.source, row.family, row.terms) for row in rows)
    return tuple(
        TrainingSource(source=name, title=source(name).title, family=family, faces=n, terms=terms)
        for (name, family, terms), n in sorted(counts.items())
    )


def never_shown(rows: Iterable[Row]) -> tuple[str, ...]:
    """Known kinds of fakes that are missing in these faces."""
    shown = {row.family for row in rows}
    return (*(what for family, what in _FAMILIES.items() if family not in shown), *_NEVER_SHOWN)


def limits_in_words(metrics: Iterable[Metric], skill: str, badge: WindowThresholds) -> tuple[str, ...]:
    """Sentences for the page, including the measured false alarms and misses.

    Args:
        metrics: those of the whole validation half first, then by family and source.
        skill: what it was trained to detect, in a few words; kinds are separated by semicolons.
        badge: thresholds of the badge.
    """
    first: dict[tuple[str, float | None], Metric] = {}
    for metric in metrics:
        first.setdefault((metric.name, metric.threshold), metric)

    def errors_at(threshold: float) -> str:
        alarms, recall = first["false_alarm_rate", threshold], first["recall", threshold]
        return f"it calls {alarms.value:.1%} of the real faces fake and misses {1 - recall.value:.0%} of the fakes"

    taken = first["taken_for_real", badge.real_enter].value
    measured = (
        f"Measured on single frames it had not seen: at {badge.fake_enter:g}, where the badge says fake, "
        f"{errors_at(badge.fake_enter)}; {taken:.1%} of the fakes score {badge.real_enter:g} or less, where the badge "
        f"says real. At {COUNTED_FROM:g}, {errors_at(COUNTED_FROM)}. The badge combines many frames, which steadies "
        "the answer but does not remove a bias against a face, a camera or a kind of light."
    )
    return (f"Trained on {skill}.", *_LIMITS[:1], measured, *_window_in_words(first, badge), *_LIMITS[1:])


def draft_card(name: str, recipe: Recipe, command: str, crop: CropPolicy) -> Card:
    """The card of a model trained by this project, without measurements and sha256 sums.

    Args:
        name: of the bundle.
        recipe: parameters of its training.
        command: command that trains it again.
        crop: crop policy of its faces.
    """
    known = architecture_named(recipe.architecture)
    return Card(
        name=name,
        title=f"{_TITLES.get(known.name, known.name.capitalize())}, trained by this project",
        version="1",
        architecture=known.name,
        input=known.input(crop.wh),
        crop=Crop(centre=crop.centre, side=crop.side, side_factor=crop.side_factor, upright=crop.upright),
        output=Output(means="fake", index=known.fake_output),
        training=Training(data="not known yet", terms="not known yet", recipe=command),
        limits=("Not measured yet.",),
        sha256={},
    )


def trained_card(  # noqa: PLR0913 - a card has so many parts
    draft: Card,
    *,
    recipe: Recipe,
    rows: tuple[Row, ...],
    calibration: PlattScaling,
    thresholds: WindowThresholds,
    metrics: tuple[Metric, ...],
) -> Card:
    """The complete card of a model trained by this project.

    Args:
        draft: from `draft_card`.
        recipe: parameters of its training.
        rows: training data.
        calibration: calibration of its raw scores.
        thresholds: thresholds of the window.
        metrics: measured after calibration.
    """
    made = ([_BLENDED] if recipe.blended < 1 else [f"{_BLENDED}, and no others"]) if recipe.blended else []
    fakes = Counter(row.source for row in rows if row.label == "fake")
    mostly = (fakes or Counter(row.source for row in rows)).most_common(1)[0][0]
    families = sorted({row.family for row in rows if row.label == "fake"})
    skills = [_FAMILIES.get(family, f"fakes of {family}") for family in families] + made[:1]
    trained_on = source(mostly).title if len(fakes) < 2 else f"{source(mostly).title} and {len(fakes) - 1} more"
    return draft.model_copy(
        update={
            "title": f"{draft.title} on {trained_on}",
            "calibration": calibration,
            "thresholds": thresholds,
            "training": Training(
                data="; ".join([data_in_words(rows), *made]),
                sources=training_sources(rows),
                terms=terms_in_words(rows),
                recipe=draft.training.recipe,
                never_shown=never_shown(rows),
            ),
            "limits": limits_in_words(metrics, "; ".join(skills), thresholds),
            "metrics": metrics,
        }
    )


def _window_in_words(first: dict[tuple[str, float | None], Metric], badge: WindowThresholds) -> tuple[str, ...]:
    """What the badge says about people, if it was measured."""
    names = ("window_real_in_5_s", "window_false_alarms", "window_fake_in_10_s", "window_taken_for_real")
    found = [first.get((name, badge.real_enter if "real" in name else badge.fake_enter)) for name in names]
    if None in found:
        return ()
    real, alarms, fake, taken = (metric.value for metric in found if metric is not None)
    said = (
        f"Measured on whole windows: of real people it calls {real:.0%} real within 5 s and {alarms:.1%} fake within "
        f"10 s; of fakes it calls {fake:.0%} fake and {taken:.1%} real within 10 s."
    )
    return (said,)
