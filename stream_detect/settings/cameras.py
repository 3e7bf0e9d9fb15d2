"""Cameras: what each is, and how all of them are watched."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from stream_detect.settings.section import Section

CAMERA_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
"""Names stand in addresses, file names, metrics and MQTT topics."""

CameraName = Annotated[str, Field(pattern=CAMERA_NAME)]


class CameraSettings(Section):
    """One camera."""

    name: CameraName = Field(description="lower-case letters, digits, - and _, at most 40; stands in addresses")
    title: Annotated[str, Field(max_length=80)] = Field(default="", description="shown to people; the name if empty")
    url: SecretStr = Field(
        description="rtsp(s), rtmp, http(s) (HLS, MJPEG); whip: for a publisher; file: and v4l2: from this file only"
    )
    transport: Literal["tcp", "udp"] = Field(default="tcp", description="of RTSP's media")
    loop: bool = Field(default=False, description="a file begins again at its end; else its end stops the camera")
    enabled: bool = Field(default=True, description="false keeps it in the list, stopped")
    rate_hz: Annotated[float, Field(gt=0, le=30)] = Field(
        default=5.0, description="samples a second in which faces are searched and scored"
    )
    keyframes_only_when_idle: bool = Field(
        default=False, description="decode key frames only while nobody watches and no face is in the picture"
    )
    evidence: bool = Field(default=False, description="keep a picture, the face and a clip of each fake event")

    node: Annotated[str, Field(max_length=80, pattern=r"^[0-9A-Za-z._:-]*$")] = Field(
        default="", description="node of a cluster that alone may watch it, for a device or network; any if empty"
    )

    @field_validator("title")
    @classmethod
    def _one_line(cls, title: str) -> str:
        if not title.isprintable():
            raise ValueError("expected a title of printable characters, on one line")
        return title


class MonitoringSettings(Section):
    """How cameras are watched."""

    open_timeout_s: Annotated[float, Field(gt=0, le=30)] = Field(
        default=4.5, description="a camera that has not answered by then is tried again later"
    )
    read_timeout_s: Annotated[float, Field(gt=0, le=30)] = Field(
        default=4.0, description="socket time-out of a running stream; bounds how long a stop takes"
    )
    stall_s: Annotated[float, Field(gt=0)] = Field(
        default=5.0, description="without a frame for so long a camera has stalled, even if it is connected"
    )
    backoff_first_s: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="pause before the second attempt; doubles, with jitter"
    )
    backoff_last_s: Annotated[float, Field(gt=0)] = Field(default=60.0, description="longest pause between attempts")
    backoff_reset_s: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="after so many good seconds the pauses begin at the first again"
    )
    refused_retry_s: Annotated[float, Field(gt=0)] = Field(
        default=300.0, description="pause after wrong credentials: cameras lock accounts that are tried too often"
    )
    offline_after_s: Annotated[float, Field(ge=0)] = Field(
        default=10.0, description="a camera not live for so long is an event; shorter drops are only history"
    )
    fake_rest_s: Annotated[float, Field(ge=0)] = Field(
        default=5.0, description="a fake event ends when the verdict was another for so long"
    )
    max_cameras: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=64, description="cameras at once; one more is refused, as Python's lock ends at some 50 live ones"
    )
    max_pixels: Annotated[int, Field(ge=76_800, le=100_000_000)] = Field(
        default=12_582_912,
        description="width times height (4096x3072); larger frames are refused before decoding: 8K takes 2 GB",
    )
    max_viewers: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=64, description="WHEP viewers of all cameras at once"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.backoff_first_s > self.backoff_last_s:
            raise ValueError("expected backoff_first_s <= backoff_last_s")
        return self
