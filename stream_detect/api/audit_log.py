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

    who: Annotated[str | None, Field(max_length=64, pattern=r"^[^\x00]*$", description="of this user")] = None
    action: Annotated[
        str | None,
        Field(max_length=32, pattern=r"^[a-z_.]*$", description="this one; with a dot at its end all of that kind"),
    ] = None
    result: Outcome | None = None
    before: Annotated[str | None, Field(max_length=20, description="`next` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class AuditEntryBody(Body):
    """An action of a user, or an attempt at one."""

    id: int = Field(description="counts up without a gap")
    at: float = Field(description="unix seconds")
    who: str = Field(description="name of the user; empty where none is known")
    by: str = Field(description="how the user was recognised")
    address: str = Field(description="of the client")
    action: str
    target: str = Field(description="name or id of what it was done to")
    result: Outcome
    detail: str

    @classmethod
    def of(cls, entry: WrittenEntry) -> "AuditEntryBody":
        """An entry."""
        return cls(id=entry.number, **shown(entry))


class AuditBody(Body):
    """A page of entries, newest first."""

    items: tuple[AuditEntryBody, ...]
    next: str | None = Field(description="for `before`; null on the last page")


def router(table: AuditTable) -> APIRouter:
    """The route of the audit log.

    Args:
        table: table of the entries.
    """
    routes = APIRouter(prefix="/api/audit", tags=["access"])

    @routes.get("", responses=NO_STORAGE | {400: {"description": "the cursor is of no page"}})
    def page(asked: Annotated[AuditQuery, Query()]) -> AuditBody:
        """A page of entries; reading it is an entry, too."""
        if asked.before is not None and not (asked.before.isascii() and asked.before.isdecimal()):
            raise RequestError("expected `next` of an earlier page, received another word")
        before = None if asked.before is None else min(int(asked.before), 2**62)
        found = table.page(AuditFilter(asked.who, asked.action, asked.result), before, asked.limit)
        more = len(found) == asked.limit
        return AuditBody(items=tuple(map(AuditEntryBody.of, found)), next=str(found[-1].number) if more else None)

    return routes
