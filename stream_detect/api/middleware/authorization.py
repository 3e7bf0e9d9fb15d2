"""Authorization of requests: who sent each, and whether the role is sufficient for the route.

A request has an access token (`Authorization: Bearer TOKEN`, RFC 6750) or the cookie of a session, or comes through a
proxy that names its user. For a change, a cookie is accepted only if the origin is the server's own page.
"""

import asyncio
import logging
import math
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stream_detect.access.accounts import Accounts
from stream_detect.access.directory import Directory
from stream_detect.access.limits import GuessLimit
from stream_detect.access.networks import Networks, client_network
from stream_detect.access.principal import Principal, digest_of, user_name
from stream_detect.api.middleware.origin import SAFE_METHODS, is_same_origin
from stream_detect.api.middleware.permissions import Permissions, refusal
from stream_detect.api.middleware.problems import problem
from stream_detect.api.middleware.running import Running
from stream_detect.errors import RequestError, SignInError, StreamDetectError
from stream_detect.settings import AccessSettings

COOKIE: Final = "stream_detect_session"
PEER: Final = "stream_detect.peer"
"""Key in the scope: the address of the connection, if a forwarded one replaced it in `client`."""

_LOG_EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ProxySignIn:
    """Users named by a reverse proxy in a header.

    Args:
        settings: the header, and the trusted addresses.
        accounts: adds new users.
    """

    settings: AccessSettings
    accounts: Accounts
    logged_s: float = field(default=-math.inf)
    _trusted: Networks = field(init=False)

    def __post_init__(self) -> None:
        self._trusted = Networks(self.settings.proxy_addresses)

    def named(self, scope: Scope, headers: Headers) -> str | None:
        """The user named by a trusted proxy; None if there is none."""
        if self.settings.proxy_header is None:
            return None
        values = headers.getlist(self.settings.proxy_header)
        if not values:
            return None
        peer = scope.get(PEER) or (scope["client"][0] if scope.get("client") else "")
        if peer not in self._trusted:
            if time.monotonic() - self.logged_s >= _LOG_EVERY_S:
                self.logged_s = time.monotonic()
                _log.warning("%s from %s is ignored: the address is not in access.proxy_addresses", _name(self), peer)
            return None
        return values[0] if len(values) == 1 else ""


def _name(proxy: ProxySignIn) -> str:
    return proxy.settings.proxy_header or ""


@dataclass(frozen=True, slots=True)
class Gatekeepers:
    """What the authorization uses.

    Args:
        directory: finds the owner of a credential.
        permissions: permissions of the routes.
        running: requests and sessions to end when a right is revoked.
        proxy: users named by a proxy.
        guesses: limits wrong tokens.
    """

    directory: Directory
    permissions: Permissions
    running: Running
    proxy: ProxySignIn
    guesses: GuessLimit = field(default_factory=GuessLimit)


class Authorization:
    """ASGI middleware that authorizes requests and stores the `Principal` in the scope.

    Args:
        application: the application.
        asked: what it uses.
    """

    def __init__(self, application: ASGIApp, asked: Gatekeepers) -> None:
        self._application = application
        self._asked = asked
        asked.running.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request, or answers 401, 403 or 429."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        permission, path, values = self._asked.permissions.of(scope)
        scope["permission"], scope["template"], scope["values"] = permission, path, values
        found = await self._recognised(scope)
        if isinstance(found, Principal):
            scope["principal"] = found
        if permission.least is None:
            await self._application(scope, receive, send)
            return
        if not isinstance(found, Principal):
            await found(scope, receive, send)
            return
        why = refusal(found, permission, path, values)
        if why:
            await problem(HTTPStatus.FORBIDDEN, why, "Role not sufficient")(scope, receive, send)
        elif not await self._asked.running.carry(found, permission.least, self._application, (scope, receive, send)):
            ended = _unauthorized("the access was revoked meanwhile; sign in again")
            ended.headers["Connection"] = "close"  # otherwise the rest of an upload would be read
            await ended(scope, receive, send)

    async def _recognised(self, scope: Scope) -> Principal | Response:
        """The sender of a request, or the response if it is unknown."""
        directory, headers = self._asked.directory, Headers(scope=scope)
        anybody = directory.anybody()
        if anybody is not None:
            return anybody
        if len(headers.getlist("authorization")) > 1:
            return _unauthorized("expected one Authorization header, received several")
        token = _bearer_token(headers)
        if token is not None:
            return self._by_bearer(scope, token)
        named = self._asked.proxy.named(scope, headers)
        if named is not None:
            return await self._by_proxy(named)
        return self._by_cookie(scope, headers)

    def _by_cookie(self, scope: Scope, headers: Headers) -> Principal | Response:
        cookie = _session_cookie(headers)
        principal = self._asked.directory.by_cookie(cookie) if cookie else None
        if principal is None:
            return _unauthorized("expected an access token (`Authorization: Bearer TOKEN`) or a signed-in browser")
        if scope["method"] not in SAFE_METHODS and not _is_own_page(headers):
            return problem(
                HTTPStatus.FORBIDDEN,
                "expected Origin or Sec-Fetch-Site of this server's own page with a session's cookie; programs send an "
                "access token instead",
            )
        return principal

    def _by_bearer(self, scope: Scope, token: bytes) -> Principal | Response:
        """A correct token always works; after many wrong ones of an address, others are answered 429."""
        principal = self._asked.directory.by_bearer(token) if token else None
        if principal is not None:
            return principal
        if not token:
            return _unauthorized("expected a token behind `Authorization: Bearer`")
        client, digest = client_network(scope["client"][0] if scope.get("client") else ""), digest_of(token)
        pause_s = self._asked.guesses.pause_s(client, digest)
        if pause_s > 0:
            return _too_many(pause_s)
        self._asked.guesses.wrong(client, digest)
        return _unauthorized("the access token is wrong, has expired or was revoked")

    async def _by_proxy(self, named: str) -> Principal | Response:
        directory, accounts = self._asked.directory, self._asked.proxy.accounts
        try:
            if not directory.knows(user_name(named)):
                await asyncio.to_thread(accounts.enter_from_elsewhere, named)
                await asyncio.to_thread(directory.refresh)
        except (RequestError, SignInError) as error:
            return _unauthorized(str(error))
        except StreamDetectError as error:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": "5"})
        return directory.by_proxy(named) or _unauthorized("the user whom the proxy names is disabled")


def owner_of_credentials(scope: Scope, directory: Directory) -> Principal | None:
    """Owner of the token or cookie of a refused request, for the audit log; it does not count as use."""
    headers = Headers(scope=scope)
    token, cookie = _bearer_token(headers), _session_cookie(headers)
    if token is not None:
        return directory.by_bearer(token, in_use=False)
    return directory.by_cookie(cookie, in_use=False) if cookie else None


def _bearer_token(headers: Headers) -> bytes | None:
    """The token in `Authorization: Bearer` (RFC 6750); None if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else None


def _session_cookie(headers: Headers) -> bytes:
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "").encode("latin-1", "replace")


def _is_own_page(headers: Headers) -> bool:
    """Whether a browser says that the server's own page sent it: every current one sends one of the two headers."""
    said = "origin" in headers or "sec-fetch-site" in headers
    return said and is_same_origin(headers)


def _unauthorized(detail: str) -> Response:
    return problem(
        HTTPStatus.UNAUTHORIZED,
        detail,
        "Sign-in needed",
        {"WWW-Authenticate": 'Bearer realm="stream-detect"', "Cache-Control": "no-store"},
    )


def _too_many(pause_s: float) -> Response:
    return problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too many wrong access tokens came from this address; the right one opens all the same",
        "Too many wrong tokens",
        {"Retry-After": str(math.ceil(pause_s)), "Cache-Control": "no-store"},
    )
