"""An evaluation: the files of one or more manifests, judged by one or more models, and measured."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.errors import DatasetError
from stream_detect.evaluation.crops import TIGHT_MIN_SCORE
from stream_detect.evaluation.degradation import conditions
from stream_detect.evaluation.judge import Examination, FileJudge, Outcome
from stream_detect.evaluation.manifest import ManifestEntry, Split, read_manifest
from stream_detect.evaluation.media import Files
from stream_detect.evaluation.score_sheet import ScoreSheet
from stream_detect.evaluation.scored import held_out
from stream_detect.evaluation.summary import (
    Contestant,
    Level,
    ManifestFile,
    Robustness,
    Subject,
    Summary,
    families,
    parts,
    real_sources,
    robustness,
    unreadable,
)
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import CARD_FILE, Bundle
from stream_detect.models.registry import Registry
from stream_detect.settings import ModelSettings
from stream_detect.types import Classifier

AS_IT_IS = "as it is"

PICTURES_A_VIDEO = 10
"""One video is degraded per this many pictures, because it takes far longer."""

OnProgress = Callable[[str, int, int], None]
"""Called with the current activity, the number of files done and the total."""


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What to evaluate.

    Args:
        manifest: CSV with file and label.
        root: folder to which its files are relative.
        by: column with the names of sets; None for none.
        only: required values of columns.
        split: the manifests are tables of a training, of which only this split is used; None for all rows.
        held_out: use only groups on which this project's training does not fit calibrations.
        crops: the pictures are already face crops.
        more: further manifests, each with its root.
        threads: number of threads, each with its own detector and classifiers.
        robust: number of pictures for the robustness table, with a tenth as many videos; 0 for no table.
    """

    manifest: Path
    root: Path
    by: str | None = None
    only: Mapping[str, str] | None = None
    split: Split | None = None
    held_out: bool = False
    crops: bool = False
    more: tuple[tuple[Path, Path], ...] = ()
    threads: int = 2
    robust: int = 0

    @property
    def tables(self) -> tuple[tuple[Path, Path], ...]:
        """All manifests, each with its root."""
        return ((self.manifest, self.root), *self.more)


@dataclass(frozen=True, slots=True)
class Entrant:
    """A model with the factory of its classifiers, one per thread."""

    contestant: Contestant
    classifier: Callable[[], Classifier]


def load_entrants(names: Sequence[str], settings: ModelSettings) -> tuple[Entrant, ...]:
    """Loads models by name, or by their bundle's folder, with the backend in the settings.

    Raises:
        BundleError: one is missing or damaged.
        DatasetError: one is named twice.
    """
    registry = Registry.of(settings.folder)
    entrants: dict[str, Entrant] = {}
    for name in names:
        bundle = Bundle.load(Path(name)) if (Path(name) / CARD_FILE).is_file() else registry.load(name)
        card = bundle.card
        if card.name in entrants:
            raise DatasetError(f"expected different models, received {card.name} twice")
        contestant = Contestant(
            card.name,
            card.title,
            card.version,
            bundle.sha256,
            card.thresholds.fake_enter,
            card.thresholds.real_enter,
            card.training.terms,
        )
        entrants[card.name] = Entrant(
            contestant, load_model(bundle, settings.backend, 1, settings.precision).classifier
        )
    return tuple(entrants.values())


def evaluate(
    plan: EvaluationPlan,
    entrants: Sequence[Entrant],
    settings: AnalysisSettings,
    scores: Path | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Summary, tuple[Outcome, ...]]:
    """Judges every file of a manifest with every model, and measures the models.

    Args:
        plan: the plan.
        entrants: the models.
        settings: settings of the analysis.
        scores: CSV file for the scores, written row by row.
        on_progress: called after each file with the current activity, the number of files done and the total.

    Raises:
        DatasetError: the manifest is invalid, or none of its files can be read.
        AnalysisError: the detector or a model failed.
    """
    entries = _entries(plan)
    models = tuple(entrant.contestant for entrant in entrants)
    examination = _examination(plan, entrants, settings)
    notify = on_progress or _silent
    outcomes: list[Outcome] = []
    with ScoreSheet(scores, [model.name for model in models]) as sheet:
        for outcome in examination.run(entries):
            outcomes.append(outcome)
            sheet.add(outcome)
            notify("judging", len(outcomes), len(entries))
    _check_readable(outcomes, plan)
    table = _robustness(plan, examination, outcomes, models, notify)
    summary = Summary(
        subject=Subject(
            manifests=tuple(_manifest(manifest) for manifest, _ in plan.tables),
            rows=len(entries),
            only=_only(plan),
            by=plan.by,
            crops=plan.crops,
        ),
        models=models,
        unreadable=unreadable(outcomes),
        parts=parts(outcomes, models, plan.by),
        families=families(outcomes, models),
        real_sources=real_sources(outcomes, models),
        robustness=table,
    )
    return summary, tuple(outcomes)


def _only(plan: EvaluationPlan) -> tuple[str, ...]:
    """Which rows are used, in words."""
    columns = ({"split": plan.split} if plan.split else {}) | dict(plan.only or {})
    return (*(f"{name}={value}" for name, value in columns.items()), *(["held-out groups"] if plan.held_out else []))


def _silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""


def _entries(plan: EvaluationPlan) -> tuple[ManifestEntry, ...]:
    """The rows of all manifests, each with the number of its manifest."""
    read = [read_manifest(manifest, plan.only or {}, plan.by, plan.split) for manifest, _ in plan.tables]
    entries = tuple(replace(entry, table=number) for number, some in enumerate(read) for entry in some)
    if not plan.held_out:
        return entries
    chosen = tuple(entry for entry in entries if held_out(entry.group))
    if len({entry.fake for entry in chosen}) < 2:
        names = " and ".join(str(manifest) for manifest, _ in plan.tables)
        raise DatasetError(f"expected real and fake files in the held-out groups of {names}, received one kind only")
    return chosen


def _manifest(file: Path) -> ManifestFile:
    return ManifestFile(f"{file.absolute().parent.name}/{file.name}", hashlib.sha256(file.read_bytes()).hexdigest())


def _examination(plan: EvaluationPlan, entrants: Sequence[Entrant], settings: AnalysisSettings) -> Examination:
    faces = settings.faces
    whole = BlazeFace(faces.detector, faces.min_score, faces.max_faces)
    tight = BlazeFace("full", TIGHT_MIN_SCORE, faces.max_faces)
    judges = [
        FileJudge(whole.sibling(), tight.sibling(), [entrant.classifier() for entrant in entrants], settings)
        for _ in range(plan.threads)
    ]
    files = [Files(root) for _, root in plan.tables]
    return Examination(files, judges, len(entrants), crops=plan.crops, rate_hz=faces.rate_hz)


def _check_readable(outcomes: Sequence[Outcome], plan: EvaluationPlan) -> None:
    if all(outcome.kind == "unreadable" for outcome in outcomes):
        first = outcomes[0]
        raise DatasetError(
            f"expected files below {plan.root}, but none of the {len(outcomes)} could be read; row {first.entry.line} "
            f"of {plan.manifest}, {first.entry.file}: {first.judgements[0].reason}; correct --root"
        )


def _robustness(
    plan: EvaluationPlan,
    examination: Examination,
    outcomes: Sequence[Outcome],
    models: tuple[Contestant, ...],
    on_progress: OnProgress,
) -> tuple[Robustness, ...]:
    table: list[Robustness] = []
    videos = math.ceil(plan.robust / PICTURES_A_VIDEO)
    wanted: tuple[tuple[Level, int], ...] = (("image", plan.robust), ("video", videos))
    for level, n in wanted:
        clean = _chosen([outcome for outcome in outcomes if outcome.kind == level], n)
        if clean:
            passes = [(AS_IT_IS, clean), *_worsened(examination, clean, on_progress)]
            table += robustness(passes, models, level)
    return tuple(table)


def _worsened(
    examination: Examination, clean: Sequence[Outcome], on_progress: OnProgress
) -> Iterator[tuple[str, list[Outcome]]]:
    entries = [outcome.entry for outcome in clean]
    rows = conditions()
    for number, condition in enumerate(rows):
        worse: list[Outcome] = []
        for outcome in examination.run(entries, condition):
            worse.append(outcome)
            done = number * len(entries) + len(worse)
            on_progress(f"{clean[0].kind}s, {condition.name}", done, len(rows) * len(entries))
        yield condition.name, worse


def _chosen(outcomes: Iterable[Outcome], n: int) -> list[Outcome]:
    """Chooses that many files, half of them real if possible, in the order of the manifest; always the same ones."""

    def lot(outcome: Outcome) -> bytes:
        return hashlib.sha256(outcome.entry.file.encode()).digest()

    drawn = sorted(outcomes, key=lot)
    real = [outcome for outcome in drawn if not outcome.entry.fake]
    fake = [outcome for outcome in drawn if outcome.entry.fake]
    reals = min(len(real), max(n - n // 2, n - len(fake)))
    return sorted([*real[:reals], *fake[: n - reals]], key=lambda outcome: outcome.entry.line)
