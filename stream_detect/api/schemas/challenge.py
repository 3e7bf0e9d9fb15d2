"""The body of a challenge, also part of results on the data channel."""

from typing import Self

from pydantic import Field

from stream_detect.api.schemas.body import Body
from stream_detect.challenge_record import ChallengeRecord, ChallengeState, Movement


class StandingPromptBody(Body):
    """The prompt to be followed now."""

    prompt: Movement
    number: int = Field(description="of the prompt, from 1")
    of: int = Field(description="how many prompts there are in all")
    seconds_left: float


class PromptOutcomeBody(Body):
    """A prompt that was answered, or not in time."""

    prompt: Movement
    followed: bool
    seen: Movement | None = Field(description="the first movement after the prompt, which decides; null: none in time")
    took_s: float | None = Field(description="from the prompt to the begin of that movement")
    score_mean: float | None = Field(description="fake_probability of the face meanwhile, 1 = fake")
    score_max: float | None


class ChallengeBody(Body):
    """A challenge at a moment. Passed, it shows that the picture is live and not a recording, and no more."""

    id: str
    state: ChallengeState
    reason: str | None = Field(description="of one that failed or was stopped, in a sentence")
    prompts: tuple[Movement, ...] = Field(description="those asked so far")
    now: StandingPromptBody | None = Field(description="null: look straight at the camera and hold still")
    done: tuple[PromptOutcomeBody, ...]
    score_outside_mean: float | None = Field(description="fake_probability of the face while no prompt stood")
    score_outside_max: float | None

    @classmethod
    def of(cls, record: ChallengeRecord) -> Self:
        """The body of a record."""
        return cls.model_validate(record.value())
