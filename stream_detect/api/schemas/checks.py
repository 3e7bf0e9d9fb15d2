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
    number: int = Field(description="of the prompt, from 1")
    of: int = Field(description="how many prompts there are in all")
    seconds_left: float


class PromptOutcomeBody(Body):
    """A past prompt, answered or not in time."""

    prompt: Movement
    followed: bool
    seen: Movement | None = Field(description="the first movement after the prompt, which decides; null: none in time")
    took_s: float | None = Field(description="from the prompt to the begin of that movement")
    score_mean: float | None = Field(description="fake_probability of the face meanwhile, 1 = fake")
    score_max: float | None


class ChallengeBody(Body):
    """A challenge at one moment. If passed, it shows that the video is live and not a recording, and nothing more."""

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


class CheckBody(Body):
    """An ended check. No picture and no face of it is stored."""

    id: str
    camera: str | None = Field(description="whose person was challenged; null: a live check")
    who: str = Field(description="name of the user who began it; empty where nobody signs in")
    began_s: float
    ended_s: float
    source_label: str = Field(description="the name that the client's system gives its camera; empty: none was given")
    virtual_camera: str | None = Field(
        description="the program that makes the picture, by that name: a hint, and no part of the verdict"
    )
    state: VerdictState | None = Field(description="of the newest verdict; null: nothing was analysed")
    reason: str
    fake_probability: Share | None
    model: EventJudgeBody | None = Field(description="that judged, with the thresholds that held then")
    challenges: tuple[ChallengeBody, ...] = Field(description="the newest that ended, the oldest of them first")
    challenges_ended: int = Field(description="how many there were")

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
    next: str | None = Field(description="cursor of the next page; null on the last")
