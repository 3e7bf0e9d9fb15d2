"""Who may come in: requests enter, and only those that show the access token go further.

`/healthz` and the page's own files are open: they hold nothing secret, and a browser cannot send a header before the
page is there. Everything else asks for `Authorization: Bearer TOKEN` (RFC 6750).
"""

import hmac
from collections.abc import Container
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_detect.api.problems import problem
from stream_detect.settings import is_loopback


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


_DIRECTIVES = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "media-src": "'self' blob:",
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'none'",
}

_RESPONSE_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in _DIRECTIVES.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), display-capture=(self), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_ONE_YEAR_S = 31_536_000
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class SameOrigin:
    """ASGI middleware: refuses what another origin sends, and sets the security headers of every response.

    Args:
        application: what is behind it.
        loopback: the server is bound to this machine only, so that any other name in `Host` is foreign.
        tls: the server speaks TLS, so that browsers may be told to insist on it.
    """

    def __init__(self, application: ASGIApp, *, loopback: bool, tls: bool) -> None:
        self._application = application
        self._loopback = loopback
        self._headers = dict(_RESPONSE_HEADERS)
        if tls:
            self._headers["Strict-Transport-Security"] = f"max-age={_ONE_YEAR_S}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on with the headers set, or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        if self._loopback and not _is_local_name(headers.get("host", "")):
            refusal = problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "expected localhost or a loopback address in the Host header: the server is bound to this machine",
            )
            await refusal(scope, receive, send_with_headers)
        elif scope["method"] not in _SAFE_METHODS and not _is_same_origin(headers):
            refusal = problem(HTTPStatus.FORBIDDEN, "expected a request from this server's own page or from no page")
            await refusal(scope, receive, send_with_headers)
        else:
            await self._application(scope, receive, send_with_headers)


def _is_local_name(host: str) -> bool:
    """Whether a Host header names this machine; a port may follow."""
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return is_loopback(name.lower())


def _is_same_origin(headers: Headers) -> bool:
    """Whether a request comes from our own page, or from no page at all (a program sends neither header)."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host", "")
