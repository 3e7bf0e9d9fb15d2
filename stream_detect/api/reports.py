"""Routes of reports: one analysis as a self-contained HTML page, as JSON, or as a CSV table."""

import json
from pathlib import PurePath
from typing import Any, Final, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, StreamingResponse
from starlette.responses import Response

from stream_detect.api.parameters import AnalysisId
from stream_detect.errors import NotFoundError
from stream_detect.jobs.jobs import Jobs
from stream_detect.jobs.library import RESULTS, Library, flagged_name, map_name
from stream_detect.review.report import csv_report, html_report
from stream_detect.storage.records import Analysis

_NOT_YET: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "no such analysis"},
    409: {"description": "not until it is done"},
}
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
"""Of the HTML report: its own style and pictures, and nothing that runs."""


def router(jobs: Jobs, library: Library) -> APIRouter:
    """The routes of reports.

    Args:
        jobs: all analyses.
        library: of their files.
    """
    routes = APIRouter(prefix="/api/analyses/{analysis_id}", tags=["analyses"])

    @routes.get("/report.html", response_class=HTMLResponse, responses=_NOT_YET)
    def html(analysis_id: AnalysisId) -> Response:
        """A page to read and to pass on, pictures included."""
        analysis = jobs.done(analysis_id)

        def picture(model: str, n: int, kind: Literal["picture", "map"]) -> bytes | None:
            name = (flagged_name if kind == "picture" else map_name)(analysis.number_of(model), n)
            try:
                return library.path(analysis_id, name).read_bytes()
            except (NotFoundError, OSError):
                return None

        page = html_report(read(analysis_id), picture)
        return HTMLResponse(page, headers=_saved(analysis, "html") | {"Content-Security-Policy": _POLICY})

    @routes.get("/report.json", response_class=FileResponse, responses=_NOT_YET)
    def whole(analysis_id: AnalysisId) -> Response:
        """The results, to be saved."""
        headers = _saved(jobs.done(analysis_id), "json")
        return FileResponse(library.path(analysis_id, RESULTS), media_type="application/json", headers=headers)

    @routes.get("/report.csv", responses=_NOT_YET | {200: {"content": {"text/csv": {}}}}, response_class=Response)
    def table(analysis_id: AnalysisId) -> Response:
        """Every face in every sampled frame, a line each."""
        headers = _saved(jobs.done(analysis_id), "csv")
        return StreamingResponse(csv_report(read(analysis_id)), media_type="text/csv; charset=utf-8", headers=headers)

    def read(analysis_id: str) -> dict[str, Any]:
        results: dict[str, Any] = json.loads(library.path(analysis_id, RESULTS).read_bytes())
        return results

    return routes


def _saved(analysis: Analysis, suffix: str) -> dict[str, str]:
    named = FileResponse("", filename=f"{PurePath(analysis.upload.name).stem}-report.{suffix}")
    return {"Content-Disposition": named.headers["content-disposition"]}
