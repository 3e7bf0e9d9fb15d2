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
    """What somebody has to show.

    Args:
        needed: False where the server asks nobody.
        password: users with passwords are there.
        oidc: name of the OpenID Connect provider; None without one.
    """

    needed: bool
    password: bool
    oidc: str | None


class Directory:
    """Everybody who may come in. Thread-safe.

    Args:
        stored: the tables.
        server: where the server listens, and the settings' token.
        access: time limits of sessions, single sign-on.
        clock: wall clock, unix seconds.

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
        self._lock = threading.Lock()
        self._entitled = stored.read()
        self._seen: dict[str, float] = {}
        self._used: dict[str, float] = {}
        self._noted_s = clock()
        self._outage = Outage(_log, "users, sessions and tokens")
        self.replace_token(server.token)

    def replace_token(self, token: SecretStr | None) -> None:
        """Takes another token of the settings from now on: the one before is refused."""
        self._settings_digest = None if token is None else digest_of(token.get_secret_value())

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked: on a loopback address, without a token, users and single sign-on."""
        return self._may_be_open and self._settings_digest is None and not self._entitled.users

    def sign_in(self) -> SignIn:
        """What somebody has to show who comes without anything."""
        users = self._entitled.users.values()
        return SignIn(
            needed=not self.is_open,
            password=any(user.password_hash is not None for user in users),
            oidc=self._access.oidc_title if self._access.oidc_issuer else None,
        )

    def refresh(self) -> bool:
        """Reads the tables again if they changed, and writes down now and then what was used. Blocks.

        While the database is away, what was read last holds.

        Returns:
            whether they were read again.
        """
        try:
            changed = self._stored.version() != self._entitled.version
            if changed:
                self._entitled = self._stored.read()
            if self._clock() - self._noted_s >= NOTE_EVERY_S:
                self.note_use()
        except StorageError as error:
            self._outage.failed(f"those that were read last hold: {error}")
            return False
        self._outage.ended()
        return changed

    def note_use(self) -> None:
        """Writes down which sessions and tokens were used since the last time. Blocks.

        Raises:
            StorageError: they cannot be written.
        """
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
        """Who comes without showing anything; None where that does not do."""
        return Principal(Role.ADMIN, "open") if self.is_open else None

    def by_bearer(self, token: bytes, *, in_use: bool = True) -> Principal | None:
        """Whom a token belongs to: the settings', or a user's. None for a wrong, expired or revoked one.

        Args:
            token: as it was sent.
            in_use: it counts as used now.
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
        """Whom a session's cookie belongs to; None for one that is unknown, expired or ended.

        Args:
            value: of the cookie.
            in_use: it counts as used now.
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
        """The user whom a trusted proxy names; None for one who is not in the list, or disabled."""
        try:
            known = self._entitled.users.get(user_name(name))
        except RequestError:
            return None
        if known is None or known.disabled:
            return None
        return Principal(known.role, "proxy", known.name, f"proxy {known.name}")

    def known_as(self, text: str) -> str:
        """The name of the user whom somebody means; empty when there is none."""
        try:
            name = user_name(text)
        except RequestError:
            return ""
        return name if name in self._entitled.users else ""

    def knows(self, name: str) -> bool:
        """Whether there is a user of that name, disabled or not."""
        return name in self._entitled.users

    def sessions(self, user: str) -> list[UserSession]:
        """Where a user is signed in now, the one used last first."""
        own = (session for session in self._entitled.sessions.values() if session.user == user)
        standing = (replace(one, seen_s=self._seen_s(one)) for one in own if self._role_of_session(one) is not None)
        return sorted(standing, key=lambda session: session.seen_s, reverse=True)

    def role_of(self, key: str, *, in_use: bool = False) -> Role | None:
        """What a credential allows now; None when it was taken back or has expired.

        Args:
            key: `Principal.key`.
            in_use: a stream runs by it, which counts as a request.
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
        """The lesser of its own and its owner's."""
        owner = self._role_of_user(self._entitled.users.get(token.owner))
        if owner is None or (token.expires_s is not None and token.expires_s <= self._clock()):
            return None
        return token.role if owner.covers(token.role) else owner

    def _role_of_session(self, session: UserSession) -> Role | None:
        now_s = self._clock()
        if session.expires_s <= now_s or now_s - self._seen_s(session) > 60 * self._access.session_idle_minutes:
            return None
        return self._role_of_user(self._entitled.users.get(session.user))

    def _seen_s(self, session: UserSession) -> float:
        """When it was used last, also if that is not written down yet."""
        with self._lock:
            return max(session.seen_s, self._seen.get(session.digest, 0.0))
