"""Routes of analyses: list, read, follow, cancel and delete them."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from stream_detect.api.parameters import AnalysisId, client_of
from stream_detect.api.schemas.analyses import AnalysesPageBody, AnalysisBody
from stream_detect.api.streams import Listener, sent
from stream_detect.jobs.jobs import Jobs
from stream_detect.storage.records import AnalysisState

if TYPE_CHECKING:
    from stream_detect.app.listeners import AnalysisListeners

_ABSENT: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "no such analysis"}}
_ENDED: Final[dict[int | str, dict[str, Any]]] = {**_ABSENT, 409: {"description": "it has ended"}}


class AnalysesQuery(BaseModel):
    """Which analyses, and which page of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: Annotated[str, Field(max_length=200, description="part of the file's name, in any case")] = ""
    state: AnalysisState | None = None
    cursor: Annotated[str | None, Field(max_length=200, description="`next` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


def router(jobs: Jobs, listeners: "AnalysisListeners") -> APIRouter:
    """The routes of analyses.

    Args:
        jobs: all of them.
        listeners: are sent their changes.
    """
    routes = APIRouter(prefix="/api/analyses", tags=["analyses"])

    @routes.get("")
    def page(asked: Annotated[AnalysesQuery, Query()]) -> AnalysesPageBody:
        """A page of analyses, newest first."""
        found = jobs.page(asked.search, asked.state, asked.cursor, asked.limit)
        return AnalysesPageBody(items=tuple(map(AnalysisBody.of, found.items)), next=found.next)

    @routes.get("/{analysis_id}", responses=_ABSENT)
    def analysis(analysis_id: AnalysisId) -> AnalysisBody:
        """One analysis."""
        return AnalysisBody.of(jobs.get(analysis_id))

    @routes.post("/{analysis_id}/cancel", responses=_ENDED)
    def cancel(analysis_id: AnalysisId) -> AnalysisBody:
        """Ends an analysis; no file of it is kept."""
        return AnalysisBody.of(jobs.cancel(analysis_id))

    @routes.delete("/{analysis_id}", status_code=204, response_class=Response, responses=_ABSENT)
    def delete(analysis_id: AnalysisId) -> None:
        """Forgets an analysis, its file and all that was made of it."""
        jobs.delete(analysis_id)

    # Before the response begins, so that an id that is not known, or no place, is a problem with its status.
    async def listening(analysis_id: AnalysisId, request: Request) -> AsyncIterator[Listener]:
        with listeners.analysis(analysis_id, client_of(request)) as listener:
            listeners.begin(listener, await asyncio.to_thread(jobs.get, analysis_id))
            yield listener

    @routes.get("/{analysis_id}/progress", response_class=EventSourceResponse, responses=_ABSENT)
    async def progress(listener: Annotated[Listener, Depends(listening)]) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events: `progress` with the analysis, at once and on every change, until it has ended."""
        async for message in listener:
            yield sent(message)

    return routes
