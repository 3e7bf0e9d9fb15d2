"""Routes of single sign-on: the redirect to the OpenID Connect provider, and its callback."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute

from stream_detect.access.accounts import Accounts
from stream_detect.access.principal import user_name
from stream_detect.api.middleware.audit import say
from stream_detect.api.middleware.problems import kind_of
from stream_detect.api.requests import NO_STORAGE, Responses, browser_of
from stream_detect.api.sessions import Applied, Cookies
from stream_detect.errors import NotFoundError, ProviderError, RequestError, SignInError, StreamDetectError
from stream_detect.off_loop import off_loop

if TYPE_CHECKING:
    from stream_detect.access.oidc import OidcProvider

KEPT: Final = "stream_detect_oidc"

AT_ONCE: Final = 16
"""Sign-ins that may wait for the provider at the same time, each on a thread of its own: a provider that hangs must not
occupy the threads that all other requests share."""

T = TypeVar("T")

_ANSWERS: Final[Responses] = {
    302: {
        "description": "redirect to the provider or back to the page",
        "headers": {"Location": {"schema": {"type": "string"}}},
    },
    401: {"description": "the sign-in failed"},
    404: {"description": "no provider is configured"},
    502: {"description": "the provider does not respond, or not as specified"},
}


_FAILED: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{detail}</p><p><a href="{page}">Back to the sign-in</a></p></body>
</html>
"""


class _ForBrowsers(APIRoute):
    """A route to which browsers go by themselves: they are shown an error as a page with a way back."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override] # as FastAPI documents
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except StreamDetectError as error:
                if "text/html" not in request.headers.get("accept", ""):
                    raise
                kind = kind_of(error)
                words = {"title": kind.title, "detail": str(error), "page": f"{_root(request)}/"}
                page = _FAILED.format_map({name: escape(value) for name, value in words.items()})
                return HTMLResponse(page, kind.status)

        return handled


def router(accounts: Accounts, applied: Applied, cookies: Cookies, provider: "OidcProvider | None") -> APIRouter:
    """The routes of single sign-on.

    Args:
        accounts: signs in.
        applied: called after each sign-in.
        cookies: session cookies.
        provider: the provider; None if not set.
    """
    routes = APIRouter(prefix="/api/oidc", tags=["access"], route_class=_ForBrowsers)

    def the_provider() -> "OidcProvider":
        if provider is None:
            raise NotFoundError("no OpenID Connect provider is configured (access.oidc_issuer)")
        return provider

    waiting = 0

    async def asked(call: Callable[[], T]) -> T:
        """What the provider answers, which may take many seconds."""
        nonlocal waiting
        if waiting >= AT_ONCE:
            raise ProviderError(
                "the sign-in provider is slow, and too many sign-ins wait for it: try again in a moment"
            )
        waiting += 1
        try:
            return await off_loop(call, "oidc")
        finally:
            waiting -= 1

    def keep(request: Request, response: Response, value: str, for_s: int) -> None:
        """Lax, because the provider's page redirects the browser back, which is a navigation from another site."""
        path, secure = f"{_root(request)}{routes.prefix}", request.url.scheme == "https"
        response.set_cookie(KEPT, value, max_age=for_s, path=path, secure=secure, httponly=True, samesite="lax")

    @routes.get("/login", status_code=302, response_class=RedirectResponse, responses=_ANSWERS)
    async def login(
        request: Request,
        to: Annotated[str, Query(max_length=500, description="path on this server to open after the sign-in")] = "/",
    ) -> Response:
        """Redirects the browser to the provider."""
        there = the_provider()
        callback = f"{request.url.scheme}://{request.url.netloc}{_root(request)}{routes.prefix}/callback"
        way = await asked(partial(there.way_out, callback, _own_path(to)))
        response = RedirectResponse(way.address, 302, {"Cache-Control": "no-store"})
        keep(request, response, way.kept, way.within_s)
        return response

    @routes.get("/callback", status_code=302, response_class=RedirectResponse, responses=_ANSWERS | NO_STORAGE)
    async def callback(
        request: Request,
        state: Annotated[str, Query(max_length=500)] = "",
        code: Annotated[str, Query(max_length=4000)] = "",
        error: Annotated[str, Query(max_length=500)] = "",
    ) -> Response:
        """Handles the provider's answer: signs the user in and redirects to the page."""
        there = the_provider()
        if error or not code:
            raise SignInError(f"the sign-in provider refused the sign-in: {error[:80] or 'it sent no code'}")
        kept = request.cookies.get(KEPT, "")
        name, to = await asked(partial(there.way_back, kept, state, code))
        say(request, target=name)
        value = await asyncio.to_thread(accounts.sign_in_from_elsewhere, name, browser_of(request))
        await asyncio.to_thread(applied)
        say(request, who=user_name(name), by="session")
        response = RedirectResponse(f"{_root(request)}{to}", 302, {"Cache-Control": "no-store"})
        cookies.set(request, response, value)
        keep(request, response, "", 0)
        return response

    return routes


def _own_path(to: str) -> str:
    """Checks a path on this server, so that it is never another server's address.

    Raises:
        RequestError: it is not a path.
    """
    if not to.startswith("/") or to[1:2] in {"/", "\\"} or not to.isprintable() or not to.isascii():
        raise RequestError("expected a path on this server in `to`, such as /cameras, received another address")
    return to


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")
