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
    "Cache-Control": "no-store",  # for responses that do not say how long they may be cached
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
    """Host names of the server, and other origins that may use it.

    Args:
        hosts: names allowed in `Host` in addition to loopback ones; None allows any name.
        origins: other sites whose pages may use the API (CORS).
        tls: whether the server uses TLS, so that browsers can be told to require it.
    """

    hosts: frozenset[str] | None
    origins: Collection[str] = ()
    tls: bool = False

    @classmethod
    def of(cls, server: ServerSettings) -> "Served":
        """Makes it from the settings.

        Without `server.hosts`, a server that listens on loopback and needs no token accepts loopback names only: any
        other name is that of a site that redirected a browser here (DNS rebinding). With a token such a site gets
        nothing, so a reverse proxy on this machine may keep `Host`.
        """
        if server.hosts:
            hosts: frozenset[str] | None = frozenset(server.hosts)
        else:
            hosts = frozenset() if is_loopback(server.host) and server.token is None else None
        return cls(hosts, server.origins, server.speaks_tls)

    def has(self, host: str) -> bool:
        """Whether a `Host` header, with or without a port, names this server."""
        if self.hosts is None:
            return True
        name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
        return is_loopback(name.lower()) or name.lower() in self.hosts


class SameOrigin:
    """ASGI middleware that rejects requests of other sites' pages, and sets the security headers of every response.

    Args:
        application: the application.
        served: names and origins.
    """

    def __init__(self, application: ASGIApp, served: Served) -> None:
        self._application = application
        self._served = served
        self._headers = dict(_RESPONSE_HEADERS)
        if served.tls:
            self._headers["Strict-Transport-Security"] = f"max-age={_ONE_YEAR_S}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request with the headers set, or rejects it."""
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
        """The response if a request is rejected; a preflight of an allowed origin is answered here too."""
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
    """Whether a request comes from our own page, or from no page (a program sends neither header)."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    return origin is None or _is_at(origin, headers.get("host", ""))


def _is_at(origin: str, host: str) -> bool:
    """Whether an origin matches a `Host` header. The default port of a scheme equals none (RFC 6454)."""
    try:
        ours, theirs = urlsplit(f"//{host}"), urlsplit(origin)
        usual = _PORTS.get(theirs.scheme)
        return (
            bool(theirs.hostname)
            and ours.hostname == theirs.hostname
            and (ours.port or usual) == (theirs.port or usual)
        )
    except ValueError:  # invalid port or address
        return False


class PathPrefix:
    """ASGI middleware that removes the prefix from request paths, and adds it to `Location` headers.

    A proxy may also remove it; both lead to the same routes. The prefix without a trailing slash redirects to the page
    with one, so that its relative addresses work.

    Args:
        application: the application; it gets the prefix in `root_path`, for the paths of cookies.
        prefix: starts with a slash and does not end with one.
    """

    def __init__(self, application: ASGIApp, prefix: str) -> None:
        self._application = application
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request without the prefix."""
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
