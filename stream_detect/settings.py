"""Settings: built-in defaults, then the settings file, then the environment; read at the composition root only.

Every other room gets the part that concerns it by constructor. Each value has its unit in its name and its reason here.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Section(BaseModel):
    """A part of the settings: unknown keys are errors, values do not change after start."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(Section):
    """Where the server listens and who may come in."""

    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 is every address of this machine")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8080, description="TCP port; 0 takes any free one")
    token: SecretStr | None = Field(default=None, description="access token; needed on any address but loopback")
    tls_certificate: Path | None = Field(
        default=None, description="PEM file; browsers open a camera only on localhost or https"
    )
    tls_key: Path | None = Field(default=None, description="PEM file that belongs to tls_certificate")

    @field_validator("token")
    @classmethod
    def _sendable(cls, token: SecretStr | None) -> SecretStr | None:
        value = token.get_secret_value() if token else ""
        if token and (len(value) < 8 or not value.isascii() or not value.isprintable() or " " in value):
            raise ValueError("a token has at least 8 printable ASCII characters and no space")
        return token

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            absent = "tls_key" if self.tls_key is None else "tls_certificate"
            raise ValueError(f"expected tls_certificate and tls_key together; {absent} is not set")
        if self.token is None and not is_loopback(self.host):
            raise ValueError(
                f"{self.host} can be reached from other machines: set an access token (STREAM_DETECT_TOKEN or "
                "server.token), or keep host 127.0.0.1"
            )
        return self


class ModelSettings(Section):
    """Which bundle judges, and what runs it."""

    name: str = Field(default="meso4-dfdc", description="name of a shipped bundle or of one in models.folder")
    folder: Path | None = Field(default=None, description="folder with further bundles")
    backend: Literal["openvino", "tensorflow"] = Field(
        default="openvino", description="what runs it: openvino, or tensorflow as the slow reference"
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="inference threads a call: batching does not help on a CPU"
    )


class FaceSettings(Section):
    """Face detection and tracks."""

    detector: Literal["full", "short"] = Field(
        default="full", description="BlazeFace range: full finds faces to 5 m, short to 2 m at a third of the time"
    )
    rate_hz: Annotated[float, Field(gt=0, le=60)] = Field(
        default=10.0, description="samples a second of stream time in which faces are searched"
    )
    min_score: Share = Field(
        default=0.6,
        description="detector confidence below which a box is no face (MediaPipe's full-range graph uses .6)",
    )
    begin_score: Share = Field(
        default=0.7,
        description="detector confidence that begins a track; a drawn shape reached .65, real faces pass .7",
    )
    min_iou: Share = Field(
        default=0.2, description="overlap of a face with its track's expected box; a jump of two thirds of its width"
    )
    lost_s: Annotated[float, Field(gt=0)] = Field(
        default=0.7, description="a track without a face for so long ends; bridges a hand before the face"
    )
    max_faces: Annotated[int, Field(ge=1, le=64)] = Field(
        default=8, description="largest faces kept a frame, so that a crowd cannot stall the analysis"
    )


class QualitySettings(Section):
    """What a face must be for its score to count. A refused face is named, never guessed at."""

    min_face_px: Annotated[int, Field(ge=16)] = Field(
        default=64, description="shorter side of the face's box; below it a 256 px crop is mostly interpolation"
    )
    max_outside: Share = Field(
        default=0.2, description="share of the face's box beyond the frame's edge; training crops reach .2"
    )
    min_detector_score: Share = Field(
        default=0.65, description="detector confidence below which a face is tracked but not judged"
    )
    max_yaw: Share = Field(
        default=0.6,
        description="nose offset from the middle of the eyes / eye distance; above it the face is in profile",
    )
    min_luma: Share = Field(
        default=0.12, description="mean brightness of the face; below it is too dark (of 820 faces none, p1 is .15)"
    )
    max_blown: Share = Field(
        default=0.25, description="share of the face at 250 of 255 or more: overexposed (of 820 faces none, p99 is .1)"
    )
    min_sharpness: Share = Field(
        default=0.6,
        description="share of a face's detail that a blur takes: refuses 1% of DFDC faces, 99% blurred by face/64",
    )


class WindowSettings(Section):
    """The sliding window of scores behind a verdict.

    Scores of neighbouring frames are much alike (lag-1 correlation about .9): more of them a second cost time and tell
    nearly nothing new; a longer look does.
    """

    score_rate_hz: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5.0, description="scores a second of stream time and face; more are near copies of each other"
    )
    length_s: Annotated[float, Field(gt=0, le=600)] = Field(
        default=10.0, description="stream time that the window looks back"
    )
    min_scores: Annotated[int, Field(ge=1)] = Field(
        default=12, description="admitted scores in the window before a verdict: 2.2 s of a good picture"
    )
    min_dwell_s: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="a verdict stands at least this long before the next one, so that it can be read"
    )
    expire_s: Annotated[float, Field(gt=0)] = Field(
        default=3.0, description="without an admitted score for so long, a track's evidence is dropped: gathering again"
    )
    gap_s: Annotated[float, Field(gt=0)] = Field(
        default=2.0, description="a hole this long in stream time begins everything anew: nobody saw who sat down"
    )
    stale_s: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="wall clock after which the badge shows that no result came"
    )

    @model_validator(mode="after")
    def _verdict_is_reachable(self) -> Self:
        most = self.length_s * self.score_rate_hz
        if self.min_scores > most:
            raise ValueError(
                f"expected min_scores of at most length_s * score_rate_hz = {most:g}, received {self.min_scores}: "
                "no verdict would ever be reached; lower min_scores, or lengthen the window"
            )
        return self


class WebRtcSettings(Section):
    """WebRTC peers."""

    max_sessions: Annotated[int, Field(ge=1, le=256)] = Field(
        default=4, description="streams at once; four hold 30 fps on two cores (README.md, figures)"
    )
    ice_servers: tuple["IceServer", ...] = Field(
        default=(), description="STUN and TURN servers, each with urls, username, credential; needed across NATs"
    )
    connect_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="a peer that is not connected by then is closed"
    )
    vanish_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=8.0, description="no frame and no ping for so long: the peer is gone"
    )
    min_uplink_bps: Annotated[int, Field(ge=50_000)] = Field(
        default=1_500_000, description="asked of a peer at least: 640x480 below it is too compressed to be judged"
    )


class IceServer(Section):
    """A STUN or TURN server, as in RTCIceServer."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: SecretStr | None = None


class VideoSettings(Section):
    """The picture that goes back."""

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
        default=4_000_000, description="the most, however wide the link is; small pictures are given less"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min_bitrate_bps <= self.start_bitrate_bps <= self.max_bitrate_bps:
            raise ValueError("expected min_bitrate_bps <= start_bitrate_bps <= max_bitrate_bps")
        return self


class Settings(Section):
    """All of it."""

    server: ServerSettings = ServerSettings()
    model: ModelSettings = ModelSettings()
    faces: FaceSettings = FaceSettings()
    quality: QualitySettings = QualitySettings()
    window: WindowSettings = WindowSettings()
    webrtc: WebRtcSettings = WebRtcSettings()
    video: VideoSettings = VideoSettings()
