"""The summary of an evaluation, shown by its JSON file, its tables and its report."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from stream_detect.evaluation.bootstrap import Estimate
from stream_detect.evaluation.dataset import Row, row_of
from stream_detect.evaluation.figures import (
    FamilyFigures,
    Figures,
    RealSourceFigures,
    by_family,
    by_real_source,
    figures,
)
from stream_detect.evaluation.judge import Outcome
from stream_detect.evaluation.metrics import COUNTED_FROM
from stream_detect.evaluation.scored import Scored
from stream_detect.types import Thresholds

SCHEMA = 2
"""Increased when a key of the JSON file is renamed or removed, or changes its meaning."""

Level = Literal["image", "frame", "video"]
_LEVELS: tuple[Level, ...] = ("image", "frame", "video")
_FILES: tuple[Level, ...] = ("image", "video")


@dataclass(frozen=True, slots=True)
class Contestant:
    """A measured model.

    Args:
        name: name of its bundle.
        title: title on its card.
        version: version on its card.
        sha256: sha256 of the served weights.
        threshold: fake_probability from which its badge says fake.
        real_enter: fake_probability up to which its badge says real.
        terms: terms of use on its card.
    """

    name: str
    title: str
    version: str
    sha256: str
    threshold: float
    real_enter: float
    terms: str

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Thresholds of the figures: .5, and that from which its badge says fake."""
        return tuple(sorted({COUNTED_FROM, self.threshold}))


@dataclass(frozen=True, slots=True)
class FileCounts:
    """Number of files.

    Args:
        files: number of files of this kind.
        judged: files with a fake_probability.
        crops_themselves: of these, files in which no face was found again, so that the crop itself was judged.
        unusable: other files, by reason.
        alarms: times at which the badge turned to FAKE in real videos.
        real_s: stream time of the real videos.
    """

    files: int
    judged: int
    crops_themselves: int
    unusable: dict[str, int]
    alarms: int
    real_s: float


@dataclass(frozen=True, slots=True)
class SetFigures:
    """Figures of one model on one set at one level.

    Args:
        model: name of the model.
        level: image; frame = each scored frame of the videos; video = one score each.
        set: value of the column in `by`; None for all together.
        counts: number of files.
        figures: None if nothing was judged.
    """

    model: str
    level: Level
    set: str | None
    counts: FileCounts
    figures: Figures | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be read."""

    row: int
    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Robustness:
    """Figures of one model under one condition; changes are relative to the same files unmodified.

    Args:
        model: name of the model.
        level: image or video.
        condition: name of the condition; "as it is" first.
        judged: number of files with a fake_probability.
        files: number of files.
        auc: AUC with its interval.
        auc_change: AUC minus that of the unmodified files.
        false_alarm_rate: of the real files, at the model's own threshold.
        false_alarm_change: false_alarm_rate minus that of the unmodified files.
        recall: of the fake files, at that threshold.
        recall_change: recall minus that of the unmodified files.
    """

    model: str
    level: Level
    condition: str
    judged: int
    files: int
    auc: Estimate | None
    auc_change: float | None
    false_alarm_rate: Estimate | None
    false_alarm_change: float | None
    recall: Estimate | None
    recall_change: float | None


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """An evaluated manifest.

    Args:
        name: names of its folder and of the file, such as faces2/faces.csv.
        sha256: sha256 of the file.
    """

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What was evaluated.

    Args:
        manifests: the tables of files.
        rows: number of rows used.
        only: selection of rows, e.g. "split=val".
        by: column with the names of sets.
        crops: whether the pictures were already face crops.
    """

    manifests: tuple[ManifestFile, ...]
    rows: int
    only: tuple[str, ...]
    by: str | None
    crops: bool


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """Figures of one model on the fakes of one family or generator, at one level."""

    model: str
    level: Level
    figures: FamilyFigures


@dataclass(frozen=True, slots=True)
class ModelRealSource:
    """Figures of one model on the real items of one source, at one level."""

    model: str
    level: Level
    figures: RealSourceFigures


@dataclass(frozen=True, slots=True)
class Summary:
    """The complete result of an evaluation."""

    subject: Subject
    models: tuple[Contestant, ...]
    unreadable: tuple[Unreadable, ...]
    parts: tuple[SetFigures, ...]
    families: tuple[ModelFamily, ...] = ()
    real_sources: tuple[ModelRealSource, ...] = ()
    robustness: tuple[Robustness, ...] = ()

    def to_json(self) -> str:
        """The JSON file; docs/evaluation.md describes it."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"


def scored(outcomes: Iterable[Outcome], model: int, level: Level, by: str | None) -> Scored:
    """The scores of one model at one level, without unjudged files."""
    rows: list[tuple[float, bool, str, str]] = []
    for outcome in outcomes:
        if outcome.kind != ("image" if level == "image" else "video"):
            continue
        entry, judgement = outcome.entry, outcome.judgements[model]
        one = () if judgement.fake_probability is None else (judgement.fake_probability,)
        part = entry.columns[by] if by else ""
        rows += [(value, entry.fake, part, entry.group) for value in (judgement.frames if level == "frame" else one)]
    columns = tuple(zip(*rows, strict=True)) or ((), (), (), ())
    return Scored(
        np.array(columns[0], np.float64),
        np.array(columns[1], bool),
        np.array(columns[2], str),
        np.array(columns[3], str),
    )


def scored_by_source(outcomes: Iterable[Outcome], model: int, level: Level) -> Scored:
    """The scores of one model at one level, with the source, the family and the generator of each file."""
    rows: list[tuple[float, Row]] = []
    for outcome in outcomes:
        probability = outcome.judgements[model].fake_probability
        if probability is not None and outcome.kind == level:
            rows.append((probability, row_of(outcome.entry, "val")))
    files = [row for _, row in rows]
    return Scored(
        np.array([probability for probability, _ in rows], np.float64),
        np.array([row.label == "fake" for row in files], bool),
        np.array([row.source for row in files], np.str_),
        np.array([row.group for row in files], np.str_),
        np.array([row.family for row in files], np.str_),
        np.array([row.generator for row in files], np.str_),
    )


def families(outcomes: Sequence[Outcome], models: Sequence[Contestant]) -> tuple[ModelFamily, ...]:
    """Figures of every model for every family and generator; empty if the manifest has neither families nor sources."""
    if not any({"family", "source"} & set(outcome.entry.columns) for outcome in outcomes):
        return ()
    return tuple(
        ModelFamily(model.name, level, figures_)
        for index, model in enumerate(models)
        for level in _FILES
        for figures_ in by_family(scored_by_source(outcomes, index, level), _thresholds(model))
    )


def real_sources(outcomes: Sequence[Outcome], models: Sequence[Contestant]) -> tuple[ModelRealSource, ...]:
    """False alarms of every model by source of real files; empty if the manifest has none."""
    if not any("source" in outcome.entry.columns for outcome in outcomes):
        return ()
    return tuple(
        ModelRealSource(model.name, level, figures_)
        for index, model in enumerate(models)
        for level in _FILES
        for figures_ in by_real_source(scored_by_source(outcomes, index, level), _thresholds(model))
    )


def _thresholds(model: Contestant) -> Thresholds:
    middle = (model.threshold + model.real_enter) / 2
    return Thresholds(model.threshold, middle, model.real_enter, middle)


def parts(outcomes: Sequence[Outcome], models: Sequence[Contestant], by: str | None) -> tuple[SetFigures, ...]:
    """Figures of every model at every level, on all sets together and on each."""
    sets = sorted({outcome.entry.columns[by] for outcome in outcomes}) if by else []
    found: list[SetFigures] = []
    for index, model in enumerate(models):
        for level in _LEVELS:
            for name in (None, *sets):
                of = [o for o in outcomes if name is None or (by and o.entry.columns[by] == name)]
                counts = _counts(of, index, level)
                if counts.files:
                    some = scored(of, index, level, by)
                    measured = figures(some, model.thresholds) if len(some.fake) else None
                    found.append(SetFigures(model.name, level, name, counts, measured))
    return tuple(found)


def unreadable(outcomes: Iterable[Outcome]) -> tuple[Unreadable, ...]:
    """Files that could not be read, in the order of the manifest."""
    return tuple(
        Unreadable(o.entry.line, o.entry.file, o.judgements[0].reason) for o in outcomes if o.kind == "unreadable"
    )


def robustness(
    passes: Sequence[tuple[str, Sequence[Outcome]]], models: Sequence[Contestant], level: Level
) -> tuple[Robustness, ...]:
    """The robustness table, model by model.

    Args:
        passes: conditions with their outcomes at one level; the first are the unmodified files.
        models: in the order of the judgements.
        level: image or video.
    """
    table: list[Robustness] = []
    for index, model in enumerate(models):
        measured = [_measured(outcomes, index, model, level) for _, outcomes in passes]
        for (condition, outcomes), seen in zip(passes, measured, strict=True):
            judged = sum(o.judgements[index].fake_probability is not None for o in outcomes)
            table.append(
                Robustness(
                    model=model.name,
                    level=level,
                    condition=condition,
                    judged=judged,
                    files=len(outcomes),
                    auc=seen.auc,
                    auc_change=_change(seen.auc, measured[0].auc),
                    false_alarm_rate=seen.false_alarm_rate,
                    false_alarm_change=_change(seen.false_alarm_rate, measured[0].false_alarm_rate),
                    recall=seen.recall,
                    recall_change=_change(seen.recall, measured[0].recall),
                )
            )
    return tuple(table)


@dataclass(frozen=True, slots=True)
class _Measured:
    """Values that the robustness table compares."""

    auc: Estimate | None = None
    false_alarm_rate: Estimate | None = None
    recall: Estimate | None = None


def _measured(outcomes: Sequence[Outcome], index: int, model: Contestant, level: Level) -> _Measured:
    some = scored(outcomes, index, level, None)
    if not len(some.fake):
        return _Measured()
    seen = figures(some, (model.threshold,))
    return _Measured(seen.auc, seen.at[0].false_alarm_rate, seen.at[0].recall)


def _change(after: Estimate | None, before: Estimate | None) -> float | None:
    return round(after.value - before.value, 4) if after and before else None


def _counts(outcomes: Iterable[Outcome], model: int, level: Level) -> FileCounts:
    of = [o for o in outcomes if o.kind == ("image" if level == "image" else "video")]
    judgements = [o.judgements[model] for o in of]
    real = [o.judgements[model] for o in of if not o.entry.fake]
    reasons = Counter(j.reason for j in judgements if j.fake_probability is None)
    return FileCounts(
        files=len(of),
        judged=sum(j.fake_probability is not None for j in judgements),
        crops_themselves=sum(j.crop_itself for j in judgements),
        unusable=dict(sorted(reasons.items())),
        alarms=sum(j.alarms for j in real),
        real_s=round(sum(j.length_s for j in real), 3),
    )
