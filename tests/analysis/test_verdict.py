"""The verdict's state machine: tables of transitions, and invariants for any history."""

import math
from itertools import pairwise

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stream_detect.analysis.verdict import TrackVerdict, next_state, stream_verdict
from stream_detect.analysis.window import ScoreWindow, WindowSummary, probability
from stream_detect.settings import WindowSettings
from stream_detect.types import Thresholds, Verdict, VerdictState

NO_FACE, GATHERING, REAL, UNCERTAIN, FAKE = VerdictState
SETTINGS = WindowSettings(score_rate_hz=5, length_s=10, min_scores=12, min_dwell_s=1, expire_s=3)
THRESHOLDS = Thresholds(fake_enter=0.8, fake_leave=0.6, real_enter=0.2, real_leave=0.4)


def evidence(fake_probability, newest_s=0.0, admitted=12, lowest=None, highest=None):
    lowest = fake_probability if lowest is None else lowest
    highest = fake_probability if highest is None else highest
    return WindowSummary(admitted, newest_s, fake_probability, lowest, highest)


def track_in(state, at_s=-100.0):
    """A track's verdict that reached this state long ago."""
    track = TrackVerdict(THRESHOLDS, SETTINGS)
    start = {FAKE: 0.9, REAL: 0.1, UNCERTAIN: 0.5}
    if state is not GATHERING:
        assert track.step(evidence(start[state], at_s), at_s).state is state
    return track


@pytest.mark.parametrize(
    ("state", "fake_probability", "expected"),
    [
        (GATHERING, 0.80, FAKE),
        (GATHERING, 0.79, UNCERTAIN),
        (GATHERING, 0.21, UNCERTAIN),
        (GATHERING, 0.20, REAL),
        (UNCERTAIN, 0.79, UNCERTAIN),
        (UNCERTAIN, 0.80, FAKE),
        (UNCERTAIN, 0.20, REAL),
        (FAKE, 0.60, FAKE),
        (FAKE, 0.59, UNCERTAIN),
        (FAKE, 0.20, REAL),
        (REAL, 0.40, REAL),
        (REAL, 0.41, UNCERTAIN),
        (REAL, 0.80, FAKE),
    ],
)
def test_hysteresis(state, fake_probability, expected):
    assert next_state(state, fake_probability, THRESHOLDS) is expected
    assert track_in(state).step(evidence(fake_probability), 0.0).state is expected


@pytest.mark.parametrize("state", [REAL, UNCERTAIN, FAKE])
def test_too_little_evidence_returns_to_gathering_at_once(state):
    verdict = track_in(state, at_s=-0.1).step(evidence(0.5, admitted=11), 0.0)
    assert (verdict.state, verdict.fake_probability, verdict.admitted, verdict.needed) == (GATHERING, None, 11, 12)


@pytest.mark.parametrize("state", [REAL, UNCERTAIN, FAKE])
def test_old_evidence_returns_to_gathering(state):
    track = track_in(state, at_s=0.0)
    start = {FAKE: 0.9, REAL: 0.1, UNCERTAIN: 0.5}[state]
    assert track.step(evidence(start), 3.0).state is state
    assert track.step(evidence(start), 3.1).state is GATHERING


def test_the_first_verdict_does_not_wait_and_the_next_one_dwells():
    track = TrackVerdict(THRESHOLDS, SETTINGS)
    seen = [(0.0, 0.9), (0.9, 0.1), (1.0, 0.1), (1.9, 0.9), (2.0, 0.9)]
    states = [track.step(evidence(p, now_s), now_s).state for now_s, p in seen]
    assert states == [FAKE, FAKE, REAL, REAL, FAKE]


def test_gathering_again_dwells_too_so_that_the_badge_does_not_flicker():
    track = track_in(FAKE)
    assert track.step(evidence(0.9, admitted=11), 0.0).state is GATHERING
    assert track.step(evidence(0.9, admitted=12), 0.2).state is GATHERING
    assert track.step(evidence(0.9, admitted=12, newest_s=1.0), 1.0).state is FAKE


@pytest.mark.parametrize(
    ("state", "given", "rejected", "reason"),
    [
        (GATHERING, evidence(None, admitted=0), None, "0 of 12 usable frames"),
        (GATHERING, evidence(0.9, admitted=5), None, "5 of 12 usable frames"),
        (GATHERING, evidence(0.9, admitted=5), "blurred", "5 of 12 usable frames (blurred)"),
        (UNCERTAIN, evidence(0.5, lowest=0.45, highest=0.55), None, "between the thresholds"),
        (UNCERTAIN, evidence(0.5, lowest=0.1, highest=0.9), None, "scores disagree"),
        (REAL, evidence(0.1, admitted=41), None, "steady over 41 usable frames"),
        (FAKE, evidence(0.7, admitted=41, lowest=0.1, highest=0.99), "blurred", "mixed over 41 usable frames"),
    ],
)
def test_reasons_a_person_can_read(state, given, rejected, reason):
    verdict = track_in(state).step(given, 0.0, rejected)
    assert (verdict.state, verdict.reason) == (state, reason)


def verdict(state, fake_probability=None, admitted=20):
    return Verdict(state, "why", fake_probability, admitted, 12)


@pytest.mark.parametrize(
    ("faces", "state", "reason"),
    [
        ([], NO_FACE, "nobody there"),
        ([verdict(REAL, 0.1)], REAL, "why"),
        ([verdict(REAL, 0.1), verdict(REAL, 0.1)], REAL, "2 of 2 faces: why"),
        ([verdict(REAL, 0.1), verdict(GATHERING)], GATHERING, "1 of 2 faces: why"),
        ([verdict(UNCERTAIN, 0.5), verdict(GATHERING), verdict(REAL, 0.1)], UNCERTAIN, "1 of 3 faces: why"),
        ([verdict(REAL, 0.1), verdict(FAKE, 0.9), verdict(FAKE, 0.8)], FAKE, "2 of 3 faces: why"),
    ],
)
def test_the_stream_says_what_its_worst_face_says(faces, state, reason):
    overall = stream_verdict(faces, 12, "nobody there")
    assert (overall.state, overall.reason) == (state, reason)


def test_of_faces_in_one_state_the_most_suspicious_or_least_known_speaks():
    assert stream_verdict([verdict(FAKE, 0.81), verdict(FAKE, 0.95)], 12, "").fake_probability == 0.95
    assert stream_verdict([verdict(GATHERING, admitted=9), verdict(GATHERING, admitted=3)], 12, "").admitted == 3


class VerdictHistory(RuleBasedStateMachine):
    """Any history of scores, refusals, gaps and pauses, with a window and a verdict driven as in the pipeline."""

    def __init__(self):
        super().__init__()
        self.window = ScoreWindow(SETTINGS.length_s, 200)
        self.track = TrackVerdict(THRESHOLDS, SETTINGS)
        self.now_s = 0.0
        self.scores = {}
        self.verdict = None
        self.changes = []

    def see(self):
        before = self.verdict
        self.window.advance(self.now_s)
        self.verdict = self.track.step(self.window.evidence(), self.now_s)
        if before is not None and before.state is not self.verdict.state:
            self.changes.append((self.now_s, before.state, self.verdict.state))

    @rule(logit=st.floats(-8, 8), count=st.integers(1, 15), step_s=st.sampled_from([0.1, 0.2, 0.5]))
    def score(self, logit, count, step_s):
        for _ in range(count):
            self.now_s += step_s
            self.scores[self.now_s] = logit
            self.window.add(self.now_s, logit)
            self.see()

    @rule(logit=st.floats(-8, 8), back_s=st.floats(0, 20))
    def score_late(self, logit, back_s):
        time_s = self.now_s - back_s
        self.scores.setdefault(time_s, logit)
        self.window.add(time_s, self.scores[time_s])
        self.see()

    @rule(pause_s=st.floats(0, 15))
    def pause(self, pause_s):
        self.now_s += pause_s
        self.window.mark_gap(self.now_s)
        self.see()

    @rule()
    def refuse(self):
        self.now_s += 0.2
        self.window.refuse(self.now_s)
        self.see()

    @rule()
    def forget(self):
        self.window.forget_before(self.now_s)
        self.scores = {time_s: logit for time_s, logit in self.scores.items() if time_s >= self.now_s}
        self.see()

    @invariant()
    @precondition(lambda self: self.verdict is not None)
    def nothing_is_claimed_without_fresh_and_sufficient_evidence(self):
        held = [time_s for time_s in self.scores if self.now_s - time_s <= SETTINGS.length_s]
        assert self.verdict.admitted <= len(held)
        if self.verdict.state in (REAL, UNCERTAIN, FAKE):
            assert len(held) >= SETTINGS.min_scores
            assert self.now_s - max(held) <= SETTINGS.expire_s
        else:
            assert self.verdict.fake_probability is None

    @invariant()
    def the_probability_lies_within_the_scores(self):
        if self.verdict is not None and self.verdict.fake_probability is not None:
            held = [probability(max(-4.5952, min(4.5952, logit))) for logit in self.scores.values()]
            assert min(held) - 1e-4 <= self.verdict.fake_probability <= max(held) + 1e-4

    @invariant()
    def a_state_that_is_entered_stands_for_the_dwell(self):
        for (before_s, _, _), (after_s, _, state) in pairwise(self.changes):
            assert state is GATHERING or after_s - before_s >= SETTINGS.min_dwell_s

    @invariant()
    def fake_and_real_agree_with_the_thresholds_once_they_have_dwelt(self):
        if self.verdict is None or (self.changes and self.now_s - self.changes[-1][0] < SETTINGS.min_dwell_s):
            return
        if self.verdict.state is FAKE:
            assert self.verdict.fake_probability >= THRESHOLDS.fake_leave
        if self.verdict.state is REAL:
            assert self.verdict.fake_probability <= THRESHOLDS.real_leave


VerdictHistory.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
TestVerdictHistory = VerdictHistory.TestCase


@pytest.mark.parametrize("state", [REAL, UNCERTAIN, FAKE])
def test_scores_between_the_thresholds_never_flap(state):
    track = track_in(state)
    between = {REAL: (0.21, 0.39), UNCERTAIN: (0.21, 0.79), FAKE: (0.61, 0.79)}[state]
    states = {track.step(evidence(between[tenth % 2], tenth / 10), tenth / 10).state for tenth in range(300)}
    assert states == {state}


def test_time_before_zero_is_time_like_any_other():
    track = TrackVerdict(THRESHOLDS, SETTINGS)
    assert track.step(evidence(0.9, newest_s=-1e9), -1e9).state is FAKE
    assert math.isfinite(track.step(evidence(0.9, newest_s=-1e9), -1e9 + 1).fake_probability)
