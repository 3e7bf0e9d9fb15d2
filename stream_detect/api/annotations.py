"""Routes of annotated videos and pictures: request, follow and download them."""

from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import FileResponse

from stream_detect.api.parameters import AnalysisId, ModelName
from stream_detect.api.schemas.analyses import AnnotationBody
from stream_detect.errors import ConflictError, NotFoundError
from stream_detect.jobs.jobs import Jobs
from stream_detect.jobs.library import Library, annotated_name

_NOT_YET: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "no such analysis, or no such file of it"},
    409: {"description": "not until it is done"},
}


def router(jobs: Jobs, library: Library) -> APIRouter:
    """The routes of annotated videos; ranges are answered.

    Args:
        jobs: all analyses.
        library: of the files.
    """
    routes = APIRouter(prefix="/api/analyses/{analysis_id}", tags=["analyses"])

    @routes.post("/annotated", status_code=202, responses=_NOT_YET | {503: {"description": "too many wait"}})
    def annotate(analysis_id: AnalysisId, model: ModelName = None) -> AnnotationBody:
        """Begins to make the annotated video; one that is made, or on its way, is left at that."""
        return AnnotationBody.of(jobs.annotate(analysis_id, model))

    @routes.get("/annotated", responses=_NOT_YET)
    def annotation(analysis_id: AnalysisId, model: ModelName = None) -> AnnotationBody:
        """How far the annotated video is."""
        return AnnotationBody.of(jobs.annotation(analysis_id, model))

    @routes.get("/annotated.mp4", response_class=FileResponse, responses=_NOT_YET)
    def annotated_video(analysis_id: AnalysisId, model: ModelName = None) -> FileResponse:
        """The annotated video."""
        return annotated(analysis_id, model, "video")

    @routes.get("/annotated.jpg", response_class=FileResponse, responses=_NOT_YET)
    def annotated_picture(analysis_id: AnalysisId, model: ModelName = None) -> FileResponse:
        """The annotated picture."""
        return annotated(analysis_id, model, "image")

    def annotated(analysis_id: str, model: str | None, kind: str) -> FileResponse:
        analysis = jobs.done(analysis_id)
        if analysis.upload.kind != kind:
            raise NotFoundError(f"the file is no {kind}")
        known = jobs.annotation(analysis_id, model)
        if known is None or known.state != "done":
            raise ConflictError("it does not exist yet: POST annotated starts it, GET annotated returns its progress")
        path = library.path(analysis_id, annotated_name(analysis.number_of(model), kind))
        suffix = "jpg" if kind == "image" else "mp4"
        return FileResponse(
            path,
            media_type="image/jpeg" if kind == "image" else "video/mp4",
            filename=f"{Path(analysis.upload.name).stem}-annotated.{suffix}",
            content_disposition_type="inline",
        )

    return routes
