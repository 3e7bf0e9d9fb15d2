"""Routes of analyses: list, read, follow, cancel and delete them; their files, annotated videos and reports."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path as FilePath
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from stream_detect.api.requests import AnalysisId, ModelName, client_of
from stream_detect.api.schemas.analyses import AnalysesPageBody, AnalysisBody, AnnotationBody
from stream_detect.api.streams import Listener, sent
from stream_detect.errors import ConflictError, NotFoundError
from stream_detect.jobs.jobs import Jobs
from stream_detect.jobs.library import ORIGINAL, RESULTS, Library, annotated_name, flagged_name, map_name
from stream_detect.review.report import csv_report, html_report
from stream_detect.storage.records import Analysis, AnalysisState, Upload

if TYPE_CHECKING:
    from stream_detect.app.listeners import AnalysisListeners

_ABSENT: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "no such analysis"}}
_ENDED: Final[dict[int | str, dict[str, Any]]] = {**_ABSENT, 409: {"description": "the analysis has already ended"}}
_NOT_DONE: Final[dict[int | str, dict[str, Any]]] = {**_ABSENT, 409: {"description": "the analysis is not done"}}
_NO_FILE: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "no such analysis, or it does not have this file"}
}
_FILE_NOT_YET: Final[dict[int | str, dict[str, Any]]] = {
    **_NO_FILE,
    409: {"description": "the file does not exist yet"},
}

_IMAGES: Mapping[str, str] = {
    "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif", "bmp": "image/bmp",
    "avif": "image/avif",
}  # fmt: skip
_MP4_CODECS = frozenset({"h264", "av1", "vp9", "mpeg4", "hevc"})
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1"})
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
"""Policy of the HTML report: its own style and pictures, and no scripts."""

Number = Annotated[int, Path(ge=1, le=10_000, description="number of the flagged frame, from 1")]


class AnalysesQuery(BaseModel):
    """Selects analyses and a page of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: Annotated[str, Field(max_length=200, description="part of the file name, case-insensitive")] = ""
    state: AnalysisState | None = None
    cursor: Annotated[str | None, Field(max_length=200, description="`next` of the previous page")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


def router(jobs: Jobs, listeners: "AnalysisListeners") -> APIRouter:
    """The routes of analyses.

    Args:
        jobs: all analyses.
        listeners: receive the changes of analyses.
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
        """Cancels an analysis; its files are deleted."""
        return AnalysisBody.of(jobs.cancel(analysis_id))

    @routes.delete("/{analysis_id}", status_code=204, response_class=Response, responses=_ABSENT)
    def delete(analysis_id: AnalysisId) -> None:
        """Deletes an analysis, its file and its results."""
        jobs.delete(analysis_id)

    # Before the response starts, so that an unknown id, or a full server, is a problem response with its status.
    async def listening(analysis_id: AnalysisId, request: Request) -> AsyncIterator[Listener]:
        with listeners.analysis(analysis_id, client_of(request)) as listener:
            listeners.begin(listener, await asyncio.to_thread(jobs.get, analysis_id))
            yield listener

    @routes.get("/{analysis_id}/progress", response_class=EventSourceResponse, responses=_ABSENT)
    async def progress(listener: Annotated[Listener, Depends(listening)]) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events `progress`, each with the analysis: one at once, then one per change until it ends."""
        async for message in listener:
            yield sent(message)

    return routes


def files(jobs: Jobs, library: Library) -> APIRouter:
    """The routes of files, with range requests.

    Args:
        jobs: all analyses.
        library: library of the files.
    """
    routes = APIRouter(prefix="/api/analyses/{analysis_id}", tags=["analyses"])

    @routes.get("/media", response_class=FileResponse, responses=_NO_FILE)
    def media(analysis_id: AnalysisId) -> FileResponse:
        """The original file; sent as a download if browsers cannot show it."""
        upload = jobs.get(analysis_id).upload
        path = library.path(analysis_id, ORIGINAL)
        shown_as = _media_type(upload, path)
        return FileResponse(
            path,
            media_type=shown_as or "application/octet-stream",
            filename=upload.name,
            content_disposition_type="inline" if shown_as else "attachment",
        )

    @routes.get("/results", response_class=FileResponse, responses=_FILE_NOT_YET)
    def results(analysis_id: AnalysisId) -> FileResponse:
        """The results, as JSON."""
        jobs.done(analysis_id)
        return FileResponse(library.path(analysis_id, RESULTS), media_type="application/json")

    # Before the next route, whose {n} would match "1-map".
    @routes.get("/flagged/{n}-map.jpg", response_class=FileResponse, responses=_FILE_NOT_YET)
    def heat_map(analysis_id: AnalysisId, n: Number, model: ModelName = None) -> FileResponse:
        """The heat map of a flagged face, if one could be drawn."""
        return picture(map_name(jobs.done(analysis_id).number_of(model), n), analysis_id)

    @routes.get("/flagged/{n}.jpg", response_class=FileResponse, responses=_FILE_NOT_YET)
    def flagged(analysis_id: AnalysisId, n: Number, model: ModelName = None) -> FileResponse:
        """A flagged frame with the face's box."""
        return picture(flagged_name(jobs.done(analysis_id).number_of(model), n), analysis_id)

    def picture(name: str, analysis_id: str) -> FileResponse:
        return FileResponse(library.path(analysis_id, name), media_type="image/jpeg")

    return routes


def _media_type(upload: Upload, path: FilePath) -> str | None:
    """Media type with which a browser can show it; None if it probably cannot. By its content, not its name."""
    if upload.kind == "image":
        return _IMAGES.get(upload.codec)
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and upload.codec in _MP4_CODECS:
        return "video/mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3" and upload.codec in _WEBM_CODECS:
        return "video/webm"
    return None


def annotations(jobs: Jobs, library: Library) -> APIRouter:
    """The routes of annotated videos, with range requests.

    Args:
        jobs: all analyses.
        library: library of the files.
    """
    routes = APIRouter(prefix="/api/analyses/{analysis_id}", tags=["analyses"])

    @routes.post(
        "/annotated",
        status_code=202,
        responses=_FILE_NOT_YET | {503: {"description": "too many annotated videos are queued"}},
    )
    def annotate(analysis_id: AnalysisId, model: ModelName = None) -> AnnotationBody:
        """Starts making the annotated video, unless it exists or is in progress."""
        return AnnotationBody.of(jobs.annotate(analysis_id, model))

    @routes.get("/annotated", responses=_FILE_NOT_YET)
    def annotation(analysis_id: AnalysisId, model: ModelName = None) -> AnnotationBody:
        """State of the annotated video."""
        return AnnotationBody.of(jobs.annotation(analysis_id, model))

    @routes.get("/annotated.mp4", response_class=FileResponse, responses=_FILE_NOT_YET)
    def annotated_video(analysis_id: AnalysisId, model: ModelName = None) -> FileResponse:
        """The annotated video."""
        return annotated(analysis_id, model, "video")

    @routes.get("/annotated.jpg", response_class=FileResponse, responses=_FILE_NOT_YET)
    def annotated_picture(analysis_id: AnalysisId, model: ModelName = None) -> FileResponse:
        """The annotated picture."""
        return annotated(analysis_id, model, "image")

    def annotated(analysis_id: str, model: str | None, kind: str) -> FileResponse:
        analysis = jobs.done(analysis_id)
        if analysis.upload.kind != kind:
            raise NotFoundError(f"expected an analysis of kind {kind}, received {analysis.upload.kind}")
        known = jobs.annotation(analysis_id, model)
        if known is None or known.state != "done":
            raise ConflictError("it does not exist yet: POST annotated starts it, GET annotated returns its progress")
        path = library.path(analysis_id, annotated_name(analysis.number_of(model), kind))
        suffix = "jpg" if kind == "image" else "mp4"
        return FileResponse(
            path,
            media_type="image/jpeg" if kind == "image" else "video/mp4",
            filename=f"{PurePath(analysis.upload.name).stem}-annotated.{suffix}",
            content_disposition_type="inline",
        )

    return routes


def reports(jobs: Jobs, library: Library) -> APIRouter:
    """The routes of reports.

    Args:
        jobs: all analyses.
        library: library of their files.
    """
    routes = APIRouter(prefix="/api/analyses/{analysis_id}", tags=["analyses"])

    @routes.get("/report.html", response_class=HTMLResponse, responses=_NOT_DONE)
    def html(analysis_id: AnalysisId) -> Response:
        """The report as a self-contained HTML page with its pictures."""
        analysis = jobs.done(analysis_id)

        def picture(model: str, n: int, kind: Literal["picture", "map"]) -> bytes | None:
            name = (flagged_name if kind == "picture" else map_name)(analysis.number_of(model), n)
            try:
                return library.path(analysis_id, name).read_bytes()
            except (NotFoundError, OSError):
                return None

        page = html_report(read(analysis_id), picture)
        return HTMLResponse(page, headers=_saved(analysis, "html") | {"Content-Security-Policy": _POLICY})

    @routes.get("/report.json", response_class=FileResponse, responses=_NOT_DONE)
    def whole(analysis_id: AnalysisId) -> Response:
        """The results, as a download."""
        headers = _saved(jobs.done(analysis_id), "json")
        return FileResponse(library.path(analysis_id, RESULTS), media_type="application/json", headers=headers)

    @routes.get("/report.csv", responses=_NOT_DONE | {200: {"content": {"text/csv": {}}}}, response_class=Response)
    def table(analysis_id: AnalysisId) -> Response:
        """Every face in every sampled frame as CSV, one face per line."""
        headers = _saved(jobs.done(analysis_id), "csv")
        return StreamingResponse(csv_report(read(analysis_id)), media_type="text/csv; charset=utf-8", headers=headers)

    def read(analysis_id: str) -> dict[str, Any]:
        results: dict[str, Any] = json.loads(library.path(analysis_id, RESULTS).read_bytes())
        return results

    return routes


def _saved(analysis: Analysis, suffix: str) -> dict[str, str]:
    named = FileResponse("", filename=f"{PurePath(analysis.upload.name).stem}-report.{suffix}")
    return {"Content-Disposition": named.headers["content-disposition"]}
