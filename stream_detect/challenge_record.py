"""The record of a challenge: its prompts, and how each was followed; shared by all rooms.

Times are in seconds, of stream time or between the arrivals of frames, whichever is longer; every score is a
`fake_probability` in [0, 1], 1 = fake.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class Movement(StrEnum):
    """Movements that a challenge asks for; left and right are the person's own."""

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

    @property
    def is_end(self) -> bool:
        """Whether the challenge is over: passed, failed or stopped."""
        return self in {ChallengeState.PASSED, ChallengeState.FAILED, ChallengeState.STOPPED}


@dataclass(frozen=True, slots=True)
class PromptOutcome:
    """Answer to one prompt of a challenge.

    Args:
        asked: the requested movement.
        seen: the first movement held after the prompt, which decides; None if the time limit was reached.
        took_s: time from the prompt to the start of that movement; None if there was none.
        score_mean: mean fake_probability of the face's scores during the prompt; None if there were none.
        score_max: highest of these scores.
    """

    asked: Movement
    seen: Movement | None
    took_s: float | None
    score_mean: float | None
    score_max: float | None

    @property
    def followed(self) -> bool:
        """Whether the person made the requested movement."""
        return self.seen is self.asked


@dataclass(frozen=True, slots=True)
class StandingPrompt:
    """The current prompt.

    Args:
        asked: the requested movement.
        number: number of the prompt, from 1.
        of: total number of prompts.
        left_s: time left, at least 0, at the newest sample.
    """

    asked: Movement
    number: int
    of: int
    left_s: float


@dataclass(frozen=True, slots=True)
class ChallengeRecord:
    """A challenge at one moment: the prompts so far, and the answers.

    Args:
        challenge_id: unguessable.
        state: current state.
        reason: a sentence for people if the challenge failed or was stopped; otherwise empty.
        now: the current prompt; None before the first, between two, and at the end.
        done: the previous prompts.
        outside_mean: mean fake_probability of the face's scores outside prompts; None if there were none.
        outside_max: highest of these scores.
        by: name of the user who started it; empty if unknown. Not sent to clients.
    """

    challenge_id: str
    state: ChallengeState
    reason: str
    now: StandingPrompt | None
    done: tuple[PromptOutcome, ...]
    outside_mean: float | None
    outside_max: float | None
    by: str = ""

    def value(self) -> dict[str, Any]:
        """The challenge in messages, HTTP responses and the database; plain JSON."""
        asked = [str(outcome.asked) for outcome in self.done]
        return {
            "id": self.challenge_id,
            "state": self.state.value,
            "reason": self.reason or None,
            "prompts": asked if self.now is None else [*asked, str(self.now.asked)],
            "now": None
            if self.now is None
            else {
                "prompt": self.now.asked.value,
                "number": self.now.number,
                "of": self.now.of,
                "seconds_left": round(self.now.left_s, 1),
            },
            "done": [
                {
                    "prompt": outcome.asked.value,
                    "followed": outcome.followed,
                    "seen": None if outcome.seen is None else outcome.seen.value,
                    "took_s": None if outcome.took_s is None else round(outcome.took_s, 2),
                    "score_mean": _share(outcome.score_mean),
                    "score_max": _share(outcome.score_max),
                }
                for outcome in self.done
            ],
            "score_outside_mean": _share(self.outside_mean),
            "score_outside_max": _share(self.outside_max),
        }

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """Restores an ended challenge from its `value`."""
        done = tuple(
            PromptOutcome(
                asked=Movement(one["prompt"]),
                seen=None if one["seen"] is None else Movement(one["seen"]),
                took_s=one["took_s"],
                score_mean=one["score_mean"],
                score_max=one["score_max"],
            )
            for one in value["done"]
        )
        return cls(
            challenge_id=value["id"],
            state=ChallengeState(value["state"]),
            reason=value["reason"] or "",
            now=None,
            done=done,
            outside_mean=value["score_outside_mean"],
            outside_max=value["score_outside_max"],
        )


def _share(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
