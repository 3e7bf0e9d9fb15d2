"""The route of the audit log, for admins: pages of entries, newest first."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from stream_detect.access.audit import shown
from stream_detect.api.requests import NO_STORAGE
from stream_detect.api.schemas import Body
from stream_detect.errors import RequestError
from stream_detect.storage.audit import AuditFilter, AuditTable, Outcome, WrittenEntry


class AuditQuery(BaseModel):
    """Selects entries and a page of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    who: Annotated[str | None, Field(max_length=64, pattern=r"^[^\x00]*$", description="entries of this user only")] = (
        None
    )
    action: Annotated[
        str | None,
        Field(
            max_length=32,
            pattern=r"^[a-z_.]*$",
            description="entries of this action only; a trailing dot selects all actions that begin so",
        ),
    ] = None
    result: Outcome | None = None
    before: Annotated[str | None, Field(max_length=20, description="`next` of the previous page")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class AuditEntryBody(Body):
    """An action of a user, or an attempt at one."""

    id: int = Field(description="consecutive number")
    at: float = Field(description="Unix time in seconds")
    who: str = Field(description="name of the user; empty if unknown")
    by: str = Field(description="how the user was authenticated")
    address: str = Field(description="IP address of the client")
    action: str
    target: str = Field(description="name or id of the object of the action")
    result: Outcome
    detail: str

    @classmethod
    def of(cls, entry: WrittenEntry) -> "AuditEntryBody":
        """An entry."""
        return cls(id=entry.number, **shown(entry))


class AuditBody(Body):
    """A page of entries, newest first."""

    items: tuple[AuditEntryBody, ...]
    next: str | None = Field(description="value of `before` for the next page; null on the last")


def router(table: AuditTable) -> APIRouter:
    """The route of the audit log.

    Args:
        table: table of the entries.
    """
    routes = APIRouter(prefix="/api/audit", tags=["access"])

    @routes.get("", responses=NO_STORAGE | {400: {"description": "`before` is not the `next` of a page"}})
    def page(asked: Annotated[AuditQuery, Query()]) -> AuditBody:
        """A page of entries, newest first. Reading the log adds an entry."""
        if asked.before is not None and not (asked.before.isascii() and asked.before.isdecimal()):
            raise RequestError("expected the `next` of an earlier page in `before`, received something else")
        before = None if asked.before is None else min(int(asked.before), 2**62)
        found = table.page(AuditFilter(asked.who, asked.action, asked.result), before, asked.limit)
        more = len(found) == asked.limit
        return AuditBody(items=tuple(map(AuditEntryBody.of, found)), next=str(found[-1].number) if more else None)

    return routes
