"""Chooses the thresholds of the verdict on whole windows, with the window and the verdict that serve.

A verdict is based on the robust mean of ten seconds, so a threshold chosen on single faces would be wrong. The frames
of one person are repeated in turn at the live rate of scores until the window is full. A person with one photo gives a
window of one score, which is harder than a call, whose frames differ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_detect.analysis.verdict import TrackVerdict
from stream_detect.analysis.window import ScoreWindow, WindowSummary
from stream_detect.evaluation.bootstrap import Estimate, share
from stream_detect.evaluation.scored import Scored, balanced_weights
from stream_detect.models.card import WindowThresholds
from stream_detect.settings import WindowSettings
from stream_detect.types import Calibration, Thresholds, VerdictState

FALSE_ALARMS = 0.01
"""Share of real people that may be called fake within a full window, on the calibration half."""
TAKEN_FOR_REAL = 0.03
"""Share of fakes that may be called real within a full window, on the calibration half."""
REAL_WITHIN_S = 5.0
"""Time within which a real person should be called real; a fake has the whole window."""

_FAKE_FROM = tuple(step / 100 for step in range(55, 99))
_REAL_TO = tuple(step / 100 for step in range(45, 1, -1))
"""A window's mean is never below .01 or above .99, because a single score is limited to that."""
_HYSTERESIS = 0.2
"""How far the window's mean must come back before a verdict ends, if the two thresholds are far enough apart."""

RULE = (
    f"fake_enter: the lowest at which at most {FALSE_ALARMS:.0%} of the real people of the calibration half are called "
    f"fake within a full window; real_enter: the highest at which at most {TAKEN_FOR_REAL:.0%} of its fakes are called "
    "real; families and sources are weighted by the square root of their number of groups; each person's frames go in "
    "turn through the window of the server"
)


@dataclass(frozen=True, slots=True)
class Windows:
    """People, each with the summaries of the window at every sample.

    Args:
        courses: for each person, the summary at every sample of a full window.
        people: their label, source, group and family; the probability is that of the full window.
        frames: int (n,), number of different frames of each.
        settings: settings of the window.
    """

    courses: tuple[tuple[WindowSummary, ...], ...]
    people: Scored
    frames: NDArray[np.int64]
    settings: WindowSettings

    def where(self, chosen: NDArray[np.bool_]) -> "Windows":
        """The chosen people."""
        courses = tuple(course for course, taken in zip(self.courses, chosen, strict=True) if taken)
        return Windows(courses, self.people.where(chosen), self.frames[chosen], self.settings)


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """Correct and wrong answers of the badge about people.

    Args:
        real: number of real people.
        fake: number of fakes.
        real_in_5_s: share of real people called real within 5 s; None without real people.
        false_alarms: share of real people called fake within a full window; None without real people.
        fake_in_10_s: share of the fakes called fake within a full window; None without fakes.
        taken_for_real: share of the fakes called real within a full window; None without fakes.
    """

    real: int
    fake: int
    real_in_5_s: Estimate | None
    false_alarms: Estimate | None
    fake_in_10_s: Estimate | None
    taken_for_real: Estimate | None


def windows_of(scored: Scored, settings: WindowSettings) -> Windows:
    """Makes a window for each person: the faces of one group with one label and generator, in order.

    Args:
        scored: calibrated scores of faces.
        settings: settings of the window.
    """
    members: dict[tuple[str, ...], list[int]] = {}
    for index in range(len(scored)):
        key = (scored.source[index], scored.group[index], str(scored.fake[index]), scored.generator[index])
        members.setdefault(key, []).append(index)
    raw = Calibration()
    courses = [course([raw.logit(float(scored.probability[i])) for i in each], settings) for each in members.values()]
    firsts = scored.where(np.array([each[0] for each in members.values()], np.intp))
    ends = np.array([steps[-1].fake_probability for steps in courses], np.float64)
    people = Scored(ends, firsts.fake, firsts.source, firsts.group, firsts.family, firsts.generator)
    frames = np.array([len(each) for each in members.values()], np.int64)
    return Windows(tuple(courses), people, frames, settings)


def course(logits: Sequence[float], settings: WindowSettings) -> tuple[WindowSummary, ...]:
    """The summaries of the window at every sample until it is full, with the frames repeated in turn.

    Args:
        logits: calibrated logits of the person's frames; at least one.
        settings: settings of the window.
    """
    n = _samples(settings.length_s, settings)
    window = ScoreWindow(settings.length_s, n)
    steps = []
    for sample in range(n):
        window.add(sample / settings.score_rate_hz, logits[sample % len(logits)])
        steps.append(window.evidence())
    return tuple(steps)


def choose_thresholds(windows: Windows, fitted_on: str) -> WindowThresholds:
    """Chooses the boldest thresholds with which both kinds of error stay rare, by `RULE`.

    If none does, the most cautious one is taken, and the rule on the card says so.

    Args:
        windows: windows of the calibration half.
        fitted_on: description of these people for the card.
    """
    fake = windows.people.fake
    weights = balanced_weights(windows.people)
    span = np.array([_span(steps, windows.settings) for steps in windows.courses]).reshape(-1, 2)
    alarms = {at: _weighed(span[~fake, 1] >= at, weights[~fake]) for at in _FAKE_FROM}
    taken = {at: _weighed(span[fake, 0] <= at, weights[fake]) for at in _REAL_TO}
    fake_enter = next((at for at in _FAKE_FROM if alarms[at] <= FALSE_ALARMS), _FAKE_FROM[-1])
    real_enter = next((at for at in _REAL_TO if taken[at] <= TAKEN_FOR_REAL), _REAL_TO[-1])
    rule = RULE
    if alarms[fake_enter] > FALSE_ALARMS:
        rule += f"; no fake_enter reaches that: even at {fake_enter:g}, {alarms[fake_enter]:.1%} are called fake"
    if taken[real_enter] > TAKEN_FOR_REAL:
        rule += f"; no real_enter reaches that: even at {real_enter:g}, {taken[real_enter]:.1%} are called real"
    hysteresis = min(_HYSTERESIS, math.floor(100 * (fake_enter - real_enter) / 2 + 1e-6) / 100)
    return WindowThresholds(
        fake_enter=fake_enter,
        fake_leave=round(fake_enter - hysteresis, 2),
        real_enter=real_enter,
        real_leave=round(real_enter + hysteresis, 2),
        rule=rule,
        fitted_on=fitted_on,
    )


def window_figures(windows: Windows, thresholds: Thresholds) -> WindowFigures:
    """The answers of the badge about these people, with hysteresis and dwell of the verdict.

    Args:
        windows: windows not used to choose thresholds.
        thresholds: of the model.
    """
    said = [said_of(steps, thresholds, windows.settings) for steps in windows.courses]
    fake, group = windows.people.fake, windows.people.group
    early = np.array(
        [VerdictState.REAL in states[: _samples(REAL_WITHIN_S, windows.settings)] for states in said], bool
    )
    real, alarm = (np.array([state in states for states in said], bool) for state in (_REAL, _FAKE))
    n_fake = int(fake.sum())
    n_real = len(fake) - n_fake
    return WindowFigures(
        real=n_real,
        fake=n_fake,
        real_in_5_s=share(early[~fake], group[~fake]) if n_real else None,
        false_alarms=share(alarm[~fake], group[~fake]) if n_real else None,
        fake_in_10_s=share(alarm[fake], group[fake]) if n_fake else None,
        taken_for_real=share(real[fake], group[fake]) if n_fake else None,
    )


def said_of(
    steps: Sequence[WindowSummary], thresholds: Thresholds, settings: WindowSettings
) -> tuple[VerdictState, ...]:
    """The state of the verdict at every sample.

    Args:
        steps: summaries of the window.
        thresholds: of the model.
        settings: settings of the window.
    """
    verdict = TrackVerdict(thresholds, settings)
    return tuple(verdict.step(evidence, evidence.newest_s).state for evidence in steps)


_REAL, _FAKE = VerdictState.REAL, VerdictState.FAKE


def _samples(length_s: float, settings: WindowSettings) -> int:
    return int(length_s * settings.score_rate_hz + 1e-6)


def _span(steps: Sequence[WindowSummary], settings: WindowSettings) -> tuple[float, float]:
    """The lowest and the highest fake_probability once there is enough evidence for a verdict."""
    said = [each.fake_probability for each in steps if each.admitted >= settings.min_scores]
    known = [value for value in said if value is not None]
    return min(known), max(known)


def _weighed(hits: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    return float(weights @ hits / weights.sum()) if len(weights) else 0.0
