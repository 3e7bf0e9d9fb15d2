"""The metrics of a card: figures of held-out faces and windows, in all and by group; and false alarms per hour."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.pipeline import SideBySide
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.errors import DatasetError
from stream_detect.evaluation.bootstrap import Estimate, share
from stream_detect.evaluation.figures import FamilyFigures, by_family, by_real_source, figures
from stream_detect.evaluation.judge import VideoScores
from stream_detect.evaluation.manifest import source
from stream_detect.evaluation.media import frames, sampled
from stream_detect.evaluation.scored import Scored
from stream_detect.evaluation.windows import Windows, window_figures
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle
from stream_detect.models.card import Metric, WindowThresholds
from stream_detect.types import Thresholds

COUNTED_FROM = 0.5
"""Calibrated fake_probability from which a single face counts as called fake."""

_FEWEST = 20
"""With fewer real faces a rate is meaningless: one alarm would be 5 % and more."""


_FEWEST_FAKES = 10
"""With fewer fakes of a family or a generator, a card states no figures for it."""


def measure(
    scored: Scored,
    threshold: float,
    on: str,
    badge: WindowThresholds = WindowThresholds(),  # noqa: B008 - it is frozen
) -> tuple[Metric, ...]:
    """Computes the figures of single faces.

    Args:
        scored: calibrated scores, not used for the calibration.
        threshold: fake_probability from which a face counts as called fake.
        on: description of the data ("held-out faces").
        badge: thresholds of the badge.

    Returns:
        AUC, accuracy, precision (unless no face is called fake), recall and false-alarm rate; recall, false alarms and
            fakes taken for real at the badge's thresholds; then figures by family and by generator, and false alarms by
            source of real faces.

    Raises:
        DatasetError: there is only one label.
    """
    if not scored.both:
        raise DatasetError("expected real and fake faces to measure on, received one kind only")
    thresholds = Thresholds(badge.fake_enter, badge.fake_leave, badge.real_enter, badge.real_leave)
    found = [each for each in by_family(scored, thresholds) if each.fakes >= _FEWEST_FAKES]
    return (
        *_in_all(scored, threshold, on, badge),
        *(metric for each in found if each.generator is None for metric in _of_family(each, on, badge)),
        *(metric for each in found if each.generator is not None for metric in _of_generator(each, on, badge)),
        *_of_sources(scored, on, thresholds),
    )


def measure_windows(windows: Windows, on: str, badge: WindowThresholds) -> tuple[Metric, ...]:
    """Computes the figures of the badge on whole windows.

    Args:
        windows: windows of people not used to choose thresholds.
        on: description of the people ("held-out people").
        badge: thresholds of the badge.

    Returns:
        Figures of all people, of those known from several frames, and of the fakes of each family.
    """
    thresholds = Thresholds(badge.fake_enter, badge.fake_leave, badge.real_enter, badge.real_leave)
    several = windows.frames > 1
    parts = [(on, "", windows)]
    if several.any() and not several.all():
        parts.append((f"{on} known from several frames", "", windows.where(several)))
    for family in windows.people.families:
        of_family = windows.people.fake & (windows.people.family == family)
        parts.append((f"{on}, family {family}", family, windows.where(of_family)))
    metrics: list[Metric] = []
    for data, family, some in parts:
        seen = window_figures(some, thresholds)
        of_real = (("window_real_in_5_s", seen.real_in_5_s), ("window_false_alarms", seen.false_alarms))
        of_fake = (("window_fake_in_10_s", seen.fake_in_10_s), ("window_taken_for_real", seen.taken_for_real))
        for n, named in ((seen.real, of_real), (seen.fake, of_fake)):
            for name, figure in named:
                at = badge.real_enter if "real" in name else badge.fake_enter
                metrics += [] if figure is None else [_metric(name, figure, n, data, at, family)]
    return tuple(metrics)


def alarms_by_trait(
    scored: Scored, traits: Mapping[str, Mapping[str, str]], on: str, badge: WindowThresholds
) -> tuple[Metric, ...]:
    """Computes false-alarm rates at the badge's threshold by traits of the people: "race" -> "Black".

    Args:
        scored: calibrated scores, not used for the calibration.
        traits: traits by group, each group being a picture of one person.
        on: description of the data.
        badge: thresholds of the badge.

    Returns:
        One metric for each value with enough real faces.
    """
    real = scored.where(~scored.fake)
    names = sorted({name for known in traits.values() for name in known})
    metrics = []
    for name in names:
        has = np.array([traits.get(group, {}).get(name, "") for group in real.group], np.str_)
        for value in sorted(set(has.tolist()) - {""}):
            some = real.where(has == value)
            if len(some) >= _FEWEST:
                at = figures(some, (badge.fake_enter,)).at[0].false_alarm_rate
                data = f"{on}, {name} {value}"
                metrics += [_metric("false_alarm_rate", at, len(some), data, badge.fake_enter)] if at else []
    return tuple(metrics)


def confusion(scored: Scored, threshold: float) -> NDArray[np.int64]:
    """Counts (2, 2): rows are the label (real, fake), columns the answer (real, fake)."""
    said = scored.probability >= threshold
    return np.asarray(confusion_matrix(scored.fake, said, labels=[False, True]), np.int64)


def _in_all(scored: Scored, threshold: float, on: str, badge: WindowThresholds) -> Iterator[Metric]:
    seen = figures(scored, (threshold, badge.fake_enter))
    single, at_badge = seen.at
    n = len(scored)
    named = [
        ("auc", seen.auc, n, None),
        ("accuracy", single.accuracy, n, threshold),
        ("precision", single.precision, n, threshold),
        ("recall", single.recall, seen.fake, threshold),
        ("false_alarm_rate", single.false_alarm_rate, seen.real, threshold),
    ]
    if badge.fake_enter != threshold:
        named += [
            ("recall", at_badge.recall, seen.fake, badge.fake_enter),
            ("false_alarm_rate", at_badge.false_alarm_rate, seen.real, badge.fake_enter),
        ]
    for name, figure, count, at in named:
        if figure is not None:
            yield _metric(name, figure, count, on, at)
    fakes = scored.where(scored.fake)
    taken = share(fakes.probability <= badge.real_enter, fakes.group)
    yield _metric("taken_for_real", taken, len(fakes), on, badge.real_enter)


def _of_family(seen: FamilyFigures, on: str, badge: WindowThresholds) -> Iterator[Metric]:
    data = f"{on}, family {seen.family}"
    yield _metric("auc", seen.auc, seen.fakes, data, None, seen.family)
    if seen.own_auc is not None:
        yield _metric("auc_own_reals", seen.own_auc, seen.fakes, data, None, seen.family)
    yield _metric("recall", seen.recall, seen.fakes, data, badge.fake_enter, seen.family)
    yield _metric("taken_for_real", seen.taken_for_real, seen.fakes, data, badge.real_enter, seen.family)
    yield Metric(name="calibration_error", value=seen.calibration_error, data=data, n=seen.fakes, family=seen.family)


def _of_generator(seen: FamilyFigures, on: str, badge: WindowThresholds) -> Iterator[Metric]:
    made_by = seen.generator or "generators that the table does not name"
    data = f"{on}, family {seen.family}, {made_by}"
    for name, figure, at in (("generator_auc", seen.auc, None), ("generator_recall", seen.recall, badge.fake_enter)):
        yield _metric(name, figure, seen.fakes, data, at, seen.family, seen.generator or "")


def _of_sources(scored: Scored, on: str, thresholds: Thresholds) -> Iterator[Metric]:
    for seen in by_real_source(scored, thresholds):
        if seen.reals >= _FEWEST:
            data = f"{on} of {source(seen.source).title}"
            yield _metric("false_alarm_rate", seen.false_alarms, seen.reals, data, thresholds.fake_enter)


def _metric(  # noqa: PLR0913, PLR0917 - a metric has so many parts
    name: str, figure: Estimate, n: int, data: str, at: float | None, family: str = "", generator: str = ""
) -> Metric:
    return Metric(
        name=name,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        data=data,
        n=n,
        threshold=at,
        family=family,
        generator=generator,
    )


def alarms_an_hour(bundle: Bundle, clips: Sequence[Path]) -> Metric:
    """Counts how often per hour the badge turns to FAKE for real people.

    Every clip is replayed through the server's pipeline, including window and hysteresis: the rate does not follow from
    that of single frames, because the scores of a window are strongly correlated.

    Args:
        bundle: the bundle, with its thresholds.
        clips: videos of real people.

    Raises:
        DatasetError: there is less than a second of video.
        MediaError: one cannot be decoded.
    """
    settings = AnalysisSettings()
    model = load_model(bundle, "openvino")
    finder = BlazeFace(settings.faces.detector, settings.faces.min_score, settings.faces.max_faces)
    alarms, length_s = 0, 0.0
    for clip in clips:
        video = VideoScores(settings.window.min_scores)
        look = SideBySide(finder, (model.classifier(),), settings)
        for frame in sampled(frames(clip), settings.faces.rate_hz):
            (result,) = look.step(frame)
            video.take(result)
        alarms += video.alarms
        length_s += video.length_s
    if not length_s:
        raise DatasetError("expected clips of real people to count false alarms in, received none")
    return Metric(
        name="alarms_an_hour",
        value=round(3600 * alarms / length_s, 2),
        data=f"{len(clips)} real clips replayed through the window",
        n=max(round(length_s), 1),
        threshold=bundle.card.thresholds.fake_enter,
    )
