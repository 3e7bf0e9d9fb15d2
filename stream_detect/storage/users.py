"""Users, their browser sessions and API tokens in the database, with hashes of passwords and tokens only.

`access.directory` keeps a copy in memory (`read`) and rereads it when `version` has changed.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from stream_detect.errors import ConflictError, NotFoundError, SignInError
from stream_detect.storage.database import Database
from stream_detect.storage.tables import AccessVersionRow, ApiTokenRow, UserRow, UserSessionRow
from stream_detect.types import Role

MAX_USERS = 10_000
MAX_SESSIONS_OF_USER = 20
"""Browsers in which one user can be signed in; a further sign-in ends the least recently used one."""

MAX_TOKENS_OF_USER = 50
SESSION_ID_LENGTH = 32
MAX_ADDRESS, MAX_USER_AGENT = 64, 256
"""Maximum number of characters stored of the client's address and user agent."""


@dataclass(frozen=True, slots=True)
class User:
    """A user who may sign in.

    Args:
        name: 1 to 64 characters, lower case.
        role: what the user may do.
        password_hash: argon2 hash; None for a user of single sign-on only.
        disabled: whether the account is disabled.
        created_s: unix seconds.
        last_sign_in_s: unix seconds; None before the first sign-in.
    """

    name: str
    role: Role
    password_hash: str | None = field(repr=False)
    disabled: bool = False
    created_s: float = 0.0
    last_sign_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Browser:
    """Browser in which a user signs in.

    Args:
        address: client address, at most MAX_ADDRESS characters; empty if unknown.
        user_agent: user agent of the browser, at most MAX_USER_AGENT characters.
    """

    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class UserSession:
    """Session of a user in a browser.

    Args:
        digest: SHA-256 of the cookie's value, 64 hexadecimal digits.
        user: name of the user.
        began_s: time of the sign-in, unix seconds.
        seen_s: time of its last request, unix seconds; stored once a minute.
        expires_s: absolute expiry, unix seconds.
        browser: the browser.
    """

    digest: str
    user: str
    began_s: float
    seen_s: float
    expires_s: float
    browser: Browser = Browser()

    @property
    def id(self) -> str:
        """Public id of the session, 32 hexadecimal digits: half of the digest, which grants no access."""
        return self.digest[:SESSION_ID_LENGTH]


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token that a user created for a program.

    Args:
        id: 32 hexadecimal digits.
        digest: SHA-256 of the token, 64 hexadecimal digits.
        name: its purpose, in the owner's words.
        role: its role, limited to that of its owner.
        camera: the camera to which it may publish (WHIP), and nothing else; None for other uses.
        owner: name of the user.
        created_s: unix seconds.
        expires_s: unix seconds; None for never.
        last_used_s: unix seconds, stored once a minute; None before the first use.
    """

    id: str
    digest: str
    name: str
    role: Role
    camera: str | None
    owner: str
    created_s: float
    expires_s: float | None = None
    last_used_s: float | None = None


@dataclass(frozen=True, slots=True)
class Entitled:
    """Snapshot of all users, sessions and tokens.

    Args:
        version: version of the snapshot.
        users: users by name.
        sessions: sessions by digest.
        tokens: tokens by digest.
    """

    version: int = 0
    users: Mapping[str, User] = field(default_factory=dict)
    sessions: Mapping[str, UserSession] = field(default_factory=dict)
    tokens: Mapping[str, ApiToken] = field(default_factory=dict)


class StoredUsers:
    """The tables of users, sessions and tokens.

    Args:
        database: the database.
        clock: wall clock, unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def version(self) -> int:
        """Version number, which increases with every change of users, sessions and tokens."""
        with self._database.reading() as session:
            return _version(session)

    def read(self) -> Entitled:
        """Reads all users, and the sessions and tokens that have not expired."""
        now_s = self._clock()
        with self._database.reading() as session:
            version = _version(session)
            users = {row.name: _user(row) for row in session.scalars(select(UserRow))}
            valid = select(UserSessionRow).where(UserSessionRow.expires_s > now_s)
            sessions = {row.digest: _session(row) for row in session.scalars(valid)}
            tokens = {row.digest: _token(row) for row in session.scalars(select(ApiTokenRow))}
        return Entitled(version, users, sessions, tokens)

    def users(self) -> list[User]:
        """All users, by name."""
        with self._database.reading() as session:
            return [_user(row) for row in session.scalars(select(UserRow).order_by(UserRow.name))]

    def user(self, name: str) -> User:
        """Returns a user.

        Raises:
            NotFoundError: there is no user of that name.
        """
        with self._database.reading() as session:
            return _user(_found(session, name))

    def add(self, user: User) -> None:
        """Adds a user.

        Raises:
            ConflictError: the name is taken, there are too many users, or this user has a password but is not an admin
                while no admin has one.
        """
        with self._changing() as session:
            if session.get(UserRow, user.name) is not None:
                raise ConflictError(f"there is already a user named {user.name}; choose another name")
            if int(session.scalar(select(func.count()).select_from(UserRow)) or 0) >= MAX_USERS:
                raise ConflictError(f"there are already {MAX_USERS} users; remove one first")
            if user.password_hash is not None and user.role is not Role.ADMIN and not _admins(session)[0]:
                raise ConflictError("expected an admin as the first user (--role admin): nobody else can change users")
            own = {"role": user.role.value, "created_s": user.created_s or self._clock()}
            session.add(UserRow(**asdict(user) | own))

    def change(
        self, name: str, *, role: Role | None = None, disabled: bool | None = None, password_hash: str | None = None
    ) -> User:
        """Changes the given values of a user. A new password or disabling the user ends all sessions.

        Raises:
            NotFoundError: there is no user of that name.
            ConflictError: no admin would be left.
        """
        given = {"role": role and role.value, "disabled": disabled, "password_hash": password_hash}
        with self._changing() as session:
            row, admins = _found(session, name), _admins(session)
            for column, value in given.items():
                if value is not None:
                    setattr(row, column, value)
            session.flush()
            _keep_an_admin(session, admins)
            if password_hash is not None or disabled:
                session.execute(delete(UserSessionRow).where(UserSessionRow.user == name))
            return _user(row)

    def remove(self, name: str) -> None:
        """Removes a user with all sessions and tokens.

        Raises:
            NotFoundError: there is no user of that name.
            ConflictError: no admin would be left.
        """
        with self._changing() as session:
            row, admins = _found(session, name), _admins(session)
            session.execute(delete(UserSessionRow).where(UserSessionRow.user == name))
            session.execute(delete(ApiTokenRow).where(ApiTokenRow.owner == name))
            session.delete(row)
            session.flush()
            _keep_an_admin(session, admins)

    def begin_session(self, begun: UserSession, proven: str | None = None, rehashed: str | None = None) -> None:
        """Adds a session and deletes expired ones.

        Args:
            begun: the session.
            proven: hash of the password that the user proved to know; None for a sign-in without one.
            rehashed: another hash of that password, which replaces it.

        Raises:
            NotFoundError: the user was removed meanwhile.
            SignInError: the user was disabled, or given another password, meanwhile.
        """
        with self._changing() as session:
            row = _found_still(session, begun.user, proven)
            row.password_hash = rehashed or row.password_hash
            self._begin(session, row, begun)

    def change_password(self, begun: UserSession, proven: str, password_hash: str) -> None:
        """Replaces a user's password, ends all sessions of the user, and adds a new one.

        Args:
            begun: the new session.
            proven: hash of the password that the user proved to know.
            password_hash: hash of the new password.

        Raises:
            NotFoundError: the user was removed meanwhile.
            SignInError: the user was disabled, or given another password, meanwhile.
        """
        with self._changing() as session:
            row = _found_still(session, begun.user, proven)
            row.password_hash = password_hash
            session.execute(delete(UserSessionRow).where(UserSessionRow.user == begun.user))
            self._begin(session, row, begun)

    def _begin(self, session: Session, row: UserRow, begun: UserSession) -> None:
        row.last_sign_in_s = begun.began_s
        session.execute(delete(UserSessionRow).where(UserSessionRow.expires_s <= self._clock()))
        of_user = select(UserSessionRow).where(UserSessionRow.user == begun.user)
        newest_first = session.scalars(of_user.order_by(UserSessionRow.seen_s.desc())).all()
        for one in newest_first[MAX_SESSIONS_OF_USER - 1 :]:
            session.delete(one)
        columns = asdict(begun)
        session.add(UserSessionRow(**columns.pop("browser"), **columns))

    def end_session(self, digest: str) -> None:
        """Deletes a session if it exists."""
        with self._changing() as session:
            session.execute(delete(UserSessionRow).where(UserSessionRow.digest == digest))

    def end_session_of(self, session_id: str, user: str | None) -> str:
        """Deletes a session by its id.

        Args:
            session_id: `UserSession.id`.
            user: required user; None for any.

        Returns:
            Name of its user.

        Raises:
            NotFoundError: there is no session with that id, or it is another user's.
        """
        has_id = func.substr(UserSessionRow.digest, 1, SESSION_ID_LENGTH) == session_id
        with self._changing() as session:
            row = session.scalar(select(UserSessionRow).where(has_id)) if "\0" not in session_id else None
            if row is None or (user is not None and row.user != user):
                raise NotFoundError("expected the id of a session, received an unknown id; it may have ended")
            session.delete(row)
            return row.user

    def end_sessions(self, user: str) -> None:
        """Deletes all sessions of a user."""
        with self._changing() as session:
            session.execute(delete(UserSessionRow).where(UserSessionRow.user == user))

    def tokens(self, owner: str | None = None) -> list[ApiToken]:
        """The tokens of a user, or of all users, newest first."""
        query = select(ApiTokenRow).order_by(ApiTokenRow.created_s.desc(), ApiTokenRow.id)
        if owner is not None:
            query = query.where(ApiTokenRow.owner == owner)
        with self._database.reading() as session:
            return [_token(row) for row in session.scalars(query)]

    def add_token(self, token: ApiToken) -> None:
        """Adds a token.

        Raises:
            NotFoundError: its owner was removed meanwhile.
            ConflictError: the owner has too many tokens, or another one of that name.
        """
        with self._changing() as session:
            _found(session, token.owner)
            names = session.scalars(select(ApiTokenRow.name).where(ApiTokenRow.owner == token.owner)).all()
            if token.name in names:
                raise ConflictError(f"you already have a token named {token.name}; revoke it, or choose another name")
            if len(names) >= MAX_TOKENS_OF_USER:
                raise ConflictError(f"you already have {MAX_TOKENS_OF_USER} tokens; revoke one first")
            session.add(ApiTokenRow(**asdict(token) | {"role": token.role.value}))

    def remove_token(self, token_id: str, owner: str | None = None) -> None:
        """Revokes a token.

        Args:
            token_id: id of the token.
            owner: required owner; None for any.

        Raises:
            NotFoundError: there is no token with that id, or it is another user's.
        """
        with self._changing() as session:
            row = session.get(ApiTokenRow, token_id) if token_id.isascii() and "\0" not in token_id else None
            if row is None or (owner is not None and row.owner != owner):
                raise NotFoundError(
                    "expected the id of one of your tokens, received an unknown id; it may have been revoked"
                )
            session.delete(row)

    def note_use(self, sessions: Mapping[str, float], tokens: Mapping[str, float]) -> None:
        """Stores when sessions (by digest) and tokens (by digest) were last used, unix seconds."""
        with self._database.writing() as session:
            for digest, at_s in sessions.items():
                session.execute(update(UserSessionRow).where(UserSessionRow.digest == digest).values(seen_s=at_s))
            for digest, at_s in tokens.items():
                session.execute(update(ApiTokenRow).where(ApiTokenRow.digest == digest).values(last_used_s=at_s))

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        """A transaction that changes access; such transactions are serialised."""
        with self._database.writing() as session:
            session.execute(update(AccessVersionRow).values(number=AccessVersionRow.number + 1))
            yield session


def _version(session: Session) -> int:
    return int(session.scalar(select(AccessVersionRow.number)) or 0)


def _found(session: Session, name: str) -> UserRow:
    row = session.get(UserRow, name) if "\0" not in name else None
    if row is None:
        raise NotFoundError("expected the name of a user, received an unknown name")
    return row


def _found_still(session: Session, name: str, proven: str | None) -> UserRow:
    """The row of a user who may sign in, and whose password is still the one that was compared."""
    row = _found(session, name)
    if row.disabled or proven not in {None, row.password_hash}:
        raise SignInError("the user was disabled, or given another password, meanwhile; sign in again")
    return row


def _admins(session: Session) -> tuple[int, int]:
    """Number of admins who can sign in: with a password, and in any way."""
    enabled = UserRow.role == Role.ADMIN.value, UserRow.disabled.is_(False)
    count = select(func.count(UserRow.password_hash), func.count()).select_from(UserRow).where(*enabled)
    with_password, all_of_them = session.execute(count).one()
    return int(with_password), int(all_of_them)


def _keep_an_admin(session: Session, before: tuple[int, int]) -> None:
    """Those of single sign-on do not count beside one with a password: their provider may be away."""
    if any(had and not has for had, has in zip(before, _admins(session), strict=True)):
        raise ConflictError(
            "expected another admin who can sign in: the last one cannot be removed, disabled or given another role"
        )


def _columns(row: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _user(row: UserRow) -> User:
    columns = _columns(row, "name", "password_hash", "disabled", "created_s", "last_sign_in_s")
    return User(role=Role(row.role), **columns)


def _session(row: UserSessionRow) -> UserSession:
    columns = _columns(row, "digest", "user", "began_s", "seen_s", "expires_s")
    return UserSession(browser=Browser(row.address, row.user_agent), **columns)


def _token(row: ApiTokenRow) -> ApiToken:
    columns = _columns(row, "id", "digest", "name", "camera", "owner", "created_s", "expires_s", "last_used_s")
    return ApiToken(role=Role(row.role), **columns)
