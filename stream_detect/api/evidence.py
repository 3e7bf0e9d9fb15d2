"""Evidence of events over HTTP: picture, face and clip, where they were kept. File names come from the database."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import FileResponse

from stream_detect.api.parameters import EventId
from stream_detect.errors import NotFoundError
from stream_detect.evidence.keeper import EvidenceKeeper
from stream_detect.storage.events import Events

_TYPES: Mapping[str, str] = {".jpg": "image/jpeg", ".mp4": "video/mp4", ".mkv": "video/x-matroska"}
_ABSENT: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "no such event, or no such evidence of it"}}


def router(events: Events, keeper: EvidenceKeeper) -> APIRouter:
    """The routes of evidence; ranges are answered.

    Args:
        events: what is remembered, with the names of the files.
        keeper: of the files.
    """
    routes = APIRouter(prefix="/api/events/{event_id}", tags=["events"])

    @routes.get("/picture.jpg", response_class=FileResponse, responses=_ABSENT)
    def picture(event_id: EventId) -> FileResponse:
        """The annotated picture of the moment."""
        return answer(event_id, "picture")

    @routes.get("/face.jpg", response_class=FileResponse, responses=_ABSENT)
    def face(event_id: EventId) -> FileResponse:
        """The face."""
        return answer(event_id, "face")

    @routes.get("/clip.mp4", response_class=FileResponse, responses=_ABSENT)
    def clip(event_id: EventId) -> FileResponse:
        """The clip; Matroska where MP4 does not carry the camera's codec, as its content type says."""
        return answer(event_id, "clip")

    def answer(event_id: str, what: str) -> FileResponse:
        evidence = events.get(event_id).evidence
        name = None if evidence is None else getattr(evidence, what)
        if name is None:
            why = f": {evidence.problem}" if evidence is not None and evidence.problem else ""
            raise NotFoundError(f"no {what} was kept of this event{why}")
        path = keeper.path(name)
        return FileResponse(path, media_type=_TYPES[path.suffix], headers={"Cache-Control": "private, no-cache"})

    return routes
