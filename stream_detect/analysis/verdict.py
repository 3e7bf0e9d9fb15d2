"""Decides the state of a face and of a stream from the scores in the window, with a reason that a person can read.

    gathering ──enough evidence──> real | uncertain | fake      the first time at once, later after the dwell
    real <──> uncertain <──> fake,  real <──> fake              by the thresholds' hysteresis, after the dwell
    real | uncertain | fake ──evidence lost──> gathering        at once: no verdict without evidence

`no_face` is a stream's state, never a track's.
"""

import math
from collections.abc import Sequence

from stream_detect.analysis.window import WindowSummary
from stream_detect.settings import WindowSettings
from stream_detect.types import Thresholds, Verdict, VerdictState

SEVERITY = (VerdictState.FAKE, VerdictState.UNCERTAIN, VerdictState.GATHERING, VerdictState.REAL)
"""Worst first. `real` is last: the stream is shown as real only if every face in it was judged real."""


def next_state(state: VerdictState, fake_probability: float, thresholds: Thresholds) -> VerdictState:
    """The next state by hysteresis alone.

    Args:
        state: the current one; unless it is `real` or `fake`, only the enter thresholds count.
        fake_probability: of the window, in [0, 1].
        thresholds: at which the states are entered and left.
    """
    if state is VerdictState.FAKE and fake_probability >= thresholds.fake_leave:
        return VerdictState.FAKE
    if state is VerdictState.REAL and fake_probability <= thresholds.real_leave:
        return VerdictState.REAL
    if fake_probability >= thresholds.fake_enter:
        return VerdictState.FAKE
    if fake_probability <= thresholds.real_enter:
        return VerdictState.REAL
    return VerdictState.UNCERTAIN


class TrackVerdict:
    """The verdict of one face track, from sample to sample.

    Args:
        thresholds: of the model.
        settings: minimum evidence, dwell and expiry.
        after_cut: another face was at this position before; mentioned until there is a verdict.
    """

    def __init__(self, thresholds: Thresholds, settings: WindowSettings, *, after_cut: bool = False) -> None:
        self._since = " since the picture changed" if after_cut else ""
        self._thresholds = thresholds
        self._needed = settings.min_scores
        self._min_dwell_s = settings.min_dwell_s
        self._expire_s = settings.expire_s
        self._state = VerdictState.GATHERING
        self._changed_s = -math.inf

    def unchanged_s(self, now_s: float) -> float:
        """How long the verdict has been the same, in seconds; 0 while there is none."""
        return 0.0 if self._state is VerdictState.GATHERING else now_s - self._changed_s

    def step(self, evidence: WindowSummary, now_s: float, rejected: str | None = None) -> Verdict:
        """The verdict at a stream time.

        Args:
            evidence: summary of the track's window.
            now_s: stream time, not decreasing from call to call.
            rejected: why the quality gate rejected the newest sample; None if it did not.
        """
        if evidence.admitted < self._needed or now_s - evidence.newest_s > self._expire_s:
            self._move(VerdictState.GATHERING, now_s)
        elif evidence.fake_probability is not None:
            state = next_state(self._state, evidence.fake_probability, self._thresholds)
            if now_s - self._changed_s >= self._min_dwell_s:
                self._move(state, now_s)
        judged = self._state is not VerdictState.GATHERING
        return Verdict(
            state=self._state,
            reason=self._reason(evidence, rejected),
            fake_probability=evidence.fake_probability if judged else None,
            admitted=evidence.admitted,
            needed=self._needed,
        )

    def _move(self, state: VerdictState, now_s: float) -> None:
        if state is not self._state:
            self._state, self._changed_s = state, now_s

    def _reason(self, evidence: WindowSummary, rejected: str | None) -> str:
        if self._state is VerdictState.GATHERING:
            progress = f"{min(evidence.admitted, self._needed)} of {self._needed} usable frames{self._since}"
            return f"{progress} ({rejected})" if rejected else progress
        disagree = (
            evidence.lowest is not None
            and evidence.highest is not None
            and evidence.lowest <= self._thresholds.real_leave
            and evidence.highest >= self._thresholds.fake_leave
        )
        if self._state is VerdictState.UNCERTAIN:
            return "scores disagree" if disagree else "between the thresholds"
        return f"{'mixed' if disagree else 'steady'} over {evidence.admitted} usable frames"


def stream_verdict(tracks: Sequence[Verdict], needed: int, absent: str) -> Verdict:
    """The verdict of a stream: its worst track's.

    The order is fake, uncertain, gathering, real (`SEVERITY`): one fake face makes the stream fake, and while any face
    has no verdict yet the stream is not called real. Among several tracks in one state, the one with the highest
    fake_probability counts, or, while gathering, the one with the least evidence.

    Args:
        tracks: verdicts of the faces in the frame.
        needed: admitted scores that a verdict needs.
        absent: reason given if there are no faces.
    """
    if not tracks:
        return Verdict(VerdictState.NO_FACE, absent, None, 0, needed)
    worst = min(tracks, key=lambda one: (SEVERITY.index(one.state), -(one.fake_probability or 0.0), one.admitted))
    if len(tracks) == 1:
        return worst
    alike = sum(one.state is worst.state for one in tracks)
    return Verdict(
        state=worst.state,
        reason=f"{alike} of {len(tracks)} faces: {worst.reason}",
        fake_probability=worst.fake_probability,
        admitted=worst.admitted,
        needed=worst.needed,
    )
