"""Accounts: sign-in, sign-out, and changes of users, passwords and tokens. Blocks on the database and on Argon2."""

import time
from collections.abc import Callable
from typing import Final

from stream_detect.access.passwords import Passwords
from stream_detect.access.principal import TOKEN_PREFIX, Principal, digest_of, new_secret, user_name
from stream_detect.errors import ForbiddenError, NotFoundError, RequestError, SignInError
from stream_detect.settings import AccessSettings
from stream_detect.storage.records import new_id
from stream_detect.storage.users import ApiToken, Browser, StoredUsers, User, UserSession
from stream_detect.types import Role

_DAY_S: Final = 86_400.0
_UNKNOWN: Final = Browser()
_WRONG: Final = "expected the name and password of a user, received a wrong name or password"
MAX_TOKEN_DAYS: Final = 3_650


class Accounts:
    """Signs users in and manages them.

    Args:
        stored: the tables.
        settings: time limits of sessions, and the role of new users of single sign-on.
        passwords: hashes them.
        clock: returns unix seconds.
        entered: called with each new user of single sign-on.
    """

    def __init__(
        self,
        stored: StoredUsers,
        settings: AccessSettings,
        passwords: Passwords | None = None,
        clock: Callable[[], float] = time.time,
        entered: Callable[[User], None] = lambda _user: None,
    ) -> None:
        self._entered = entered
        self._stored = stored
        self._settings = settings
        self._passwords = passwords or Passwords()
        self._clock = clock

    def sign_in(self, name: str, password: str, browser: Browser = _UNKNOWN) -> str:
        """Starts a session.

        Duration and error are the same whether the user is unknown, disabled or without a password, or the password is
        wrong.

        Args:
            name: name of the user, in upper or lower case.
            password: as typed.
            browser: the user's browser.

        Returns:
            The value of the session cookie; only its digest is stored.

        Raises:
            SignInError: name or password is wrong.
            CapacityError: too many users are signing in.
        """
        try:
            user = self._stored.user(user_name(name))
        except (NotFoundError, RequestError):
            user = None
        right = self._passwords.matches(password, None if user is None else user.password_hash)
        if user is None or user.password_hash is None or user.disabled or not right:
            raise SignInError(_WRONG)
        weak = self._passwords.needs_rehash(user.password_hash)
        rehashed = self._passwords.rehashed(password) if weak else None
        secret, begun = self._new_session(user.name, browser)
        try:
            self._stored.begin_session(begun, user.password_hash, rehashed)
        except (NotFoundError, SignInError):  # it was changed while the password was compared
            raise SignInError(_WRONG) from None
        return secret

    def sign_in_from_elsewhere(self, name: str, browser: Browser = _UNKNOWN) -> str:
        """Starts a session for a user signed in by an OpenID Connect provider.

        Returns:
            The value of the session cookie.

        Raises:
            SignInError: the user is unknown or disabled.
        """
        secret, begun = self._new_session(self.enter_from_elsewhere(name).name, browser)
        self._stored.begin_session(begun)
        return secret

    def enter_from_elsewhere(self, name: str) -> User:
        """Returns the user named by single sign-on; a new one is added with `access.sso_role`.

        Raises:
            SignInError: the user is unknown and there is no role for new ones, or the user is disabled.
        """
        try:
            known = user_name(name)
        except RequestError as error:
            raise SignInError(f"single sign-on named a user with an invalid name: {error}") from None
        try:
            user = self._stored.user(known)
        except NotFoundError:
            if self._settings.sso_role is None:
                raise SignInError(
                    f"{known} is not in the list of users: an admin can add {known}, or set access.sso_role"
                ) from None
            user = User(known, self._settings.sso_role, None, created_s=self._clock())
            self._stored.add(user)
            self._entered(user)
        if user.disabled:
            raise SignInError(f"{known} is disabled; an admin can change that")
        return user

    def sign_out(self, cookie: str) -> None:
        """Ends the session of a cookie, if it exists."""
        self._stored.end_session(digest_of(cookie))

    def sign_out_everywhere(self, name: str) -> None:
        """Ends all sessions of a user.

        Raises:
            NotFoundError: there is no user of that name.
        """
        self._stored.end_sessions(self._stored.user(name).name)

    def end_session(self, session_id: str, user: str | None) -> str:
        """Ends one session.

        Args:
            session_id: id of the session.
            user: required user; None for any.

        Returns:
            Name of its user.

        Raises:
            NotFoundError: there is no session with that id, or it is another user's.
        """
        return self._stored.end_session_of(session_id, user)

    def change_password(self, name: str, current: str, new: str, browser: Browser = _UNKNOWN) -> str:
        """Changes a user's own password: all sessions of the user end, and a new one starts.

        Returns:
            The value of the new session cookie.

        Raises:
            ForbiddenError: the current password is wrong, or the user signs in without one.
            PasswordError: the new password is not allowed.
            SignInError: the user was disabled, or given another password, meanwhile.
        """
        proven = self._stored.user(name).password_hash
        if proven is None:
            raise ForbiddenError("expected a user with a password; single sign-on has yours: change it there")
        if not self._passwords.matches(current, proven):
            raise ForbiddenError("expected your current password, received a wrong one")
        secret, begun = self._new_session(name, browser)
        self._stored.change_password(begun, proven, self._passwords.hashed(new, name))
        return secret

    def users(self) -> list[User]:
        """All users, by name."""
        return self._stored.users()

    def add(self, name: str, role: Role, password: str) -> User:
        """Adds a user.

        Raises:
            RequestError: the name is invalid.
            PasswordError: the password is not allowed.
            ConflictError: the name is taken, or the first user would not be an admin.
        """
        known = user_name(name)
        added = User(known, role, self._passwords.hashed(password, known), created_s=self._clock())
        self._stored.add(added)
        return added

    def change(
        self, name: str, *, role: Role | None = None, disabled: bool | None = None, password: str | None = None
    ) -> User:
        """Changes the given values of a user. A new password or disabling the user ends all sessions.

        Raises:
            NotFoundError: there is no user of that name.
            PasswordError: the password is not allowed.
            ConflictError: no admin would be left.
        """
        user = self._stored.user(name)
        password_hash = None if password is None else self._passwords.hashed(password, user.name)
        return self._stored.change(user.name, role=role, disabled=disabled, password_hash=password_hash)

    def remove(self, name: str) -> None:
        """Removes a user with all sessions and tokens.

        Raises:
            NotFoundError: there is no user of that name.
            ConflictError: no admin would be left.
        """
        self._stored.remove(name)

    def tokens(self, owner: str | None) -> list[ApiToken]:
        """Tokens of a user, or of all users if None."""
        return self._stored.tokens(owner)

    def add_token(
        self, owner: Principal, name: str, role: Role, days: float | None, camera: str | None
    ) -> tuple[ApiToken, str]:
        """Creates a token.

        Args:
            owner: its owner, signed in as a user.
            name: its purpose.
            role: at most the owner's.
            days: days until it expires; None for never.
            camera: the only camera to which it may publish; None for other uses.

        Returns:
            Its record, and the token itself, which is not stored.

        Raises:
            ForbiddenError: the role exceeds the owner's, or the owner is not a user.
            ConflictError: the owner has a token of that name, or too many.
        """
        if owner.name is None:
            raise ForbiddenError("expected a signed-in user: tokens belong to users")
        if owner.camera is not None or not owner.role.covers(role):
            raise ForbiddenError(f"expected a role up to your own, {owner.role.value}, received {role.value}")
        if camera is not None and not role.covers(Role.OPERATOR):
            raise ForbiddenError(
                "expected the role operator for a token with which a camera is published, received viewer"
            )
        secret = TOKEN_PREFIX + new_secret()
        now_s = self._clock()
        expires_s = None if days is None else now_s + days * _DAY_S
        token = ApiToken(new_id(now_s), digest_of(secret), name, role, camera, owner.name, now_s, expires_s)
        self._stored.add_token(token)
        return token, secret

    def remove_token(self, token_id: str, owner: str | None) -> None:
        """Revokes a token.

        Args:
            token_id: id of the token.
            owner: required owner; None for any.

        Raises:
            NotFoundError: there is no token with that id, or it is another user's.
        """
        self._stored.remove_token(token_id, owner)

    def _new_session(self, name: str, browser: Browser) -> tuple[str, UserSession]:
        """The value of a cookie, and its session, which is not stored yet."""
        secret = new_secret()
        now_s = self._clock()
        expires_s = now_s + 3600 * self._settings.session_hours
        return secret, UserSession(digest_of(secret), name, now_s, now_s, expires_s, browser)
