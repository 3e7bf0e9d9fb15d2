"""The log of who changed what: one line for every request that changes something, with the client's address."""

import logging
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LONGEST: Final = 200
_log = logging.getLogger("stream_detect.audit")


class Audit:
    """ASGI middleware that logs requests which change something, once they are answered.

    Args:
        application: what is behind it. Requests that a gate refuses stay before it.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on."""
        if scope["type"] != "http" or scope["method"] not in _CHANGING:
            await self._application(scope, receive, send)
            return

        async def send_and_log(message: Message) -> None:
            if message["type"] == "http.response.start":
                client = scope["client"][0] if scope.get("client") else "a client"
                _log.info("%s: %s %s was answered %d", client, scope["method"], _path(scope), message["status"])
            await send(message)

        await self._application(scope, receive, send_and_log)


def _path(scope: Scope) -> str:
    """As it was sent, percent-encoded: no line break or control character of a client's gets into the log."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("unicode_escape")
    return raw[:_LONGEST].decode("ascii", "backslashreplace")
