"""Who may come in: requests enter, and only those that show the access token go further.

`/healthz` and the page's own files are open: they hold nothing secret, and a browser cannot send a header before the
page is there. Everything else asks for `Authorization: Bearer TOKEN` (RFC 6750).
"""

import hmac
from collections.abc import Container
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from stream_detect.api.problems import problem


class TokenGate:
    """ASGI middleware that lets only holders of the token through.

    Args:
        application: what is behind the gate.
        token: the access token.
        open_paths: paths that need no token for GET and HEAD.
    """

    def __init__(self, application: ASGIApp, token: str, open_paths: Container[str]) -> None:
        self._application = application
        self._token = token.encode()
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on, or answer 401."""
        if scope["type"] != "http" or self._may_enter(scope):
            await self._application(scope, receive, send)
            return
        refusal = problem(
            HTTPStatus.UNAUTHORIZED,
            "expected the header `Authorization: Bearer TOKEN` with this server's access token",
            "Access token needed",
            {"WWW-Authenticate": 'Bearer realm="stream-detect"', "Cache-Control": "no-store"},
        )
        await refusal(scope, receive, send)

    def _may_enter(self, scope: Scope) -> bool:
        if scope["method"] in {"GET", "HEAD"} and scope["path"] in self._open_paths:
            return True
        shown = Headers(scope=scope).getlist("authorization")
        scheme, _, credentials = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        matches = hmac.compare_digest(credentials.strip().encode("latin-1"), self._token)
        return matches and scheme.lower() == "bearer"
