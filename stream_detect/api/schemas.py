"""The bodies of the routes, as docs/protocol.md has them."""

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True)


class ThresholdsBody(_Body):
    """Hysteresis of the verdict on the window's fake_probability."""

    fake_enter: float
    fake_leave: float
    real_enter: float
    real_leave: float


class JudgeBody(_Body):
    """The model that judges."""

    name: str
    title: str
    sha256: str
    terms: str = Field(description="licence and conditions of use")
    limits: tuple[str, ...] = Field(description="what the model is known not to do, in sentences")
    thresholds: ThresholdsBody


class IceServerBody(_Body):
    """A STUN or TURN server, for RTCPeerConnection."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class StatusBody(_Body):
    """What the page needs to know before a session."""

    version: str
    model: JudgeBody
    window_s: float
    needed: int = Field(description="usable frames in the window before a verdict")
    stale_s: float = Field(description="a result older than this is shown as stale")
    sessions: int
    max_sessions: int
    ice_servers: tuple[IceServerBody, ...]


class ModelsBody(_Body):
    """All bundles found."""

    judging: str = Field(description="name of the model that judges")
    models: tuple[dict[str, object], ...] = Field(description="each bundle's card")


class JudgeNameBody(_Body):
    """The model that shall judge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=64, description="of the bundle")


class ReadyBody(_Body):
    """Whether a stream can be judged."""

    ready: bool
    reasons: tuple[str, ...] = ()
