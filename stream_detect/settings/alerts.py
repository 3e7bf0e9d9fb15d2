"""Settings of notifications: the rate limit, webhooks and the MQTT broker."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from stream_detect.settings.section import Secret, Section

AlertKind = Literal["fake", "offline", "frozen", "looped"]


class AlertSettings(Section):
    """Settings of all notifiers."""

    min_interval_s: Annotated[float, Field(ge=0)] = Field(
        default=60.0, description="at most one alert of a camera and kind in this time; all events are kept"
    )


class WebhookSettings(Section):
    """An address that events are sent to."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] = Field(description="name in status and metrics")
    url: SecretStr = Field(description="http(s) URL; may contain a token, so it is never shown")
    secret: Secret | None = Field(default=None, description="key of the HMAC-SHA256 signature")
    kinds: tuple[AlertKind, ...] = Field(
        default=("fake", "offline", "frozen", "looped"), description="kinds of events that are sent to it"
    )

    @field_validator("name")
    @classmethod
    def _not_the_broker(cls, name: str) -> str:
        if name == "mqtt":
            raise ValueError("expected another name: this one is used for the MQTT broker")
        return name

    @field_validator("url")
    @classmethod
    def _http(cls, url: SecretStr) -> SecretStr:
        if not _has_host(url.get_secret_value(), {"http", "https"}):
            raise ValueError("expected an address http://host/... or https://host/...")
        return url


class MqttSettings(Section):
    """An MQTT broker that states and events are published to."""

    url: SecretStr | None = Field(default=None, description="mqtt://host:1883 or mqtts://host:8883; off if not set")
    username: str | None = Field(default=None, description="user name at the broker")
    password: SecretStr | None = Field(default=None, description="password at the broker")
    prefix: Annotated[str, Field(pattern=r"^[^#+\s/]+(/[^#+\s/]+)*$")] = Field(
        default="stream-detect", description="first level of all topics"
    )
    discovery_prefix: str | None = Field(
        default="homeassistant", description="discovery prefix of Home Assistant; null switches discovery off"
    )

    @field_validator("url")
    @classmethod
    def _broker(cls, url: SecretStr | None) -> SecretStr | None:  # secret, for those who put the password here
        if url is not None and not _is_bare(url.get_secret_value()):
            raise ValueError(
                "expected mqtt://host:port or mqtts://host:port; username and password have their own keys"
            )
        return url


def _is_bare(url: str) -> bool:
    """Whether an address is a broker's host and port, and nothing more."""
    return "@" not in url and _has_host(url, {"mqtt", "mqtts"}) and not urlsplit(url).path.strip("/")


def _has_host(url: str, schemes: set[str]) -> bool:
    """Whether an address is one of these schemes, with a host and, if it has a port, a usable one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
