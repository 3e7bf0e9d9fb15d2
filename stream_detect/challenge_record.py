"""The record of a challenge: its prompts, and how each was followed; shared by all rooms.

Times are stream time in seconds; every score is a `fake_probability` in [0, 1], 1 = fake.
"""

from dataclasses import dataclass
from enum import StrEnum


class Movement(StrEnum):
    """What a challenge asks a person for; left and right are the person's own."""

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    LOOK_UP = "look_up"
    COVER_MOUTH = "cover_mouth"
    COVER_EYE = "cover_eye"
    COME_NEARER = "come_nearer"


class ChallengeState(StrEnum):
    """Where a challenge stands.

    baseline ──still and frontal──> running ──all followed──> passed
        └────────────┴──person lost, time out, not followed──> failed        any ──stop──> stopped
    """

    BASELINE = "baseline"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class PromptOutcome:
    """How one prompt of a challenge was answered.

    Args:
        asked: what was asked for.
        seen: the first movement held after the prompt, which decides; None when the time limit was reached.
        took_s: stream time from the prompt to the begin of that movement; None without one.
        score_mean: mean fake_probability of the face's scores while the prompt stood; None without a score.
        score_max: the highest of them.
    """

    asked: Movement
    seen: Movement | None
    took_s: float | None
    score_mean: float | None
    score_max: float | None

    @property
    def followed(self) -> bool:
        """Whether the person did what was asked."""
        return self.seen is self.asked


@dataclass(frozen=True, slots=True)
class StandingPrompt:
    """The prompt that a person is to follow now.

    Args:
        asked: what is asked for.
        number: of the prompt, from 1.
        of: how many prompts there are in all.
        left_s: stream time left, at least 0.
    """

    asked: Movement
    number: int
    of: int
    left_s: float


@dataclass(frozen=True, slots=True)
class ChallengeRecord:
    """A challenge at a moment: what was asked so far, and how it was answered.

    Args:
        challenge_id: unguessable.
        state: where it stands.
        reason: a sentence for people, of a challenge that failed or was stopped; empty otherwise.
        now: the prompt that stands; None before the first, between two, and at the end.
        done: the prompts before it.
        outside_mean: mean fake_probability of the face's scores while no prompt stood; None without a score.
        outside_max: the highest of them.
    """

    challenge_id: str
    state: ChallengeState
    reason: str
    now: StandingPrompt | None
    done: tuple[PromptOutcome, ...]
    outside_mean: float | None
    outside_max: float | None
