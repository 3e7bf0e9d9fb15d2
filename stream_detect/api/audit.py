"""The audit of requests: who changed something, looked at evidence, or was refused; with the client's address."""

import time
from typing import TYPE_CHECKING, Final

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_detect.access.audit import AuditLog, Repeats
from stream_detect.storage.audit import AuditEntry, Outcome

if TYPE_CHECKING:
    from stream_detect.access.principal import Principal
    from stream_detect.api.permissions import Permission

_REFUSALS: Final = frozenset({401, 403, 421, 429})
_SAID: Final = "stream_detect.audit"
_LONGEST: Final = 200
_VIEW_AGAIN_S: Final = 600.0
"""The same user's look at the same thing is written down once in so long: a page asks for a picture again and again."""

_REFUSED_AGAIN_S: Final = 60.0
"""A refusal of the same kind, of the same address, is written down once in so long: whoever guesses fills no disk."""


class Audit:
    """ASGI middleware that notes requests once they are answered.

    Args:
        application: what is behind it, the authorization included, which says in the scope who it was.
        log: takes the entries.
    """

    def __init__(self, application: ASGIApp, log: AuditLog) -> None:
        self._application = application
        self._log = log
        self._views = Repeats(_VIEW_AGAIN_S)
        self._refusals = Repeats(_REFUSED_AGAIN_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message)
            await send(message)

        await self._application(scope, receive, send_and_note)

    def _note(self, scope: Scope, answer: Message) -> None:
        permission: Permission | None = scope.get("permission")
        status: int = answer["status"]
        result: Outcome = "ok" if status < 400 else "refused" if status in _REFUSALS else "failed"
        action = "" if permission is None else permission.action
        if not action:
            if result != "refused" or (status == 401 and "authorization" not in Headers(scope=scope)):
                return  # reading; or a page that asks whether it is signed in
            action = "request"
        principal: Principal | None = scope.get("principal")
        said: dict[str, str] = scope.get(_SAID, {})
        who = said.get("who", (principal.name or "") if principal is not None else "")
        by = said.get("by", principal.by if principal is not None else "")
        address = scope["client"][0] if scope.get("client") else ""
        target = said.get("target") or _target(scope, answer)
        if result == "refused":
            if self._refusals.is_one(who, address, action, str(status)):
                return
        elif permission is not None and permission.is_viewing and self._views.is_one(who, by, address, action, target):
            return
        detail = f"{scope['method']} {_path(scope)}: {status}"
        self._log.note(AuditEntry(time.time(), action, result, who, by, address, target, detail))


def say(request: Request, **values: str) -> None:
    """Says of a request what its path does not: `who`, `by` or `target`, for its entry.

    Args:
        request: that is being answered.
        values: never secrets, nor what somebody may have typed one into.
    """
    request.scope.setdefault(_SAID, {}).update(values)


def _target(scope: Scope, answer: Message) -> str:
    """What the path names, or the name of what was made."""
    values = list(scope.get("values", {}).values())
    if values:
        return " ".join(map(str, values))
    return Headers(raw=answer["headers"]).get("location", "").rpartition("/")[2] if answer["status"] == 201 else ""


def _path(scope: Scope) -> str:
    """As it was sent, percent-encoded and without its query: no control character of a client's gets into the log."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("unicode_escape")
    return raw.partition(b"?")[0][:_LONGEST].decode("ascii", "backslashreplace")
