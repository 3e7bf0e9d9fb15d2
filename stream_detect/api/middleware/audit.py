"""Middleware that records requests in the audit log: changes, views of evidence, and refusals."""

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_detect.access.audit import AuditLog, RepeatedEntries
from stream_detect.access.directory import Directory
from stream_detect.access.limits import TokenBucket
from stream_detect.access.networks import client_network
from stream_detect.api.middleware.authorization import owner_of_credentials
from stream_detect.api.middleware.origin import SAFE_METHODS
from stream_detect.storage.audit import AuditEntry, Outcome

if TYPE_CHECKING:
    from stream_detect.access.principal import Principal
    from stream_detect.api.middleware.permissions import Permission

_REFUSALS: Final = frozenset({401, 403, 421, 429})
_UNANSWERED: Final[Message] = {"status": 503, "headers": []}
_SAID: Final = "stream_detect.audit"
_LONGEST: Final = 200
_VIEW_AGAIN_S: Final = 600.0
"""Interval at which the same user's view of the same file is recorded: a page requests a picture again and again. A
view that failed is another one: the file may be there a minute later."""

_REFUSED_AGAIN_S: Final = 60.0
"""Interval at which the same refusal for the same address is recorded, so that guessing does not fill the disk."""

STRANGERS: Final = 100
STRANGERS_EVERY_S: Final = 60.0
"""Interval between entries of one action by all who are not signed in, from any number of addresses: at most 1,440 a
day. The next entry says how many were omitted."""

_log = logging.getLogger(__name__)


class Audit:
    """ASGI middleware that records requests once they are answered.

    Args:
        application: the application, including the authorization, which stores the principal in the scope.
        log: receives the entries.
        directory: identifies the credentials of requests that were refused before authorization.
    """

    def __init__(self, application: ASGIApp, log: AuditLog, directory: Directory) -> None:
        self._application = application
        self._log = log
        self._directory = directory
        self._views = RepeatedEntries(_VIEW_AGAIN_S)
        self._refusals = RepeatedEntries(_REFUSED_AGAIN_S)
        self._strangers = TokenBucket(STRANGERS, 1 / STRANGERS_EVERY_S)
        self._left_out: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        answered = False

        async def send_and_note(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._note(scope, message)
            await send(message)

        try:
            await self._application(scope, receive, send_and_note)
        except asyncio.CancelledError:
            if not answered and scope["method"] not in SAFE_METHODS:  # what it changed, it may have changed
                self._note(scope, _UNANSWERED, "; the server stopped before it was answered")
            raise

    def _note(self, scope: Scope, answer: Message, more: str = "") -> None:
        permission: Permission | None = scope.get("permission")
        status: int = answer["status"]
        result: Outcome = "ok" if status < 400 else "refused" if status in _REFUSALS else "failed"
        action, cause = _action(scope, permission, status)
        if not action:
            return
        principal: Principal | None = scope.get("principal")
        if principal is None and result == "refused":
            principal = owner_of_credentials(scope, self._directory)
        said: dict[str, str] = scope.get(_SAID, {})
        who = said.get("who", (principal.name or "") if principal is not None else "")
        by = said.get("by", principal.by if principal is not None else "")
        address = scope["client"][0] if scope.get("client") else ""
        target = _plain(said.get("target") or _target(scope, answer))
        refused = who, client_network(address), action, str(status)
        view = who, by, address, action, target, scope.get("template", ""), result
        is_view = result != "refused" and permission is not None and permission.is_viewing
        if (result == "refused" and self._refusals.is_one(*refused)) or (is_view and self._views.is_one(*view)):
            return
        detail = f"{scope['method']} {_path(scope)}: {status}{cause}{more}"
        if "detail" in said:
            detail += f"; {_plain(said['detail'])}"
        if not by:
            before = self._left_out_before(action)
            if before is None:
                return
            detail += before
        self._log.note(AuditEntry(time.time(), action, result, _plain(who), by, _plain(address), target, detail))

    def _left_out_before(self, action: str) -> str | None:
        """What a stranger's entry says about omitted ones before it; None if it is omitted itself."""
        if self._strangers.pause_s(action) > 0:
            if not self._left_out[action]:
                _log.warning(
                    "too many audit entries of %s from clients that are not signed in: some are omitted", action
                )
            self._left_out[action] += 1
            return None
        self._strangers.take(action)
        left_out = self._left_out.pop(action, 0)
        return f"; {left_out} more before it were left out" if left_out else ""


def _action(scope: Scope, permission: "Permission | None", status: int) -> tuple[str, str]:
    """Action for the entry of a request, empty for none; and the reason of its refusal."""
    headers = Headers(scope=scope)
    if permission is None:  # it was stopped by `SameOrigin`
        if status == 421:
            return "request.host", f", Host {_plain(headers.get('host', ''))}"
        if status == 403:
            site = headers.get("sec-fetch-site", "")
            return "request.cross_site", f", Origin {_plain(headers.get('origin') or site)}"
        return "", ""
    is_anonymous_read = status == 401 and "authorization" not in headers
    if permission.action or status not in _REFUSALS or is_anonymous_read:
        return permission.action, ""  # a page that checks whether it is signed in is not a refusal to record
    return "request", ""


def say(request: Request, **values: str) -> None:
    """Adds values for a request's entry that its path does not contain: `who`, `by`, `target`, or `detail`.

    Args:
        request: the request.
        values: never secrets, nor input that may contain one.
    """
    request.scope.setdefault(_SAID, {}).update(values)


def _target(scope: Scope, answer: Message) -> str:
    """The object in the path, or the name of the created one."""
    values = list(scope.get("values", {}).values())
    if values:
        return " ".join(map(str, values))
    return Headers(raw=answer["headers"]).get("location", "").rpartition("/")[2] if answer["status"] == 201 else ""


def _plain(text: str) -> str:
    """A client's text as one line of bounded length, safe for any viewer of the log."""
    return (text if text.isprintable() else text.encode("unicode_escape").decode("ascii"))[:_LONGEST]


def _path(scope: Scope) -> str:
    """The path as sent, percent-encoded and without its query: no control characters get into the log."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("unicode_escape")
    return raw.partition(b"?")[0][:_LONGEST].decode("ascii", "backslashreplace")
