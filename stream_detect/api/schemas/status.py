"""Bodies of the status and readiness of the server, and of the model in use."""

from pydantic import ConfigDict, Field

from stream_detect.api.schemas import Body, Share


class ThresholdsBody(Body):
    """Hysteresis of the verdict on the window's fake_probability."""

    fake_enter: Share
    fake_leave: Share
    real_enter: Share
    real_leave: Share


class JudgeBody(Body):
    """The model in use."""

    name: str
    title: str
    sha256: str
    terms: str = Field(description="licence and conditions of use")
    limits: tuple[str, ...] = Field(description="known limits of the model, one sentence each")
    thresholds: ThresholdsBody


class IceServerBody(Body):
    """A STUN or TURN server, for RTCPeerConnection."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class StatusBody(Body):
    """What a client needs to know before it opens a session."""

    version: str
    model: JudgeBody
    window_s: float
    needed: int = Field(description="usable frames in the window that a verdict requires")
    stale_s: float = Field(description="a result older than this is shown as stale")
    sessions: int
    max_sessions: int
    ice_servers: tuple[IceServerBody, ...]
    review_urls: bool = Field(description="whether POST /api/analyses accepts an address (review.urls)")
    problems: tuple[str, ...] = Field(
        default=(), description="current problems, one sentence each; empty if all is well"
    )


class ReadyBody(Body):
    """Whether a stream can be judged."""

    # The route omits unset values: without problems there are no reasons.
    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    ready: bool
    reasons: tuple[str, ...] = ()
