"""What routes share: parameters, responses, and who sent a request."""

from typing import Annotated, Any, Final

from fastapi import Path, Query, Request

from stream_detect.access.principal import Principal
from stream_detect.settings.cameras import CAMERA_NAME
from stream_detect.storage.users import MAX_ADDRESS, MAX_USER_AGENT, Browser

Name = Annotated[str, Path(pattern=CAMERA_NAME, description="of a camera")]
CheckId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="of the record of a check")]
EventId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="of an event")]
AnalysisId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="of an analysis")]
ModelName = Annotated[
    str | None, Query(alias="model", max_length=64, description="of a bundle; the first if not given")
]

Responses = dict[int | str, dict[str, Any]]

ABSENT_CAMERA: Final[Responses] = {404: {"description": "no such camera"}}
ABSENT_EVENT: Final[Responses] = {404: {"description": "no such event"}}
FULL: Final[Responses] = {503: {"description": "no place is free; Retry-After says when to try again"}}
NO_STORAGE: Final[Responses] = {
    503: {"description": "the database does not answer in time; Retry-After says when to try again"},
    507: {"description": "no room is left on the disk"},
}


def client_address(request: Request) -> str:
    """The IP address of a client, without its port; empty where the transport has none."""
    return request.client.host if request.client else ""


def browser_of(request: Request) -> Browser:
    """Where a user signs in: the client's address, and what its browser calls itself, without control characters."""
    name = "".join(filter(str.isprintable, request.headers.get("user-agent", "")))
    return Browser(client_address(request)[:MAX_ADDRESS], name[:MAX_USER_AGENT])


def principal_of(request: Request) -> Principal | None:
    """Whom a request comes from; None for one that needed nobody."""
    return request.scope.get("principal")


def user_of(request: Request) -> str:
    """Name of the user whom a request comes from; empty where none is known."""
    principal = principal_of(request)
    return "" if principal is None else principal.name or ""


def client_of(request: Request) -> str:
    """By what the places of a client are counted: the user where one is known, the address otherwise."""
    user = user_of(request)
    return f"user {user}" if user else client_address(request)
