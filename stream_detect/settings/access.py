"""Settings of sign-in, single sign-on and the audit log."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from stream_detect.settings.section import Secret, Section
from stream_detect.types import Role


class AccessSettings(Section):
    """Sessions of users, and single sign-on."""

    session_idle_minutes: Annotated[float, Field(ge=1, le=10_080)] = Field(
        default=30.0, description="a sign-in ends after this long without a request (OWASP ASVS 3.3.2)"
    )
    session_hours: Annotated[float, Field(ge=0.1, le=8_760)] = Field(
        default=12.0, description="a sign-in ends after this long in any case (OWASP ASVS 3.3.2)"
    )
    proxy_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        description="header in which a reverse proxy names the user that it signed in, such as X-Remote-User",
    )
    proxy_addresses: tuple[str, ...] = Field(
        default=(), description="addresses or networks from which proxy_header is trusted; required with it"
    )
    oidc_issuer: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="OpenID Connect provider, such as https://login.example.org/realms/main",
    )
    oidc_client_id: str | None = Field(
        default=None, min_length=1, description="client id of this server at the provider"
    )
    oidc_client_secret: Secret | None = Field(
        default=None, description="client secret of this server at the provider, if any"
    )
    oidc_title: str = Field(default="single sign-on", description="name of the provider, shown on the sign-in button")
    oidc_claim: str = Field(
        default="preferred_username",
        pattern=r"^[A-Za-z0-9_.:/-]{1,128}$",
        description="claim of the ID token with the user's name; users must not be able to change it at the provider",
    )
    sso_role: Role | None = Field(
        default=None,
        description="role of users who sign in by single sign-on and are not listed yet; if not set, they are refused",
    )

    @field_validator("proxy_addresses")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            ip_network(address)  # its ValueError says what was expected
        return addresses

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.proxy_header is None) != (not self.proxy_addresses):
            raise ValueError(
                "expected proxy_header and proxy_addresses together: the header is trusted only from these addresses"
            )
        if (self.oidc_issuer is None) != (self.oidc_client_id is None):
            raise ValueError("expected oidc_issuer and oidc_client_id together")
        return self


class AuditSettings(Section):
    """The audit log."""

    days: Annotated[int, Field(ge=1)] = Field(default=365, description="entries older than this are deleted")
    file: Path | None = Field(
        default=None,
        description="file that entries are appended to as well, as JSON lines for a log collector; may be rotated",
    )
