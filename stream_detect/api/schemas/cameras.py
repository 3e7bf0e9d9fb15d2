"""Bodies of cameras and of their history, as a client sends and receives them. No password is returned."""

from typing import Literal, Self

from pydantic import Field, SecretStr

from stream_detect.api.schemas import Body, Share
from stream_detect.cameras.status import CameraStatus
from stream_detect.settings import CameraSettings
from stream_detect.settings.cameras import CameraName
from stream_detect.sources.address import parse_address
from stream_detect.types import CameraState, FeedState, Result, StateChange, VerdictState

Origin = Literal["file", "api"]


class CameraChange(CameraSettings):
    """New settings of a camera, or settings to test. Omitted values take their defaults, except the address."""

    name: CameraName | None = Field(default=None, description="name of the camera")  # type: ignore[assignment]
    url: SecretStr | None = Field(  # type: ignore[assignment]
        default=None, description="new address; to keep the current one, omit it or send it as it was shown"
    )

    def settings(self, name: str, url: SecretStr) -> CameraSettings:
        """The settings of the camera with that name and address."""
        return CameraSettings(**{**dict(self), "name": name, "url": url})


class ShownSettings(Body):
    """A camera's settings as they may be shown."""

    url: str = Field(description="address with passwords replaced by ***")
    transport: Literal["tcp", "udp"]
    loop: bool
    rate_hz: float
    keyframes_only_when_idle: bool
    evidence: bool
    node: str = Field(description="the only node of a cluster that may watch the camera; any node if empty")


class CountsBody(Body):
    """Counters since the camera was started."""

    pictures: int
    analysed: int
    dropped_samples: int
    decode_errors: int
    reconnects: int
    received_bytes: int


class VerdictBody(Body):
    """The newest verdict."""

    state: VerdictState
    reason: str
    fake_probability: Share | None
    faces: int
    age_s: float
    feed: FeedState = Field(description="whether the video is live, frozen or looped")
    feed_reason: str = Field(description="why the video counts as frozen or looped; empty while it is live")

    @classmethod
    def of(cls, result: Result, age_s: float) -> Self:
        """The verdict of a result, with its age in seconds."""
        verdict = result.verdict
        share = verdict.fake_probability
        return cls(
            state=verdict.state,
            reason=result.error or verdict.reason,
            fake_probability=None if share is None else round(share, 4),
            faces=len(result.tracks),
            age_s=round(age_s, 2),
            feed=result.feed,
            feed_reason=result.feed_reason,
        )


class CameraBody(Body):
    """A camera."""

    name: str
    title: str
    origin: Origin = Field(description="file: defined in the settings file, read-only here; api: added by this API")
    enabled: bool
    settings: ShownSettings
    state: CameraState
    reason: str
    since_s: float
    retry_at_s: float | None
    width: int | None
    height: int | None
    codec: str
    fps: float
    viewers: int
    node: str | None = Field(
        description="node of the cluster that watches the camera at present; null if none does, or without a cluster"
    )
    counts: CountsBody
    verdict: VerdictBody | None = Field(
        description="the newest verdict; null unless the camera is live and has a result"
    )

    @classmethod
    def of(cls, settings: CameraSettings, origin: Origin, status: CameraStatus) -> Self:
        """A camera as it is listed.

        Args:
            settings: its settings.
            origin: where it was defined.
            status: its status.
        """
        width, height = status.wh or (None, None)
        live = status.change.state is CameraState.LIVE
        verdict = status.result if live else None
        counts = status.counts
        return cls(
            name=settings.name,
            title=settings.title or settings.name,
            origin=origin,
            enabled=settings.enabled,
            settings=shown(settings, origin),
            state=status.change.state,
            reason=status.change.reason,
            since_s=status.change.at_s,
            retry_at_s=status.retry_at_s,
            width=width,
            height=height,
            codec=status.codec,
            fps=round(status.fps, 1),
            viewers=status.viewers,
            node=status.node or None,
            counts=CountsBody(
                pictures=counts.pictures,
                analysed=counts.analysed,
                dropped_samples=counts.dropped_samples,
                decode_errors=counts.decode_errors,
                reconnects=counts.reconnects,
                received_bytes=counts.received_bytes,
            ),
            verdict=None if verdict is None else VerdictBody.of(verdict, status.result_age_s or 0.0),
        )


def shown(settings: CameraSettings, origin: Origin) -> ShownSettings:
    """A camera's settings without the secrets in its address."""
    address = parse_address(settings.url.get_secret_value(), from_settings_file=origin == "file")
    return ShownSettings(
        url=address.shown,
        transport=settings.transport,
        loop=settings.loop,
        rate_hz=settings.rate_hz,
        keyframes_only_when_idle=settings.keyframes_only_when_idle,
        evidence=settings.evidence,
        node=settings.node,
    )


class CamerasBody(Body):
    """All cameras, by name."""

    items: tuple[CameraBody, ...]


class AppliedBody(Body):
    """Result of reloading the settings file: names of cameras."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    after_restart: tuple[str, ...] = Field(
        description="other sections that were changed; they take effect after a restart"
    )


class ConnectionBody(Body):
    """Result of testing a camera's address."""

    ok: bool
    detail: str
    codec: str = ""
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    picture: str | None = Field(default=None, description="a small JPEG as a data URL")


class StateBody(Body):
    """A camera's state in a stream or a history."""

    state: CameraState
    reason: str
    at_s: float

    @classmethod
    def of(cls, change: StateChange) -> Self:
        """A change of state as JSON."""
        return cls(state=change.state, reason=change.reason, at_s=change.at_s)


class RemovedBody(Body):
    """A camera was removed."""

    name: str


ScoreRow = tuple[int, Share | None, Share | None, Share | None, VerdictState]
"""at_s, low, mean, high, state: compact, because a day has many."""


class ScoresBody(Body):
    """Scores of a camera, oldest first."""

    step_s: int
    items: tuple[ScoreRow, ...] = Field(description="[at_s, low, mean, high, state]")


class StatesBody(Body):
    """States that a camera entered, oldest first, including the state at the start."""

    items: tuple[StateBody, ...]
