"""The service of access control: keeps users and tokens up to date, and ends what runs by revoked access."""

import asyncio
import contextlib
import logging
import time
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter

from stream_detect.access.accounts import Accounts
from stream_detect.access.audit import AuditLog
from stream_detect.access.directory import Directory
from stream_detect.api import audit_log, oidc, sessions, users
from stream_detect.api.middleware.authorization import Gatekeepers, ProxySignIn
from stream_detect.api.middleware.permissions import Permissions
from stream_detect.api.middleware.running import Running
from stream_detect.api.sessions import Cookies
from stream_detect.app.tls import Certificate
from stream_detect.backoff import keep_running
from stream_detect.errors import StorageError
from stream_detect.off_loop import off_loop
from stream_detect.settings import AccessSettings, Settings
from stream_detect.storage.audit import AuditEntry, AuditTable
from stream_detect.storage.database import Database
from stream_detect.storage.users import StoredUsers, User

if TYPE_CHECKING:
    from stream_detect.access.oidc import OidcProvider

LOOK_EVERY_S: Final = 1.0
"""Interval at which changes are looked for, because another process may change users too (`stream-detect users`): even
then their streams end within two seconds."""

_READ_S: Final = 0.5
"""How long a look waits for the database."""

_CLOSE_S: Final = 1.0
_AUDIT_CLOSE_S: Final = 0.8
"""Time limits of closing, because the database may not answer: the whole server ends within five seconds. That of the
audit log is shorter, so that it can still put into the log and the file what the database has not taken."""

_log = logging.getLogger(__name__)


class AccessService:
    """Access control; `open` and `close` are called on the event loop.

    Args:
        settings: all sections.
        database: contains users, sessions and tokens.
        certificate: certificate of the server; None without TLS.

    Raises:
        StorageError: the database cannot be read.
    """

    def __init__(self, settings: Settings, database: Database, certificate: Certificate | None = None) -> None:
        stored = StoredUsers(database)
        self._settings = settings.access
        self._certificate = certificate
        self.directory = Directory(stored, settings.server, settings.access)
        self.audit = AuditLog(AuditTable(database), settings.audit)
        self.accounts = Accounts(stored, settings.access, entered=self._note_entered)
        self.provider = _provider(settings.access)
        self.running = Running()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    def routers(self) -> list[APIRouter]:
        """The routes of users, sessions and tokens, and of the audit log."""
        return [
            sessions.router(self.directory, self.accounts, self.apply, Cookies(self._settings.session_hours)),
            oidc.router(self.accounts, self.apply, Cookies(self._settings.session_hours), self.provider),
            users.router(self.directory, self.accounts, self.apply),
            users.tokens(self.accounts, self.apply),
            audit_log.router(self.audit.table),
        ]

    @property
    def problems(self) -> tuple[str, ...]:
        """Current problems, in sentences."""
        tls = () if self._certificate is None else self._certificate.problems
        return (self.audit.problem, *tls) if self.audit.problem else tls

    def gatekeepers(self, permissions: Permissions) -> Gatekeepers:
        """The gatekeepers that authorize requests."""
        return Gatekeepers(self.directory, permissions, self.running, ProxySignIn(self._settings, self.accounts))

    def take(self, settings: Settings) -> None:
        """Applies reread settings that need no restart: the token. Not for the event loop."""
        token = settings.server.token
        if self.directory.replace_token(token):
            detail = "removed" if token is None else "replaced"
            self.audit.note(AuditEntry(time.time(), "settings.token", by="settings", detail=detail))
        self.apply()

    def apply(self) -> None:
        """Applies a change of users, sessions or tokens at once. Not for the event loop."""
        self.directory.refresh()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    def open(self) -> None:
        """Starts to look for changes; called on the event loop."""
        self.audit.start()
        self._loop = asyncio.get_running_loop()
        self._watching = self._loop.create_task(keep_running(_log, "the watch over users and tokens", self._watch))

    async def close(self) -> None:
        """Stores the times of last use and the waiting entries of the audit log."""
        if self._watching is not None:
            self._watching.cancel()
        audit = off_loop(partial(self.audit.close, _AUDIT_CLOSE_S), "close-audit")
        try:
            async with asyncio.timeout(_CLOSE_S):
                await off_loop(self.directory.note_use, "close-access")
        except (StorageError, TimeoutError) as error:
            reason = str(error) or f"the database did not answer within {_CLOSE_S:g} s"
            _log.warning("the latest times of use of sessions and tokens are not stored: %s", reason)
        await audit

    def _note_entered(self, user: User) -> None:
        self.audit.note(AuditEntry(time.time(), "user.add", by="sso", target=user.name, detail=f"as {user.role.value}"))

    async def _watch(self) -> None:
        reading: asyncio.Future[bool] | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._changed.wait()
            self._changed.clear()
            if reading is None or reading.done():
                reading = off_loop(self.directory.refresh, "access")
            # A database that does not answer keeps nothing running: sessions expire, and the token is replaced.
            done, _ = await asyncio.wait((reading,), timeout=_READ_S)
            for one in done:
                one.result()
            self.running.end_revoked(lambda key: self.directory.role_of(key, in_use=True))


def _provider(settings: AccessSettings) -> "OidcProvider | None":
    """The provider, if one is set. Authlib is imported only for it: it takes .1 s."""
    if not settings.oidc_issuer:
        return None
    provider: OidcProvider = import_module("stream_detect.access.oidc").OidcProvider(settings)
    return provider
