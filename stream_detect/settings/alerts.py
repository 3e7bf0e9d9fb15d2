"""Who is told of events."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from stream_detect.settings.section import Section

AlertKind = Literal["fake", "offline"]


class AlertSettings(Section):
    """What holds for all ways of telling."""

    min_interval_s: Annotated[float, Field(ge=0)] = Field(
        default=60.0, description="of one camera and kind at most one alert in so long; events are kept all the same"
    )


class WebhookSettings(Section):
    """An address that events are sent to."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] = Field(description="in status and metrics")
    url: SecretStr = Field(description="http(s) address; may carry a token, so it is never shown")
    secret: SecretStr | None = Field(default=None, description="key of the HMAC-SHA256 signature")
    kinds: tuple[AlertKind, ...] = Field(default=("fake", "offline"), description="events that it is told of")


class MqttSettings(Section):
    """An MQTT broker that states and events are published to."""

    url: str | None = Field(default=None, description="mqtt://host:1883 or mqtts://host:8883; off if not set")
    username: str | None = Field(default=None, description="of the broker")
    password: SecretStr | None = Field(default=None, description="of the broker")
    prefix: Annotated[str, Field(pattern=r"^[^#+\s/]+(/[^#+\s/]+)*$")] = Field(
        default="stream-detect", description="first part of all topics"
    )
    discovery_prefix: str | None = Field(
        default="homeassistant", description="where Home Assistant looks for devices; null switches discovery off"
    )
