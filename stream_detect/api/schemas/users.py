"""Bodies of sign-ins, users, sessions and tokens. A password is never returned, a token only once."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from stream_detect.access.accounts import MAX_TOKEN_DAYS
from stream_detect.access.passwords import MAX_LENGTH
from stream_detect.access.principal import By, session_key
from stream_detect.api.schemas import Body
from stream_detect.settings.cameras import CameraName
from stream_detect.storage.users import ApiToken, User, UserSession
from stream_detect.types import Role


def _encodable(text: str) -> str:
    """JSON may contain lone surrogates, which can be neither hashed nor stored."""
    if not text.isascii() and any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise ValueError("expected whole Unicode characters")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected printable characters only")
    return text


def _encodable_secret(secret: SecretStr) -> SecretStr:
    _encodable(secret.get_secret_value())
    return secret


Password = Annotated[SecretStr, Field(min_length=1, max_length=MAX_LENGTH), AfterValidator(_encodable_secret)]
Named = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_encodable), AfterValidator(_printable)]


class _Asked(Body):
    model_config = ConfigDict(extra="forbid")


class SignInBody(Body):
    """How users sign in."""

    needed: bool = Field(description="whether requests need credentials")
    password: bool = Field(description="whether there are users with passwords")
    oidc: str | None = Field(description="name of the OpenID Connect provider; null if not configured")


class MeBody(Body):
    """The sender of a request."""

    name: str | None = Field(description="name of the user; null: nobody is signed in")
    role: Role | None = Field(description="null: nobody is signed in")
    by: By | None
    sign_in: SignInBody


class CredentialsBody(_Asked):
    """Name and password of a user."""

    name: Named
    password: Password


class PasswordChangeBody(_Asked):
    """A new password for the user's own account."""

    current: Password
    new: Password


class UserBody(Body):
    """A user."""

    name: str
    role: Role
    disabled: bool
    created_at: float = Field(description="Unix time in seconds")
    last_sign_in_at: float | None = Field(description="Unix time in seconds")

    @classmethod
    def of(cls, user: User) -> "UserBody":
        """The user without the password hash."""
        return cls(
            name=user.name,
            role=user.role,
            disabled=user.disabled,
            created_at=user.created_s,
            last_sign_in_at=user.last_sign_in_s,
        )


class UsersBody(Body):
    """All users."""

    items: tuple[UserBody, ...]


class NewUserBody(_Asked):
    """A user to be added."""

    name: Named
    role: Role
    password: Password


class UserChangeBody(_Asked):
    """Changes of a user."""

    role: Role | None = None
    disabled: bool | None = None
    password: Password | None = None


class SessionBody(Body):
    """A session of a user: a signed-in browser."""

    id: str
    user: str
    began_at: float = Field(description="Unix time in seconds")
    seen_at: float = Field(description="time of its last request, Unix time in seconds")
    expires_at: float = Field(description="Unix time in seconds; a session without requests ends earlier")
    address: str = Field(description="IP address of the browser at the sign-in; empty if unknown")
    user_agent: str = Field(description="the browser's User-Agent; empty if unknown")
    current: bool = Field(description="whether this is the session of the request")


class SessionsBody(Body):
    """Sessions of users, most recently used first."""

    items: tuple[SessionBody, ...]

    @classmethod
    def of(cls, sessions: Sequence[UserSession], asking: str) -> "SessionsBody":
        """Sessions from the point of view of the session with a key (`Principal.key`)."""
        return cls(items=tuple(_session(session, asking) for session in sessions))


class TokenBody(Body):
    """A token, without its value."""

    id: str
    name: str
    role: Role
    camera: str | None = Field(description="if set, the token may only publish to this camera")
    owner: str
    created_at: float = Field(description="Unix time in seconds")
    expires_at: float | None = Field(description="Unix time in seconds")
    last_used_at: float | None = Field(description="Unix time in seconds, updated once a minute")

    @classmethod
    def of(cls, token: ApiToken) -> "TokenBody":
        """The token without its digest."""
        return cls(**_token(token))


class TokensBody(Body):
    """Tokens."""

    items: tuple[TokenBody, ...]


class NewTokenBody(_Asked):
    """A token to be created."""

    name: Named
    role: Role
    expires_in_days: Annotated[float, Field(gt=0, le=MAX_TOKEN_DAYS)] | None = None
    camera: CameraName | None = None


class MadeTokenBody(TokenBody):
    """A new token with its value, which is shown only once."""

    token: str

    @classmethod
    def with_value(cls, token: ApiToken, value: str) -> "MadeTokenBody":
        """The token with its value."""
        return cls(**_token(token), token=value)


def _session(session: UserSession, asking: str) -> SessionBody:
    return SessionBody(
        id=session.id,
        user=session.user,
        began_at=session.began_s,
        seen_at=session.seen_s,
        expires_at=session.expires_s,
        address=session.browser.address,
        user_agent=session.browser.user_agent,
        current=session_key(session.digest) == asking,
    )


def _token(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "camera": token.camera,
        "owner": token.owner,
        "created_at": token.created_s,
        "expires_at": token.expires_s,
        "last_used_at": token.last_used_s,
    }
