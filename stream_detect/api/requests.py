"""What routes read of requests: parameters, bodies, and who sent them; and the responses that several routes share."""

from typing import Annotated, Any, Final

from fastapi import Path, Query, Request
from starlette.requests import ClientDisconnect

from stream_detect.access.principal import Principal
from stream_detect.errors import BodyTooLargeError, ContentTypeError, RequestError
from stream_detect.settings.cameras import CAMERA_NAME
from stream_detect.storage.users import MAX_ADDRESS, MAX_USER_AGENT, Browser

Name = Annotated[str, Path(pattern=CAMERA_NAME, description="name of the camera")]
CheckId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="id of the check")]
EventId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="id of the event")]
AnalysisId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="id of the analysis")]
ModelName = Annotated[
    str | None,
    Query(alias="model", max_length=64, description="name of the bundle; default: the first one of the analysis"),
]

Responses = dict[int | str, dict[str, Any]]

ABSENT_CAMERA: Final[Responses] = {404: {"description": "no such camera"}}
ABSENT_EVENT: Final[Responses] = {404: {"description": "no such event"}}
FULL: Final[Responses] = {503: {"description": "all places are taken; Retry-After says when to try again"}}
NO_STORAGE: Final[Responses] = {
    503: {"description": "the database does not respond in time; Retry-After says when to try again"},
    507: {"description": "the disk is full"},
}


def client_address(request: Request) -> str:
    """The IP address of a client, without its port; empty if the transport has none."""
    return request.client.host if request.client else ""


def browser_of(request: Request) -> Browser:
    """The browser of a user: address and user agent, without control characters."""
    name = "".join(filter(str.isprintable, request.headers.get("user-agent", "")))
    return Browser(client_address(request)[:MAX_ADDRESS], name[:MAX_USER_AGENT])


def principal_of(request: Request) -> Principal | None:
    """The sender of a request; None if it needed none."""
    return request.scope.get("principal")


def user_of(request: Request) -> str:
    """Name of the user who sent a request; empty if unknown."""
    principal = principal_of(request)
    return "" if principal is None else principal.name or ""


def client_of(request: Request) -> str:
    """Key for counting a client's places: its user, if known, otherwise its address."""
    user = user_of(request)
    return f"user {user}" if user else client_address(request)


MAX_OFFER_BYTES = 64 * 1024
"""Maximum size of an offer; a browser's is 5 to 10 KiB."""


def content_type(request: Request) -> str:
    """The content type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unexpected_content(request: Request, expected: str) -> ContentTypeError:
    """The error for a body with an unexpected content type."""
    received = request.headers.get("content-type", "")[:80] or "no content type"
    return ContentTypeError(f"expected a body of {expected}, received {received}")


async def read_body(request: Request) -> bytes:
    """Reads the body up to the limit, even if it claims another length.

    Raises:
        BodyTooLargeError: it is larger than MAX_OFFER_BYTES.
        RequestError: the client disconnected.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_OFFER_BYTES:
                raise BodyTooLargeError(f"expected a body of {MAX_OFFER_BYTES} bytes at most, received more")
    except ClientDisconnect as error:
        raise RequestError("expected a body, but the client closed the connection before its end") from error
    return bytes(body)
