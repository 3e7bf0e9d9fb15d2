"""Middleware for the addresses of the server: its host names, the origins of requests, and a path below a proxy's.

It also adds the security headers to responses.
"""

from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_detect.api.middleware.problems import problem
from stream_detect.settings import ServerSettings, is_loopback

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
    "Cache-Control": "no-store",  # of answers that do not say how long they may be kept
}

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, If-None-Match, Range",
    "Access-Control-Max-Age": "600",
}
_EXPOSED = "Location, Link, ETag, Retry-After, WWW-Authenticate, Accept-Patch, Content-Range"

_ONE_YEAR_S = 31_536_000
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Served:
    """Under which names the server is reached, and from which other pages.

    Args:
        hosts: names that `Host` may carry beside loopback ones; None allows every name.
        origins: other sites whose pages may use the API (CORS).
        tls: the server speaks TLS, so that browsers may be told to insist on it.
    """

    hosts: frozenset[str] | None
    origins: Collection[str] = ()
    tls: bool = False

    @classmethod
    def of(cls, server: ServerSettings) -> "Served":
        """As the settings say.

        Without `server.hosts`, a server that only this machine reaches and that asks for no token serves loopback names
        only: another name is that of a site which made a browser come here (DNS rebinding). With a token such a site
        gets nothing, so that a reverse proxy on this machine may keep `Host`.
        """
        if server.hosts:
            hosts: frozenset[str] | None = frozenset(server.hosts)
        else:
            hosts = frozenset() if is_loopback(server.host) and server.token is None else None
        return cls(hosts, server.origins, server.speaks_tls)

    def has(self, host: str) -> bool:
        """Whether a `Host` header names this server; a port may follow."""
        if self.hosts is None:
            return True
        name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
        return is_loopback(name.lower()) or name.lower() in self.hosts


class SameOrigin:
    """ASGI middleware: refuses what pages of other sites send, and sets the security headers of every response.

    Args:
        application: what is behind it.
        served: names and origins.
    """

    def __init__(self, application: ASGIApp, served: Served) -> None:
        self._application = application
        self._served = served
        self._headers = dict(_RESPONSE_HEADERS)
        if served.tls:
            self._headers["Strict-Transport-Security"] = f"max-age={_ONE_YEAR_S}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on with the headers set, or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed = origin if origin in self._served.origins else None

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(MutableHeaders(scope=message), allowed)
            await send(message)

        refusal = self._refusal(scope["method"], headers, allowed)
        await (refusal or self._application)(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers, allowed: str | None) -> Response | None:
        """What is answered instead of passing a request on; a preflight of an allowed origin is answered here too."""
        if not self._served.has(headers.get("host", "")):
            return problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "expected localhost, a loopback address or one of server.hosts in the Host header; "
                "behind a proxy, name its hosts in server.hosts",
            )
        if allowed is not None:
            is_preflight = method == "OPTIONS" and "access-control-request-method" in headers
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=_PREFLIGHT) if is_preflight else None
        if method not in SAFE_METHODS and not is_same_origin(headers):
            return problem(
                HTTPStatus.FORBIDDEN,
                "expected a request from this server's own page, from one of server.origins, or from no page",
            )
        return None

    def _complete(self, headers: MutableHeaders, allowed: str | None) -> None:
        if allowed is not None:
            headers["Access-Control-Allow-Origin"] = allowed
            headers["Access-Control-Expose-Headers"] = _EXPOSED
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if self._served.origins:
            headers.add_vary_header("Origin")
        for name, value in self._headers.items():
            headers.setdefault(name, value)


def is_same_origin(headers: Headers) -> bool:
    """Whether a request comes from our own page, or from no page at all (a program sends neither header)."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    return origin is None or _is_at(origin, headers.get("host", ""))


def _is_at(origin: str, host: str) -> bool:
    """Whether an origin is that of a `Host` header. A scheme's own port equals none (RFC 6454)."""
    try:
        ours, theirs = urlsplit(f"//{host}"), urlsplit(origin)
        usual = _PORTS.get(theirs.scheme)
        return (
            bool(theirs.hostname)
            and ours.hostname == theirs.hostname
            and (ours.port or usual) == (theirs.port or usual)
        )
    except ValueError:  # no port, or no address
        return False


class PathPrefix:
    """ASGI middleware: takes the prefix off the paths that come, and puts it before the `Location`s that go.

    A proxy may take it off itself; both arrive at the same routes. The prefix without a slash at its end leads to the
    page with one, whose relative addresses are below it then.

    Args:
        application: what is behind it; `root_path` tells it the prefix, for the paths of cookies.
        prefix: begins with a slash and does not end with one.
    """

    def __init__(self, application: ASGIApp, prefix: str) -> None:
        self._application = application
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes `scope` on without the prefix."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self._prefix:
            await RedirectResponse(f"{self._prefix}/")(scope, receive, send)
            return
        if path.startswith(f"{self._prefix}/"):
            path = path[len(self._prefix) :]
            raw = path.encode("latin-1", "replace") if scope.get("raw_path") is None else scope["raw_path"]
            scope = {**scope, "path": path, "raw_path": raw.removeprefix(self._prefix.encode())}

        async def send_with_prefix(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                location = headers.get("location", "")
                if location.startswith("/") and not location.startswith(f"{self._prefix}/"):
                    headers["location"] = f"{self._prefix}{location}"
            await send(message)

        await self._application({**scope, "root_path": self._prefix}, receive, send_with_prefix)
