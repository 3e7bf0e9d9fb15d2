"""Principals: who sent a request, and with which role."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final, Literal

from stream_detect.errors import RequestError
from stream_detect.types import Role

By = Literal["open", "settings_token", "token", "session", "proxy", "command_line"]
"""How a principal was recognised; "open": the server requires no sign-in."""

USER_NAME: Final = r"^[a-z0-9][a-z0-9._@+-]{0,63}$"
SECRET_BYTES: Final = 32
TOKEN_PREFIX: Final = "sd_"  # noqa: S105 - what all of them begin with
"""Prefix of API tokens, so that scanners for leaked secrets can recognise them."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The sender of a request.

    Args:
        role: role of the principal.
        by: how it was recognised.
        name: name of the user; None for the token in the settings, and if no sign-in is required.
        key: key of the credential, which is valid as long as `Directory.role_of` knows it.
        camera: the only camera to which it may publish; None for everything that the role allows.
    """

    role: Role
    by: By
    name: str | None = None
    key: str = "open"
    camera: str | None = None


def user_name(text: str) -> str:
    """Normalises a user name to lower case.

    Raises:
        RequestError: it is not a valid name.
    """
    name = text.strip().lower()
    if not text.isascii() or not re.fullmatch(USER_NAME, name):  # the Kelvin sign would become a k
        raise RequestError(
            "expected a user name of 1 to 64 letters a-z, digits and . _ @ + -, beginning with a letter or digit"
        )
    return name


def new_secret() -> str:
    """A random value for a cookie or token: 256 bits in URL-safe base64."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: bytes | str) -> str:
    """SHA-256 of a secret, 64 hexadecimal digits, which is stored instead of it. 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).hexdigest()


def session_key(digest: str) -> str:
    """`Principal.key` of the session with a digest."""
    return f"session {digest}"
