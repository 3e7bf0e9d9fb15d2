"""Bodies of the history of a camera: scores and states."""

from pydantic import Field

from stream_detect.api.schemas.body import Body, Share
from stream_detect.api.schemas.cameras import StateBody
from stream_detect.types import VerdictState

ScoreRow = tuple[int, Share | None, Share | None, Share | None, VerdictState]
"""at_s, low, mean, high, state: short, since a day has many."""


class ScoresBody(Body):
    """Scores of a camera, oldest first."""

    step_s: int
    items: tuple[ScoreRow, ...] = Field(description="[at_s, low, mean, high, state]")


class StatesBody(Body):
    """States that a camera entered, oldest first, with the one in force at the beginning."""

    items: tuple[StateBody, ...]
