"""Who may come in: the access token, the pause after wrong ones, and the origins and host names that are served.

`/healthz` and the page's own files need no token: they hold nothing secret, and a browser cannot send a header before
the page is there. Everything else asks for `Authorization: Bearer TOKEN` (RFC 6750).
"""

import hashlib
import hmac
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_detect.api.problems import problem
from stream_detect.settings import ServerSettings, is_loopback

GUESSES: Final = 10
"""Wrong tokens that one address may show at once; then one a second."""

_ADDRESSES: Final = 4096
_LOG_EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


class AccessToken:
    """The token that clients must show; it can be replaced while the server runs.

    Args:
        token: None lets everybody in.
    """

    def __init__(self, token: SecretStr | None) -> None:
        self.replace(token)

    def replace(self, token: SecretStr | None) -> None:
        """Takes another token from now on: the one before is refused."""
        self._digest = None if token is None else _digest(token.get_secret_value().encode())

    @property
    def needed(self) -> bool:
        """Whether there is one."""
        return self._digest is not None

    def is_shown(self, digest: bytes) -> bool:
        """Whether a digest is the token's; takes the same time whatever it is."""
        return self._digest is None or hmac.compare_digest(digest, self._digest)


@dataclass(slots=True)
class _Guesses:
    """What one client address showed.

    Args:
        left: wrong tokens that it may still show now.
        at_s: when that was so.
        wrong: digests of its newest wrong tokens; one shown again is no new guess, so that a page with a token of
            yesterday locks nobody out.
    """

    left: float
    at_s: float
    wrong: deque[bytes] = field(default_factory=lambda: deque(maxlen=8))
    refused: int = 0
    logged_s: float = -math.inf


class GuessLimit:
    """Bounds how often one client address may show wrong tokens: `GUESSES` at once, then one a second.

    An IPv6 client counts by its /64, which one subscriber has. Not thread-safe: lives on the event loop.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: OrderedDict[str, _Guesses] = OrderedDict()

    def pause_s(self, client: str, digest: bytes) -> float:
        """How long to wait before another token is compared; 0 when it may be now."""
        guesses = self._of.get(_network(client))
        if guesses is None or digest in guesses.wrong:
            return 0.0
        return max(0.0, 1.0 - self._left(guesses))

    def wrong(self, client: str, digest: bytes) -> None:
        """The address showed a wrong token; the log names it, at most once a minute."""
        key, now_s = _network(client), self._clock()
        guesses = self._of.setdefault(key, _Guesses(GUESSES, now_s))
        self._of.move_to_end(key)
        if len(self._of) > _ADDRESSES:
            self._of.popitem(last=False)
        if digest not in guesses.wrong:
            guesses.left, guesses.at_s = self._left(guesses) - 1.0, now_s
            guesses.wrong.append(digest)
        guesses.refused += 1
        if now_s - guesses.logged_s >= _LOG_EVERY_S:
            _log.warning("access token refused: %s showed %d wrong ones", client or "a client", guesses.refused)
            guesses.refused, guesses.logged_s = 0, now_s

    def _left(self, guesses: _Guesses) -> float:
        return min(float(GUESSES), guesses.left + self._clock() - guesses.at_s)


class TokenGate:
    """ASGI middleware that lets only holders of the token through.

    Args:
        application: what is behind the gate.
        token: the access token.
        open_paths: paths that need no token for GET and HEAD.
        guesses: of wrong tokens.
    """

    def __init__(
        self,
        application: ASGIApp,
        token: AccessToken,
        open_paths: Container[str],
        guesses: GuessLimit | None = None,
    ) -> None:
        self._application = application
        self._token = token
        self._open_paths = open_paths
        self._guesses = guesses or GuessLimit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on, or answer 401 or 429."""
        refusal = None if scope["type"] != "http" or self._is_open(scope) else self._refusal(scope)
        await (refusal or self._application)(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        return not self._token.needed or (scope["method"] in {"GET", "HEAD"} and scope["path"] in self._open_paths)

    def _refusal(self, scope: Scope) -> Response | None:
        shown = Headers(scope=scope).getlist("authorization")
        scheme, _, credentials = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not credentials.strip():
            return _unauthorized()
        client = scope["client"][0] if scope.get("client") else ""
        digest = _digest(credentials.strip().encode("latin-1"))
        pause_s = self._guesses.pause_s(client, digest)
        if pause_s > 0:
            return _too_many(pause_s)
        if self._token.is_shown(digest):
            return None
        self._guesses.wrong(client, digest)
        return _unauthorized()


def _digest(token: bytes) -> bytes:
    """Of equal length for every token, so that comparing tells nothing of its length."""
    return hashlib.sha256(token).digest()


def _network(client: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or address.packed[:8].hex())
    return client


def _unauthorized() -> Response:
    return problem(
        HTTPStatus.UNAUTHORIZED,
        "expected the header `Authorization: Bearer TOKEN` with this server's access token",
        "Access token needed",
        {"WWW-Authenticate": 'Bearer realm="stream-detect"', "Cache-Control": "no-store"},
    )


def _too_many(pause_s: float) -> Response:
    return problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too many wrong access tokens came from this address; try again in a moment",
        "Too many wrong tokens",
        {"Retry-After": str(math.ceil(pause_s)), "Cache-Control": "no-store"},
    )


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
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
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
        return cls(hosts, server.origins, server.tls_certificate is not None)

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
        if method not in _SAFE_METHODS and not _is_same_origin(headers):
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


def _is_same_origin(headers: Headers) -> bool:
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
