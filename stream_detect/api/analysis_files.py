"""Routes of the files of an analysis: the upload, the results and the flagged frames."""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse

from stream_detect.api.parameters import AnalysisId, ModelName
from stream_detect.jobs.jobs import Jobs
from stream_detect.jobs.library import ORIGINAL, RESULTS, Library, flagged_name, map_name
from stream_detect.storage.records import Upload

_ABSENT: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "no such analysis, or no such file of it"}}
_NOT_YET: Final[dict[int | str, dict[str, Any]]] = {**_ABSENT, 409: {"description": "not until it is done"}}

_IMAGES: Mapping[str, str] = {
    "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif", "bmp": "image/bmp",
    "avif": "image/avif",
}  # fmt: skip
_MP4_CODECS = frozenset({"h264", "av1", "vp9", "mpeg4", "hevc"})
_WEBM_CODECS = frozenset({"vp8", "vp9", "av1"})

Number = Annotated[int, Path(ge=1, le=10_000, description="of the flagged frame")]


def router(jobs: Jobs, library: Library) -> APIRouter:
    """The routes of files; ranges are answered.

    Args:
        jobs: all analyses.
        library: of the files.
    """
    routes = APIRouter(prefix="/api/analyses/{analysis_id}", tags=["analyses"])

    @routes.get("/media", response_class=FileResponse, responses=_ABSENT)
    def media(analysis_id: AnalysisId) -> FileResponse:
        """The file as it came; to be saved, unless a browser can show it."""
        upload = jobs.get(analysis_id).upload
        path = library.path(analysis_id, ORIGINAL)
        shown_as = _media_type(upload, path)
        return FileResponse(
            path,
            media_type=shown_as or "application/octet-stream",
            filename=upload.name,
            content_disposition_type="inline" if shown_as else "attachment",
        )

    @routes.get("/results", response_class=FileResponse, responses=_NOT_YET)
    def results(analysis_id: AnalysisId) -> FileResponse:
        """What came out."""
        jobs.done(analysis_id)
        return FileResponse(library.path(analysis_id, RESULTS), media_type="application/json")

    # Before the other one, whose {n} would take "1-map".
    @routes.get("/flagged/{n}-map.jpg", response_class=FileResponse, responses=_NOT_YET)
    def heat_map(analysis_id: AnalysisId, n: Number, model: ModelName = None) -> FileResponse:
        """A flagged face with the heat map, where one could be drawn."""
        return picture(map_name(jobs.done(analysis_id).number_of(model), n), analysis_id)

    @routes.get("/flagged/{n}.jpg", response_class=FileResponse, responses=_NOT_YET)
    def flagged(analysis_id: AnalysisId, n: Number, model: ModelName = None) -> FileResponse:
        """A flagged frame with its box."""
        return picture(flagged_name(jobs.done(analysis_id).number_of(model), n), analysis_id)

    def picture(name: str, analysis_id: str) -> FileResponse:
        return FileResponse(library.path(analysis_id, name), media_type="image/jpeg")

    return routes


def _media_type(upload: Upload, path: FilePath) -> str | None:
    """What a browser can show it as; None when it probably cannot. By its content, never by its name."""
    if upload.kind == "image":
        return _IMAGES.get(upload.codec)
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and upload.codec in _MP4_CODECS:
        return "video/mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3" and upload.codec in _WEBM_CODECS:
        return "video/webm"
    return None
