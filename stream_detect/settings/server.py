"""Settings of the HTTP server and of the model that is used."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from stream_detect.settings.section import Section

_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?|[0-9A-Fa-f:.]+")
_PREFIX = re.compile(r"(/[0-9A-Za-z_-]+)+")
_OWN_PATHS = ("api", "assets", "docs", "healthz", "metrics", "readyz", "webrtc", "whep", "whip")
_ORIGIN = re.compile(r"https?://[^/\s@?#]+")
_USUAL_PORTS = {"http": ":80", "https": ":443"}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class ServerSettings(Section):
    """Where the server listens, and which requests it accepts."""

    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 is every address of this machine")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8080, description="TCP port; 0 takes any free one")
    token: SecretStr | None = Field(default=None, description="access token; required on any address but loopback")
    sign_in: bool = Field(
        default=False,
        description="people sign in as users, even while there is none yet; other addresses then need no token",
    )
    hosts: tuple[str, ...] = Field(
        default=(),
        description="host names accepted in the Host header, for a proxy; if empty: loopback only, or any with a token",
    )
    origins: tuple[str, ...] = Field(
        default=(), description="other sites whose pages may use the API, such as https://player.example"
    )
    proxies: tuple[str, ...] = Field(
        default=(), description="addresses of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted"
    )
    path_prefix: str = Field(
        default="",
        description="path under which a proxy serves this server, such as /detect; the proxy may strip it or pass it "
        "on",
    )
    tls_certificate: Path | None = Field(
        default=None, description="PEM file; browsers open a camera only on localhost or https"
    )
    tls_key: Path | None = Field(default=None, description="PEM file with the key of tls_certificate")
    tls: Literal["self_signed"] | None = Field(
        default=None,
        description="self_signed: instead of these files, a certificate is generated and kept in storage.folder",
    )
    tls_names: tuple[str, ...] = Field(
        default=(), description="host names and addresses in that certificate; if empty: localhost and server.host"
    )

    @property
    def speaks_tls(self) -> bool:
        """Whether it has a certificate, of either kind."""
        return self.tls is not None or self.tls_certificate is not None

    @field_validator("hosts", "tls_names")
    @classmethod
    def _names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"expected names or addresses without scheme and port, received {host!r}")
        return tuple(host.lower().strip("[]") for host in hosts)

    @field_validator("path_prefix")
    @classmethod
    def _prefix(cls, prefix: str) -> str:
        prefix = prefix.rstrip("/")
        first = prefix.split("/")[1] if prefix.startswith("/") else ""
        if prefix and (not _PREFIX.fullmatch(prefix) or first in _OWN_PATHS):
            raise ValueError(
                f"expected a path such as /detect, of letters, digits, - and _, other than /{', /'.join(_OWN_PATHS)}; "
                f"received {prefix!r}"
            )
        return prefix

    @field_validator("origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"expected scheme and host, such as https://player.example, received {origin!r}")
        return tuple(map(_as_sent, origins))

    @field_validator("proxies")
    @classmethod
    def _addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ip_network(proxy)  # its ValueError says what was expected
        return proxies

    @field_validator("token")
    @classmethod
    def _sendable(cls, token: SecretStr | None) -> SecretStr | None:
        value = token.get_secret_value() if token else ""
        if token is not None and (len(value) < 8 or not value.isascii() or not value.isprintable() or " " in value):
            raise ValueError("expected a token of at least 8 printable ASCII characters without spaces")
        return token

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            absent = "tls_key" if self.tls_key is None else "tls_certificate"
            raise ValueError(f"expected tls_certificate and tls_key together; {absent} is not set")
        if self.tls is not None and self.tls_certificate is not None:
            raise ValueError("expected either tls: self_signed or tls_certificate and tls_key, received both")
        if self.tls_names and self.tls is None:
            raise ValueError("expected tls: self_signed beside tls_names; a certificate's file has its own names")
        if self.token is None and not self.sign_in and not is_loopback(self.host):
            raise ValueError(
                f"{self.host} can be reached from other machines: set an access token (STREAM_DETECT_TOKEN or "
                "server.token), or server.sign_in for users who sign in, or keep host 127.0.0.1"
            )
        return self


def _as_sent(origin: str) -> str:
    """An origin as browsers send it: in lower case, without the port that its scheme implies (RFC 6454, 6.1)."""
    scheme, _, host = origin.lower().partition("://")
    return f"{scheme}://{host.removesuffix(_USUAL_PORTS[scheme])}"


class ModelSettings(Section):
    """Which bundle is used, and the backend that runs it."""

    name: str = Field(default="lite0-faces", description="name of a shipped bundle or of one in model.folder")
    folder: Path | None = Field(default=None, description="folder with further bundles")
    backend: Literal["openvino", "tensorflow"] = Field(
        default="openvino", description="inference backend: openvino, or tensorflow as the slow reference"
    )
    precision: Literal["auto", "int8", "bf16", "f32"] = Field(
        default="auto",
        description="auto: the fastest that the model card allows and the processor supports; f32: the same scores "
        "everywhere",
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="inference threads per call; batching does not help on a CPU"
    )
