"""Routes of checks (docs/protocol.md): live checks, challenges at one or in front of a camera, and records of both."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream_detect.analysis.challenge_control import ChallengeActions
from stream_detect.api.requests import (
    MAX_OFFER_BYTES,
    NO_STORAGE,
    CheckId,
    Name,
    Responses,
    client_of,
    content_type,
    read_body,
    unexpected_content,
    user_of,
)
from stream_detect.api.schemas.checks import ChallengeBody, CheckBody, ChecksBody
from stream_detect.api.signalling import SDP, read_sdp
from stream_detect.errors import NotFoundError, OfferError
from stream_detect.settings.cameras import CAMERA_NAME
from stream_detect.storage.checks import Checks
from stream_detect.webrtc.check_sessions import CheckSessions
from stream_detect.webrtc.live_check import MAX_LABEL_CHARS, Client

JSON = "application/json"


class SessionDescription(BaseModel):
    """A browser's RTCSessionDescription as JSON."""

    model_config = ConfigDict(frozen=True, strict=True)

    sdp: str
    type: Literal["offer"]


SourceLabel = Annotated[
    str,
    Query(
        max_length=MAX_LABEL_CHARS,
        description="the camera's name on the client's system; logged, and stored in the record of the check",
    ),
]


def live_check(sessions: CheckSessions) -> APIRouter:
    """The routes of the live check."""
    routes = APIRouter(prefix="/webrtc/check", tags=["live check"])

    @routes.post("", status_code=201, openapi_extra=_OFFER, responses=_ANSWERS, response_class=Response)
    async def open_check(request: Request, source_label: SourceLabel = "") -> Response:
        """Opens a session. The SDP offer needs one sendrecv video section and a data channel named `results`."""
        read, respond = _form(request)
        offer = read(await read_body(request))
        answer = await sessions.answer(offer, Client(client_of(request), user_of(request), source_label))
        response = respond(answer.sdp)
        response.headers["Location"] = f"{routes.prefix}/{answer.session_id}"
        return response

    @routes.delete(
        "/{session_id}", status_code=204, response_class=Response, responses={404: {"description": "no such session"}}
    )
    async def close_check(session_id: Annotated[str, Path(max_length=64)]) -> None:
        """Ends a live check."""
        await sessions.close(session_id)

    return routes


def _form(request: Request) -> tuple[Callable[[bytes], str], Callable[[str], Response]]:
    """How to read the offer and write the answer, by the content type of the request."""
    match content_type(request):
        case "application/sdp":
            return read_sdp, _write_sdp
        case "application/json":
            return _read_json, _write_json
    raise unexpected_content(request, f"{SDP} or {JSON}")


def _read_json(body: bytes) -> str:
    try:
        return SessionDescription.model_validate_json(body).sdp
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in found["loc"]) or "the body"
        raise OfferError(f'expected {{"sdp": "...", "type": "offer"}}; {place}: {found["msg"]}') from error


def _write_sdp(sdp: str) -> Response:
    return Response(sdp, status_code=201, media_type=SDP)


def _write_json(sdp: str) -> Response:
    return JSONResponse({"sdp": sdp, "type": "answer"}, status_code=201)


def _described(kind: str) -> dict[str, Any]:
    return {
        SDP: {"schema": {"type": "string"}},
        JSON: {
            "schema": {
                "type": "object",
                "required": ["sdp", "type"],
                "properties": {"sdp": {"type": "string"}, "type": {"const": kind}},
            }
        },
    }


_OFFER: dict[str, Any] = {"requestBody": {"required": True, "content": _described("offer")}}

_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "the answer, in the content type of the offer",
        "content": _described("answer"),
        "headers": {
            "Location": {
                "description": "path of the session; DELETE it to end the session",
                "schema": {"type": "string"},
            }
        },
    },
    400: {"description": "the session description or the JSON is malformed"},
    413: {"description": f"the body is larger than {MAX_OFFER_BYTES // 1024} KiB"},
    415: {"description": f"the content type is neither {SDP} nor {JSON}"},
    422: {"description": "the offer has no sendrecv video, or no codec in common (H.264, VP8)"},
    503: {"description": "all sessions are in use; Retry-After says when to try again"},
}


_STARTED: Responses = {
    404: {"description": "no such live check or camera"},
    409: {"description": "a challenge is already running, or the camera is not live"},
}
_NO_CHALLENGE: Responses = {404: {"description": "no such live check or camera, or it has had no challenge"}}


def challenges(find: Callable[[str], ChallengeActions]) -> APIRouter:
    """The routes of challenges in live checks.

    Args:
        find: returns the challenge of a session, by its id.
    """
    routes = APIRouter(prefix="/webrtc/check/{session_id}/challenge", tags=["live check"])

    @routes.post("", status_code=201, responses=_STARTED)
    def start(request: Request, session_id: Annotated[str, Path(max_length=64)]) -> ChallengeBody:
        """Starts a challenge: the person with the largest face has to make random movements in time."""
        return ChallengeBody.of(find(session_id).start(user_of(request)))

    @routes.get("", responses=_NO_CHALLENGE)
    def show(session_id: Annotated[str, Path(max_length=64)]) -> ChallengeBody:
        """The newest challenge, running or ended."""
        return _shown(find(session_id))

    @routes.delete("", status_code=204, response_class=Response, responses=_NO_CHALLENGE)
    def stop(session_id: Annotated[str, Path(max_length=64)]) -> None:
        """Stops the running challenge, or clears an ended one."""
        find(session_id).stop()

    return routes


def camera_challenges(find: Callable[[str], ChallengeActions]) -> APIRouter:
    """The routes of challenges in front of cameras.

    Args:
        find: returns the challenge of a camera, by its name.
    """
    routes = APIRouter(prefix="/api/cameras/{name}/challenge", tags=["cameras"])

    @routes.post("", status_code=201, responses=_STARTED)
    def start(request: Request, name: Name) -> ChallengeBody:
        """Starts a challenge: the person with the largest face has to make random movements in time."""
        return ChallengeBody.of(find(name).start(user_of(request)))

    @routes.get("", responses=_NO_CHALLENGE | _STARTED)
    def show(name: Name) -> ChallengeBody:
        """The newest challenge, running or ended."""
        return _shown(find(name))

    @routes.delete("", status_code=204, response_class=Response, responses=_NO_CHALLENGE | _STARTED)
    def stop(name: Name) -> None:
        """Stops the running challenge, or clears an ended one."""
        find(name).stop()

    return routes


def _shown(challenge: ChallengeActions) -> ChallengeBody:
    record = challenge.record
    if record is None:
        raise NotFoundError("no challenge has been started: POST starts one")
    return ChallengeBody.of(record)


_NO_RECORD: Responses = {404: {"description": "no such check"}}


class CheckQuery(BaseModel):
    """Selects checks and a page of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    camera: Annotated[str | None, Field(pattern=CAMERA_NAME, description="challenges in front of this camera only")] = (
        None
    )
    cursor: Annotated[str | None, Field(max_length=200, description="`next` of the previous page")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


def records(checks: Checks) -> APIRouter:
    """The routes of the records of checks.

    Args:
        checks: table of checks.
    """
    routes = APIRouter(prefix="/api/checks", tags=["checks"])

    @routes.get("", responses=NO_STORAGE | {400: {"description": "the cursor is not the `next` of a page"}})
    def page(asked: Annotated[CheckQuery, Query()]) -> ChecksBody:
        """A page of ended live checks and of challenges in front of cameras, latest start first."""
        found = checks.page(asked.camera, asked.cursor, asked.limit)
        return ChecksBody(items=tuple(map(CheckBody.of, found.items)), next=found.next)

    @routes.get("/{check_id}", responses=_NO_RECORD | NO_STORAGE)
    def check(check_id: CheckId) -> CheckBody:
        """The record of one check."""
        return CheckBody.of(checks.get(check_id))

    @routes.delete("/{check_id}", status_code=204, response_class=Response, responses=_NO_RECORD | NO_STORAGE)
    def delete(check_id: CheckId) -> None:
        """Deletes the record of a check; the hash chain notes the deletion."""
        checks.delete(check_id)

    return routes
