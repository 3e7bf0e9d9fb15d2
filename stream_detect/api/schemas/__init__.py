"""The schemas of the routes (docs/protocol.md), one module per resource. pydantic is used for HTTP here only."""

from stream_detect.api.schemas.cameras import (
    AppliedBody,
    CameraBody,
    CameraChange,
    CamerasBody,
    ConnectionBody,
    RemovedBody,
    StateBody,
)
from stream_detect.api.schemas.events import EventBody, EventsBody
from stream_detect.api.schemas.history import ScoresBody, StatesBody
from stream_detect.api.schemas.status import (
    IceServerBody,
    JudgeBody,
    JudgeNameBody,
    ModelsBody,
    ReadyBody,
    StatusBody,
    ThresholdsBody,
)

__all__ = (
    "AppliedBody",
    "CameraBody",
    "CameraChange",
    "CamerasBody",
    "ConnectionBody",
    "EventBody",
    "EventsBody",
    "IceServerBody",
    "JudgeBody",
    "JudgeNameBody",
    "ModelsBody",
    "ReadyBody",
    "RemovedBody",
    "ScoresBody",
    "StateBody",
    "StatesBody",
    "StatusBody",
    "ThresholdsBody",
)
