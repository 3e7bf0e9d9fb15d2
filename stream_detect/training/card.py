"""The card of a trained model: what it learnt from and what was measured enter, the card with its sentences leaves."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from stream_detect.models.contract import Calibration, Card, Crop, Input, Metric, Output, Training
from stream_detect.training.dataset import Row
from stream_detect.types import CropPolicy


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a collection of faces.

    Args:
        title: its name and what it is.
        terms: under which it may be used.
    """

    title: str
    terms: str


SOURCES = {
    "dfdc": Source(
        "DFDC (DeepFake Detection Challenge, 2019-2020: mostly face swaps in videos)", "research terms of the DFDC"
    ),
    "fairface": Source("FairFace (photos balanced by race and gender)", "CC BY 4.0"),
    "ffhq": Source("FFHQ (portraits)", "CC BY-NC-SA 4.0"),
    "sdfd_sd21": Source("Stable Diffusion 2.1 portraits", "their authors' own terms"),
}
"""The collections that the shipped model learnt from, by their name in faces.csv."""

_NEVER_SHOWN = (
    "talking heads made by diffusion or from one photo (LivePortrait, AniPortrait and the like)",
    "lips moved to another voice",
    "faces made by GANs",
    "masks, make-up and filters of video calls",
)
_LIMITS = (
    "It looks at the face in single pictures: it hears no voice and sees no movement.",
    "It knows the kinds of fakes it was trained on; newer or other kinds may look real to it.",
    "Strong compression, blur, make-up filters and unusual light can mislead it in either direction.",
    "Its answer is a hint, not a proof: never take a decision about a person on it alone.",
)


def data_in_words(rows: Iterable[Row]) -> str:
    """The faces of a split, counted by source: "9,465 fake and 9,108 real faces of DFDC; ..."."""
    counts = Counter((row.source, row.label) for row in rows)
    parts = []
    for source in sorted({source for source, _ in counts}):
        kinds = [f"{counts[source, label]:,} {label}" for label in ("real", "fake") if counts[source, label]]
        parts.append(f"{' and '.join(kinds)} faces of {SOURCES[source].title if source in SOURCES else source}")
    return "; ".join(parts)


def terms_in_words(rows: Iterable[Row]) -> str:
    """What the sources' terms mean for the weights."""
    sources = sorted({row.source for row in rows})
    known = [f"{name}: {SOURCES[name].terms if name in SOURCES else 'not known here'}" for name in sources]
    return f"The weights were trained on data under these terms, which bind their use: {'; '.join(known)}."


def limits_in_words(metrics: Iterable[Metric], skill: str) -> tuple[str, ...]:
    """Sentences for the page; the measured false alarms and misses among them.

    Args:
        metrics: of the whole validation half first, then by source.
        skill: what it was trained to see, in a few words.
    """
    first: dict[str, Metric] = {}
    for metric in metrics:
        first.setdefault(metric.name, metric)
    alarms, recall = first["false_alarm_rate"], first["recall"]
    measured = (
        f"Measured on single pictures it had not seen: it called {alarms.value:.0%} of the real faces fake, and missed "
        f"{1 - recall.value:.0%} of the fake ones. The badge joins many pictures, which steadies the answer but does "
        "not remove a bias against one face, camera or light."
    )
    return (f"Trained on {skill}.", *_LIMITS[:1], measured, *_LIMITS[1:])


def trained_card(  # noqa: PLR0913 - a card has so many parts
    *,
    name: str,
    architecture: str,
    crop: CropPolicy,
    rows: tuple[Row, ...],
    calibration: Calibration,
    metrics: tuple[Metric, ...],
    recipe: str,
) -> Card:
    """The card of a model that this project trained, its sha256 sums still open.

    Args:
        name: of the bundle.
        architecture: by name.
        crop: how its faces were cut.
        rows: what it was trained on.
        calibration: of its raw scores.
        metrics: measured after calibration.
        recipe: the command that makes it.
    """
    sources = {row.source for row in rows if row.label == "fake"}
    skill = " and ".join(sorted(SOURCES[source].title if source in SOURCES else source for source in sources))
    return Card(
        name=name,
        title=f"{architecture.capitalize()}, trained by this project on {_short(rows)}",
        version="1",
        architecture=architecture,
        input=Input(width_px=crop.wh[0], height_px=crop.wh[1]),
        crop=Crop(centre=crop.centre, side=crop.side, side_factor=crop.side_factor, upright=crop.upright),
        output=Output(means="fake"),
        calibration=calibration,
        training=Training(
            data=data_in_words(rows), terms=terms_in_words(rows), recipe=recipe, never_shown=_NEVER_SHOWN
        ),
        limits=limits_in_words(metrics, skill),
        metrics=metrics,
        sha256={},
    )


def _short(rows: tuple[Row, ...]) -> str:
    """The source that most faces come from."""
    source = Counter(row.source for row in rows if row.label == "fake").most_common(1)[0][0]
    return SOURCES[source].title.partition(" (")[0] if source in SOURCES else source
