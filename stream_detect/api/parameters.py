"""Parameters that several routes take."""

from typing import Annotated

from fastapi import Path, Query

from stream_detect.settings.cameras import CAMERA_NAME

Name = Annotated[str, Path(pattern=CAMERA_NAME, description="of a camera")]
EventId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="of an event")]
AnalysisId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="of an analysis")]
ModelName = Annotated[
    str | None, Query(alias="model", max_length=64, description="of a bundle; the first if not given")
]
