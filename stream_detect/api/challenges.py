"""Routes of challenges, of live checks and of cameras: start, read and stop one."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from stream_detect.analysis.challenge_control import ChallengeActions
from stream_detect.api.parameters import Name, Responses, user_of
from stream_detect.api.schemas.challenge import ChallengeBody
from stream_detect.errors import NotFoundError

_STARTED: Responses = {
    404: {"description": "no such stream"},
    409: {"description": "a challenge is running already, or the camera is not live"},
}
_ABSENT: Responses = {404: {"description": "no such stream, or no challenge was started"}}


def of_checks(find: Callable[[str], ChallengeActions]) -> APIRouter:
    """The routes of live checks.

    Args:
        find: the challenge of a session, by its id.
    """
    routes = APIRouter(prefix="/webrtc/check/{session_id}/challenge", tags=["live check"])

    @routes.post("", status_code=201, responses=_STARTED)
    def start(request: Request, session_id: Annotated[str, Path(max_length=64)]) -> ChallengeBody:
        """Begins a challenge of the largest face: movements at random, to be followed in time."""
        return ChallengeBody.of(find(session_id).start(user_of(request)))

    @routes.get("", responses=_ABSENT)
    def show(session_id: Annotated[str, Path(max_length=64)]) -> ChallengeBody:
        """The newest challenge as it stands."""
        return _shown(find(session_id))

    @routes.delete("", status_code=204, response_class=Response, responses=_ABSENT)
    def stop(session_id: Annotated[str, Path(max_length=64)]) -> None:
        """Stops the running challenge, or forgets one that has ended."""
        find(session_id).stop()

    return routes


def of_cameras(find: Callable[[str], ChallengeActions]) -> APIRouter:
    """The routes of cameras.

    Args:
        find: the challenge of a camera, by its name.
    """
    routes = APIRouter(prefix="/api/cameras/{name}/challenge", tags=["cameras"])

    @routes.post("", status_code=201, responses=_STARTED)
    def start(request: Request, name: Name) -> ChallengeBody:
        """Begins a challenge of the largest face: movements at random, to be followed in time."""
        return ChallengeBody.of(find(name).start(user_of(request)))

    @routes.get("", responses=_ABSENT | _STARTED)
    def show(name: Name) -> ChallengeBody:
        """The newest challenge as it stands."""
        return _shown(find(name))

    @routes.delete("", status_code=204, response_class=Response, responses=_ABSENT | _STARTED)
    def stop(name: Name) -> None:
        """Stops the running challenge, or forgets one that has ended."""
        find(name).stop()

    return routes


def _shown(challenge: ChallengeActions) -> ChallengeBody:
    record = challenge.record
    if record is None:
        raise NotFoundError("no challenge was started")
    return ChallengeBody.of(record)
