"""The directory: identifies the sender of a request, by a copy in memory of all users, sessions and tokens.

The copy is refreshed within a second of each change, whoever made it (`refresh`), so that what was revoked stops
working, no request waits for the database, and requests are answered while the database is away.
"""

import hmac
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from pydantic import SecretStr

from stream_detect.access.principal import Principal, digest_of, session_key, user_name
from stream_detect.backoff import Outage
from stream_detect.errors import RequestError, StorageError
from stream_detect.settings import AccessSettings, ServerSettings, is_loopback
from stream_detect.storage.users import ApiToken, StoredUsers, User, UserSession
from stream_detect.types import Role

NOTE_EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignIn:
    """Credentials that a client has to send.

    Args:
        needed: False if the server requires no sign-in.
        password: whether there are users with passwords.
        oidc: name of the OpenID Connect provider; None without one.
    """

    needed: bool
    password: bool
    oidc: str | None


class Directory:
    """Finds the owners of credentials. Thread-safe.

    Args:
        stored: the tables.
        server: the address of the server, and the token in the settings.
        access: time limits of sessions, and single sign-on.
        clock: returns unix seconds.

    Raises:
        StorageError: the tables cannot be read.
    """

    def __init__(
        self,
        stored: StoredUsers,
        server: ServerSettings,
        access: AccessSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stored = stored
        self._access = access
        self._clock = clock
        self._may_be_open = is_loopback(server.host) and not server.sign_in
        self._may_be_open &= access.proxy_header is None and access.oidc_issuer is None
        # With a token any `Host` is served (`Served`), also to a site that makes its name lead here: a reload that
        # removes the token must not let everybody in.
        self._may_be_open &= server.token is None
        self._lock = threading.Lock()
        self._rereading = threading.RLock()  # one at a time: an older copy must not replace a newer one
        self._entitled = stored.read()
        self._seen: dict[str, float] = {}
        self._used: dict[str, float] = {}
        self._noted_s = clock()
        self._outage = Outage(_log, "users, sessions and tokens")
        self._settings_digest: str | None = None
        self.replace_token(server.token)

    def replace_token(self, token: SecretStr | None) -> bool:
        """Replaces the token in the settings; the previous one is rejected from now on.

        A server that started with a token requires credentials until it is restarted.

        Returns:
            Whether it is another one.
        """
        before = self._settings_digest
        self._settings_digest = None if token is None else digest_of(token.get_secret_value())
        return before != self._settings_digest

    @property
    def is_open(self) -> bool:
        """Whether no sign-in is required: on a loopback address, without a token, users and single sign-on."""
        return self._may_be_open and self._settings_digest is None and not self._entitled.users

    def sign_in(self) -> SignIn:
        """Credentials that a client without any has to send."""
        users = self._entitled.users.values()
        return SignIn(
            needed=not self.is_open,
            password=any(user.password_hash is not None for user in users),
            oidc=self._access.oidc_title if self._access.oidc_issuer else None,
        )

    def refresh(self) -> bool:
        """Rereads the tables if they changed, and stores times of last use now and then. Blocks.

        While the database cannot be used, the last state applies.

        Returns:
            Whether they were reread.
        """
        with self._rereading:
            return self._reread()

    def _reread(self) -> bool:
        try:
            changed = self._stored.version() != self._entitled.version
            if changed:
                self._entitled = self._stored.read()
            if not 0 <= self._clock() - self._noted_s < NOTE_EVERY_S:  # below 0 the clock was set back
                self.note_use()
        except StorageError as error:
            self._outage.failed(f"those that were read last hold: {error}")
            return False
        self._outage.ended()
        return changed

    def note_use(self) -> None:
        """Stores which sessions and tokens were used since the last call. Blocks.

        Raises:
            StorageError: they cannot be written.
        """
        with self._rereading:
            self._noted_s = self._clock()
            with self._lock:
                seen, used = dict(self._seen), dict(self._used)
            if not seen and not used:
                return
            self._stored.note_use(seen, used)
            self._entitled = self._stored.read()
        with self._lock:
            for noted, uses in ((seen, self._seen), (used, self._used)):
                for digest, at_s in noted.items():
                    if uses.get(digest) == at_s:
                        del uses[digest]

    def anybody(self) -> Principal | None:
        """The principal of a client without credentials; None if credentials are required."""
        return Principal(Role.ADMIN, "open") if self.is_open else None

    def by_bearer(self, token: bytes, *, in_use: bool = True) -> Principal | None:
        """Owner of a token, in the settings or of a user. None for a wrong, expired or revoked one.

        Args:
            token: as sent.
            in_use: whether this counts as use.
        """
        digest = digest_of(token)
        if self._settings_digest is not None and hmac.compare_digest(digest, self._settings_digest):
            return Principal(Role.ADMIN, "settings_token", key=f"settings {digest}")
        found = self._entitled.tokens.get(digest)
        role = None if found is None else self._role_of_token(found)
        if found is None or role is None:
            return None
        if in_use:
            self._note(self._used, digest)
        return Principal(role, "token", found.owner, f"token {digest}", found.camera)

    def by_cookie(self, value: bytes, *, in_use: bool = True) -> Principal | None:
        """Owner of a session cookie; None if it is unknown, expired or ended.

        Args:
            value: value of the cookie.
            in_use: whether this counts as use.
        """
        digest = digest_of(value)
        found = self._entitled.sessions.get(digest)
        role = None if found is None else self._role_of_session(found)
        if found is None or role is None:
            return None
        if in_use:
            self._note(self._seen, digest)
        return Principal(role, "session", found.user, session_key(digest))

    def by_proxy(self, name: str) -> Principal | None:
        """The user named by a trusted proxy; None if unknown or disabled."""
        try:
            known = self._entitled.users.get(user_name(name))
        except RequestError:
            return None
        if known is None or known.disabled:
            return None
        return Principal(known.role, "proxy", known.name, f"proxy {known.name}")

    def known_as(self, text: str) -> str:
        """Name of the user that a text refers to; empty if there is none."""
        try:
            name = user_name(text)
        except RequestError:
            return ""
        return name if name in self._entitled.users else ""

    def knows(self, name: str) -> bool:
        """Whether there is a user of that name, disabled or not."""
        return name in self._entitled.users

    def sessions(self, user: str) -> list[UserSession]:
        """Current sessions of a user, most recently used first."""
        own = (session for session in self._entitled.sessions.values() if session.user == user)
        standing = (replace(one, seen_s=self._seen_s(one)) for one in own if self._role_of_session(one) is not None)
        return sorted(standing, key=lambda session: session.seen_s, reverse=True)

    def role_of(self, key: str, *, in_use: bool = False) -> Role | None:
        """Current role of a credential; None if it was revoked or has expired.

        Args:
            key: `Principal.key`.
            in_use: whether a stream is using it, which counts as a request.
        """
        kind, _, of = key.partition(" ")
        if kind == "open":
            return Role.ADMIN if self.is_open else None
        if kind == "settings":
            return Role.ADMIN if self._settings_digest is not None and of == self._settings_digest else None
        if kind == "session":
            session = self._entitled.sessions.get(of)
            role = None if session is None else self._role_of_session(session)
            if in_use and role is not None:
                self._note(self._seen, of)
            return role
        if kind == "token":
            token = self._entitled.tokens.get(of)
            return None if token is None else self._role_of_token(token)
        return self._role_of_user(self._entitled.users.get(of))

    def _note(self, uses: dict[str, float], digest: str) -> None:
        with self._lock:
            uses[digest] = self._clock()

    def _role_of_user(self, user: User | None) -> Role | None:
        return None if user is None or user.disabled else user.role

    def _role_of_token(self, token: ApiToken) -> Role | None:
        """The lesser of its own role and its owner's."""
        owner = self._role_of_user(self._entitled.users.get(token.owner))
        if owner is None or (token.expires_s is not None and token.expires_s <= self._clock()):
            return None
        return token.role if owner.covers(token.role) else owner

    def _role_of_session(self, session: UserSession) -> Role | None:
        now_s = self._clock()
        # The settings may have changed since it began.
        ends_s = min(session.expires_s, session.began_s + 3600 * self._access.session_hours)
        # One that is seen later than now began while the clock was ahead, and would last until then.
        is_idle = abs(now_s - self._seen_s(session)) > 60 * self._access.session_idle_minutes
        if ends_s <= now_s or is_idle:
            return None
        return self._role_of_user(self._entitled.users.get(session.user))

    def _seen_s(self, session: UserSession) -> float:
        """Time of its last use, even if that is not stored yet."""
        with self._lock:
            return max(session.seen_s, self._seen.get(session.digest, 0.0))
