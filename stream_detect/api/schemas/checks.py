"""Bodies of challenges, which also appear in results on the data channel, and of the records of checks."""

from typing import Self

from pydantic import Field

from stream_detect.api.schemas import Body, Share
from stream_detect.api.schemas.events import EventJudgeBody
from stream_detect.challenge_record import ChallengeRecord, ChallengeState, Movement
from stream_detect.storage.checks import CheckRecord
from stream_detect.types import VerdictState


class StandingPromptBody(Body):
    """The current prompt."""

    prompt: Movement
    number: int = Field(description="number of the prompt, from 1")
    of: int = Field(description="total number of prompts")
    seconds_left: float


class PromptOutcomeBody(Body):
    """The outcome of a past prompt."""

    prompt: Movement
    followed: bool
    seen: Movement | None = Field(
        description="the first movement after the prompt, which decides; null if none was made in time"
    )
    took_s: float | None = Field(description="seconds from the prompt to the start of that movement")
    score_mean: float | None = Field(description="mean fake_probability of the face during the prompt, 1 = fake")
    score_max: float | None


class ChallengeBody(Body):
    """A challenge in its current state. A passed challenge shows only that the video is live and not a recording."""

    id: str
    state: ChallengeState
    reason: str | None = Field(description="why the challenge failed or was stopped")
    prompts: tuple[Movement, ...] = Field(description="prompts shown so far")
    now: StandingPromptBody | None = Field(
        description="the current prompt; null: look straight at the camera and hold still"
    )
    done: tuple[PromptOutcomeBody, ...]
    score_outside_mean: float | None = Field(description="mean fake_probability of the face outside the prompts")
    score_outside_max: float | None

    @classmethod
    def of(cls, record: ChallengeRecord) -> Self:
        """The body of a record."""
        return cls.model_validate(record.value())


class CheckBody(Body):
    """An ended check. No frames and no faces of a check are stored."""

    id: str
    camera: str | None = Field(description="the camera in front of which a challenge ran; null: a live check")
    who: str = Field(description="name of the user who started the check; empty if unknown")
    began_s: float
    ended_s: float
    source_label: str = Field(description="the camera's name on the client's system; empty if not given")
    virtual_camera: str | None = Field(
        description="the virtual camera program that this name suggests; a hint that does not affect the verdict"
    )
    state: VerdictState | None = Field(description="state of the last verdict; null: there was none")
    reason: str = Field(description="reason for that verdict, or why there was none; may be empty")
    fake_probability: Share | None
    model: EventJudgeBody | None = Field(description="the model that judged, with its thresholds at that time")
    challenges: tuple[ChallengeBody, ...] = Field(description="the last challenges that ended, oldest first")
    challenges_ended: int = Field(description="number of challenges that ended, including those not listed")

    @classmethod
    def of(cls, record: CheckRecord) -> Self:
        """The body of a record."""
        return cls(
            id=record.id,
            camera=record.camera,
            who=record.who,
            began_s=record.began_s,
            ended_s=record.ended_s,
            source_label=record.source_label,
            virtual_camera=record.virtual_camera or None,
            state=record.state,
            reason=record.reason,
            fake_probability=None if record.fake_probability is None else round(record.fake_probability, 4),
            model=EventJudgeBody.of(record.judge) if record.judge else None,
            challenges=tuple(map(ChallengeBody.of, record.challenges)),
            challenges_ended=record.challenges_ended,
        )


class ChecksBody(Body):
    """A page of checks, newest first."""

    items: tuple[CheckBody, ...]
    next: str | None = Field(description="value of `cursor` for the next page; null on the last")
