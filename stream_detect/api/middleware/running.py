"""Requests in progress and WebRTC sessions by who started them, so that they end when access is revoked.

A WebRTC session is a resource at a `Location`: the server remembers who opened it until it ends, and deletes it as its
owner could when the access is revoked. Runs on the event loop.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_detect.access.principal import Principal
from stream_detect.types import Role

MAX_SESSIONS: Final = 4096
"""Sessions that are remembered; above the limit the oldest is ended."""

_OPENING: Final = ("/webrtc/check", "/whip/", "/whep/")
_log = logging.getLogger(__name__)

RoleOf = Callable[[str], Role | None]


@dataclass(slots=True, eq=False)
class _Request:
    """A request in progress."""

    principal: Principal
    least: Role
    task: asyncio.Task[Any] | None
    receives: bool
    started: bool = False
    has_length: bool = False
    complete: bool = False
    ended: bool = False

    def end(self) -> None:
        """Ends it, unless its response is just being made: that ends by itself, and is the last one."""
        if self.task is not None and not self.complete and not self.ended and (self.started or self.receives):
            self.ended = True
            self.task.cancel()


@dataclass(frozen=True, slots=True)
class _Session:
    """A WebRTC session that a principal opened."""

    principal: Principal
    least: Role
    scope: Scope


class Running:
    """Running requests and sessions, by owner.

    Args:
        application: the inner application, used to delete sessions.
    """

    def __init__(self, application: ASGIApp | None = None) -> None:
        self.application = application
        self.runs: Callable[[str], bool] = lambda _path: True
        """Whether the session at a path has not ended: a session that has is no use of its owner's credentials."""
        self._requests: dict[_Request, None] = {}
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._ending: set[asyncio.Task[None]] = set()

    async def carry(
        self, principal: Principal, least: Role, application: ASGIApp, exchange: tuple[Scope, Receive, Send]
    ) -> bool:
        """Handles a request until its end, or until the right is revoked.

        Args:
            principal: sender of the request.
            least: required role.
            application: handles it.
            exchange: the request in ASGI's form.

        Returns:
            False if the right was revoked before a response started, so that none was sent.
        """
        scope, receive, send = exchange
        headers = Headers(scope=scope)
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        request = _Request(principal, least, asyncio.current_task(), receives=has_body)

        async def received() -> Message:
            message = await receive()
            request.receives = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.started = True
                request.has_length = "content-length" in Headers(raw=message["headers"])
                self._note(request, scope, message)
            elif message["type"] == "http.response.body":
                request.complete = not message.get("more_body", False)
            await send(message)

        self._requests[request] = None
        try:
            await application(scope, received, sent)
        except asyncio.CancelledError:
            if not request.ended or (request.task is not None and request.task.uncancel() > 0):
                raise
            if request.started and not request.complete and not request.has_length:  # one cut short has no proper end
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            return request.started
        finally:
            del self._requests[request]
        return True

    def end_revoked(self, role_of: RoleOf) -> None:
        """Ends requests and sessions whose right was revoked; does not wait for the end of sessions.

        Args:
            role_of: returns the current role of a principal's key; None if it was revoked.
        """
        for request in list(self._requests):
            if not _stands(request.principal, request.least, role_of):
                request.end()
        for path in [path for path in self._sessions if not self.runs(path)]:
            del self._sessions[path]
        for path in [at for at, one in self._sessions.items() if not _stands(one.principal, one.least, role_of)]:
            session = self._sessions.pop(path)
            self._end(session, f"the access of {session.principal.name or session.principal.by} was revoked")

    def _note(self, request: _Request, scope: Scope, answer: Message) -> None:
        """Remembers a session that starts with this response."""
        path = _below_root(scope, scope["path"])
        location = Headers(raw=answer["headers"]).get("location", "")
        if answer["status"] != 201 or not location or not path.startswith(_OPENING):
            return
        there = _below_root(scope, urlsplit(location).path)
        kept = {key: scope[key] for key in ("type", "asgi", "http_version", "scheme", "server", "app") if key in scope}
        deleting = {**kept, "method": "DELETE", "path": there, "raw_path": there.encode(), "query_string": b""}
        deleting |= {"headers": [], "client": scope.get("client"), "root_path": "", "state": {}}
        self._sessions[there] = _Session(request.principal, request.least, deleting)
        if len(self._sessions) > MAX_SESSIONS:
            _, oldest = self._sessions.popitem(last=False)
            self._end(oldest, f"more than {MAX_SESSIONS} sessions are open")

    def _end(self, session: _Session, why: str) -> None:
        task = asyncio.get_running_loop().create_task(self._delete(session, why))
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a session could not be ended", exc_info=error)

    async def _delete(self, session: _Session, why: str) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_: Message) -> None:
            """Ignores the response: 404 means that it had ended already."""

        if self.application is not None:
            await self.application(dict(session.scope), receive, send)
            path = session.scope["path"]
            _log.info("%s...: ended because %s", path[: path.rfind("/") + 7], why)


def _stands(principal: Principal, least: Role, role_of: RoleOf) -> bool:
    role = role_of(principal.key)
    return role is not None and role.covers(least)


def _below_root(scope: Scope, path: str) -> str:
    """A path without the prefix of a proxy. /whip/door is not below /w."""
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if path.startswith(f"{root}/") else path
