"""Settings of WebRTC peers, and of the video that is sent to them."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from stream_detect.settings.section import Section


class IceServer(Section):
    """A STUN or TURN server, as in RTCIceServer."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: SecretStr | None = None


class WebRtcSettings(Section):
    """WebRTC peers."""

    max_sessions: Annotated[int, Field(ge=1, le=256)] = Field(
        default=4, description="streams at once; four hold 30 fps on two cores (README.md, figures)"
    )
    ice_servers: tuple[IceServer, ...] = Field(
        default=(), description="STUN and TURN servers, each with urls, username, credential; needed across NATs"
    )
    connect_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=10.0,
        description="a peer that is not connected by then is closed: browsers take one second, by a relay two",
    )
    max_pixels: Annotated[int, Field(ge=320 * 240)] = Field(
        default=9_437_184,
        description="of a peer's frame; a larger one ends its session before it is decoded, as each takes megabytes. "
        "The default is H.264's bound at level 5.1, enough for 4096x2304",
    )
    vanish_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=8.0, description="no frame and no ping for so long: the peer is gone"
    )
    min_uplink_bps: Annotated[int, Field(ge=50_000)] = Field(
        default=1_500_000, description="asked of a peer at least: 640x480 below it is too compressed to be judged"
    )


class VideoSettings(Section):
    """The video that is sent back, and to viewers."""

    h264: bool = Field(
        default=True, description="answer in H.264 by our own encoder when the peer takes it; else VP8 by aiortc"
    )
    min_bitrate_bps: Annotated[int, Field(ge=50_000)] = Field(
        default=200_000, description="the H.264 encoder's least, however narrow the peer's link is"
    )
    start_bitrate_bps: Annotated[int, Field(ge=50_000)] = Field(
        default=1_500_000, description="until the peer's first estimate of its link arrives"
    )
    max_bitrate_bps: Annotated[int, Field(ge=50_000)] = Field(
        default=4_000_000, description="the most, however wide the link is; small frames are given less"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min_bitrate_bps <= self.start_bitrate_bps <= self.max_bitrate_bps:
            raise ValueError("expected min_bitrate_bps <= start_bitrate_bps <= max_bitrate_bps")
        return self
