"""Routes of the records of checks, which are kept of live checks and challenges: list, read and delete them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from stream_detect.api.requests import NO_STORAGE, CheckId, Responses
from stream_detect.api.schemas.checks import CheckBody, ChecksBody
from stream_detect.settings.cameras import CAMERA_NAME
from stream_detect.storage.checks import Checks

_ABSENT: Responses = {404: {"description": "no such check"}}


class CheckQuery(BaseModel):
    """Which checks, and which page of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    camera: Annotated[str | None, Field(pattern=CAMERA_NAME, description="challenges before this camera")] = None
    cursor: Annotated[str | None, Field(max_length=200, description="`next` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


def router(checks: Checks) -> APIRouter:
    """The routes of the records of checks.

    Args:
        checks: of the database.
    """
    routes = APIRouter(prefix="/api/checks", tags=["checks"])

    @routes.get("", responses=NO_STORAGE | {400: {"description": "the cursor is of no page"}})
    def page(asked: Annotated[CheckQuery, Query()]) -> ChecksBody:
        """A page of live checks and challenges that have ended, the newest beginning first."""
        found = checks.page(asked.camera, asked.cursor, asked.limit)
        return ChecksBody(items=tuple(map(CheckBody.of, found.items)), next=found.next)

    @routes.get("/{check_id}", responses=_ABSENT | NO_STORAGE)
    def check(check_id: CheckId) -> CheckBody:
        """One of them."""
        return CheckBody.of(checks.get(check_id))

    @routes.delete("/{check_id}", status_code=204, response_class=Response, responses=_ABSENT | NO_STORAGE)
    def delete(check_id: CheckId) -> None:
        """Deletes one; the chain of hashes says that it was deleted."""
        checks.delete(check_id)

    return routes
