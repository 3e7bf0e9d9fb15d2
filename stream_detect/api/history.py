"""Routes of the history of a camera: scores by the second or minute, and states."""

import time
from enum import IntEnum
from typing import Annotated, Final

from fastapi import APIRouter, Query

from stream_detect.api.parameters import Name
from stream_detect.api.schemas import ScoresBody, StateBody, StatesBody
from stream_detect.errors import RequestError
from stream_detect.storage.history import History

DAY_S: Final = 86_400.0
SECONDS_UP_TO_S: Final = 3600.0
MAX_ROWS: Final = 100_000
"""Of one answer: a day by the second, two months by the minute."""


class Step(IntEnum):
    """Seconds that a row stands for."""

    SECOND = 1
    MINUTE = 60


From = Annotated[float | None, Query(alias="from", ge=0, description="unix seconds; a day before `to` if not given")]
To = Annotated[float | None, Query(alias="to", ge=0, description="unix seconds; now if not given")]


def router(history: History) -> APIRouter:
    """The routes of what is remembered of cameras, also of those that are no more in the list.

    Args:
        history: what is remembered.
    """
    routes = APIRouter(prefix="/api/cameras", tags=["cameras"])

    @routes.get("/{name}/scores")
    def scores(name: Name, from_s: From = None, to_s: To = None, step: Step | None = None) -> ScoresBody:
        """Scores of a camera, oldest first: by the second up to an hour, else by the minute, or as `step` says."""
        begin_s, end_s = _span(from_s, to_s)
        step_s = step or (Step.SECOND if end_s - begin_s <= SECONDS_UP_TO_S else Step.MINUTE)
        if (end_s - begin_s) / step_s > MAX_ROWS:
            raise RequestError(
                f"expected at most {MAX_ROWS} steps, received a span of {(end_s - begin_s) / step_s:.0f}"
            )
        found = history.scores(name, begin_s, end_s, step_s)
        return ScoresBody(
            step_s=step_s,
            items=tuple((row.at_s, _share(row.low), _share(row.mean), _share(row.high), row.state) for row in found),
        )

    @routes.get("/{name}/states")
    def states(name: Name, from_s: From = None, to_s: To = None) -> StatesBody:
        """States of a camera, oldest first, with the one in force at the beginning."""
        found = history.states(name, *_span(from_s, to_s))
        return StatesBody(items=tuple(StateBody(state=row.state, reason=row.reason, at_s=row.at_s) for row in found))

    return routes


def _span(from_s: float | None, to_s: float | None) -> tuple[float, float]:
    end_s = time.time() if to_s is None else to_s
    begin_s = end_s - DAY_S if from_s is None else from_s
    if begin_s > end_s:
        raise RequestError(f"expected from <= to, received {begin_s:.0f} and {end_s:.0f}")
    return begin_s, end_s


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
