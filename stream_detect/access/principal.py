"""Principals: who sent a request, and with which role."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final, Literal

from stream_detect.errors import RequestError
from stream_detect.types import Role

By = Literal["open", "settings_token", "token", "session", "proxy", "command_line"]
"""How a principal was recognised; "open": the server asks nobody."""

USER_NAME: Final = r"^[a-z0-9][a-z0-9._@+-]{0,63}$"
SECRET_BYTES: Final = 32
TOKEN_PREFIX: Final = "sd_"  # noqa: S105 - what all of them begin with
"""Of API tokens, so that scanners for leaked secrets can know them."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a request comes from.

    Args:
        role: what the principal may do.
        by: how it was recognised.
        name: of the user; None for the settings' token and where the server asks nobody.
        key: of the credential: as long as `Directory.role_of` knows it, it stands.
        camera: it may only publish to this camera; None for all that the role allows.
    """

    role: Role
    by: By
    name: str | None = None
    key: str = "open"
    camera: str | None = None


def user_name(text: str) -> str:
    """A user's name in the form in which it is kept: lower case.

    Raises:
        RequestError: it cannot be a name.
    """
    name = text.strip().lower()
    if not re.fullmatch(USER_NAME, name):
        raise RequestError(
            "expected a user name of 1 to 64 letters a-z, digits and . _ @ + -, beginning with a letter or digit"
        )
    return name


def new_secret() -> str:
    """An unguessable value for a cookie or token: 256 random bits, in URL-safe base64."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: bytes | str) -> str:
    """SHA-256 of a secret, 64 hexadecimal digits: what is kept of it. Of 256 random bits no slow hash is needed."""
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).hexdigest()


def session_key(digest: str) -> str:
    """`Principal.key` of whom the session of a digest belongs to."""
    return f"session {digest}"
