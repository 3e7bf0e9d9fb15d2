"""Settings of each camera, and of the monitoring of all of them."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from stream_detect.settings.section import Section

CAMERA_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
"""Names are part of URLs, file names, metrics and MQTT topics."""

CameraName = Annotated[str, Field(pattern=CAMERA_NAME)]


class CameraSettings(Section):
    """One camera."""

    name: CameraName = Field(description="lower-case letters, digits, - and _, at most 40 characters; part of URLs")
    title: Annotated[str, Field(max_length=80)] = Field(
        default="", description="name shown to people; cameras[].name if empty"
    )
    url: SecretStr = Field(
        description="rtsp(s), rtmp or http(s) (HLS, MJPEG); whip: for a publisher; file: and v4l2: in this file only"
    )
    transport: Literal["tcp", "udp"] = Field(default="tcp", description="transport of RTSP media")
    loop: bool = Field(default=False, description="start a file again at its end; otherwise the camera stops there")
    enabled: bool = Field(default=True, description="false keeps the camera in the list, stopped")
    rate_hz: Annotated[float, Field(gt=0, le=30)] = Field(
        default=5.0, description="samples per second in which faces are detected and scored"
    )
    keyframes_only_when_idle: bool = Field(
        default=False, description="decode key frames only, while nobody watches and no face is visible"
    )
    evidence: bool = Field(default=False, description="keep a still, the face and a clip of each fake event")

    node: Annotated[str, Field(max_length=80, pattern=r"^[0-9A-Za-z._:-]*$")] = Field(
        default="",
        description="the only node of a cluster that may watch it, for a device or network; any node if empty",
    )

    @field_validator("title")
    @classmethod
    def _one_line(cls, title: str) -> str:
        if not title.isprintable():
            raise ValueError("expected a title of printable characters, on one line")
        return title


class MonitoringSettings(Section):
    """How cameras are monitored."""

    open_timeout_s: Annotated[float, Field(gt=0, le=30)] = Field(
        default=4.5, description="time limit for opening a camera; it is tried again later"
    )
    read_timeout_s: Annotated[float, Field(gt=0, le=30)] = Field(
        default=4.0, description="socket timeout of a running stream; bounds how long stopping takes"
    )
    stall_s: Annotated[float, Field(gt=0)] = Field(
        default=5.0, description="a camera without a frame for this long is stalled, even if it is connected"
    )
    backoff_first_s: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="pause before the second attempt; doubles, with jitter"
    )
    backoff_last_s: Annotated[float, Field(gt=0)] = Field(default=60.0, description="longest pause between attempts")
    backoff_reset_s: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="after this long without a failure, the next pause is the first one again"
    )
    refused_retry_s: Annotated[float, Field(gt=0)] = Field(
        default=300.0, description="pause after wrong credentials: cameras lock accounts that are tried too often"
    )
    offline_after_s: Annotated[float, Field(ge=0)] = Field(
        default=10.0,
        description="a camera that is not live for this long is an event; shorter interruptions are in its history "
        "only",
    )
    fake_rest_s: Annotated[float, Field(ge=0)] = Field(
        default=5.0, description="a fake event ends after another verdict has held for this long"
    )
    max_cameras: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=64,
        description="cameras at once, further ones are refused; Python's global lock allows some 50 live ones per "
        "process",
    )
    max_pixels: Annotated[int, Field(ge=76_800, le=100_000_000)] = Field(
        default=12_582_912,
        description="largest frame, width times height (4096x3072); a larger one is refused before decoding: 8K takes "
        "2 GB",
    )
    max_viewers: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=64, description="WHEP viewers of all cameras at once"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.backoff_first_s > self.backoff_last_s:
            raise ValueError("expected backoff_first_s <= backoff_last_s")
        return self
