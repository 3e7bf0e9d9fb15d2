"""Routes of sign-in, sign-out and the user's own password; sessions use an HttpOnly, SameSite=Strict cookie."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from stream_detect.access.accounts import Accounts
from stream_detect.access.directory import Directory
from stream_detect.access.limits import SignInLimit
from stream_detect.access.principal import Principal
from stream_detect.api.middleware.audit import say
from stream_detect.api.middleware.authorization import COOKIE
from stream_detect.api.middleware.problems import answer_of
from stream_detect.api.requests import NO_STORAGE, Responses, browser_of, client_address, principal_of
from stream_detect.api.schemas.users import CredentialsBody, MeBody, PasswordChangeBody, SessionsBody, SignInBody
from stream_detect.errors import ForbiddenError, StorageError
from stream_detect.types import Role

Applied = Callable[[], None]
"""Applies a change of users, sessions or tokens at once. Blocks for the database."""

SessionId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="id of the session")]

_WRONG: Final[Responses] = {401: {"description": "the name or the password is wrong"}}
_ABSENT_SESSION: Final[Responses] = {404: {"description": "you have no such session"}}
_GUESSED: Final[Responses] = {429: {"description": "too many wrong passwords from this address or for this user"}}


class Cookies:
    """Sets and deletes the session's cookie.

    Args:
        hours: its lifetime.
    """

    def __init__(self, hours: float) -> None:
        self._max_age_s = int(3600 * hours)

    def set(self, request: Request, response: Response, value: str) -> None:
        """For this server only, not readable by scripts, never sent by another site's page; Secure under TLS."""
        response.set_cookie(
            COOKIE,
            value,
            max_age=self._max_age_s,
            path=_path(request),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )

    def delete(self, request: Request, response: Response) -> None:
        """Makes the browser delete the cookie."""
        secure = request.url.scheme == "https"
        response.delete_cookie(COOKIE, path=_path(request), secure=secure, httponly=True, samesite="strict")


def router(directory: Directory, accounts: Accounts, applied: Applied, cookies: Cookies) -> APIRouter:
    """The routes of one's own account.

    Args:
        directory: sessions and tokens.
        accounts: signs in and out.
        applied: called after each change.
        cookies: session cookies.
    """
    routes = APIRouter(prefix="/api", tags=["access"])
    limit = SignInLimit()

    @routes.get("/me")
    async def me(request: Request) -> MeBody:
        """The user who sent the request, and how to sign in. Requires no sign-in."""
        return _me(principal_of(request), directory)

    @routes.post("/session", responses=NO_STORAGE | _WRONG | _GUESSED)
    async def sign_in(body: CredentialsBody, request: Request, response: Response) -> MeBody:
        """Signs a user in: starts a session and ends the browser's previous one."""
        address = client_address(request)
        known = directory.known_as(body.name)
        # An unknown name may be a password that was typed into the wrong field.
        say(request, target=known or "somebody who is no user")
        password = body.password.get_secret_value()
        with limit.attempt(body.name, address):
            value = await asyncio.to_thread(accounts.sign_in, body.name, password, browser_of(request))
        say(request, who=known, by="session")
        before = request.cookies.get(COOKIE)
        if before:
            await asyncio.to_thread(accounts.sign_out, before)
        await asyncio.to_thread(applied)
        cookies.set(request, response, value)
        return _me(directory.by_cookie(value.encode()), directory)

    @routes.delete("/session", status_code=204, response_class=Response, responses=NO_STORAGE)
    def sign_out(request: Request) -> Response:
        """Signs out: ends this browser's session and its streams."""
        answer = _signed_out(request, accounts, applied)
        cookies.delete(request, answer)  # also if the database is away: the browser may be a shared one
        return answer

    @routes.get("/sessions")
    def sessions(request: Request) -> SessionsBody:
        """The user's own sessions, one per signed-in browser, most recently used first."""
        principal = principal_of(request)
        return SessionsBody.of(directory.sessions(signed_in(request)), "" if principal is None else principal.key)

    @routes.delete(
        "/sessions/{session_id}", status_code=204, response_class=Response, responses=NO_STORAGE | _ABSENT_SESSION
    )
    def end(session_id: SessionId, request: Request) -> None:
        """Ends one of the user's own sessions and its streams; admins may end any session."""
        owner = accounts.end_session(session_id, None if is_admin(request) else signed_in(request))
        applied()
        say(request, target=f"{session_id} of {owner}")

    @routes.delete("/sessions", status_code=204, response_class=Response, responses=NO_STORAGE)
    def sign_out_everywhere(request: Request) -> Response:
        """Signs the user out in all browsers."""
        accounts.sign_out_everywhere(signed_in(request))
        applied()
        return _forgotten(request, cookies)

    @routes.put("/me/password", status_code=204, response_class=Response, responses=NO_STORAGE | _GUESSED)
    async def change_password(body: PasswordChangeBody, request: Request) -> Response:
        """Changes the user's own password and ends all other sessions of the user."""
        name, address = signed_in(request), client_address(request)
        current, new = body.current.get_secret_value(), body.new.get_secret_value()
        with limit.attempt(name, address):
            value = await asyncio.to_thread(accounts.change_password, name, current, new, browser_of(request))
        await asyncio.to_thread(applied)
        response = Response(status_code=204)
        cookies.set(request, response, value)
        return response

    return routes


def signed_in(request: Request) -> str:
    """Name of the user whose signed-in browser sent a request.

    Raises:
        ForbiddenError: it was sent with a token, or the server requires no sign-in.
    """
    principal = principal_of(request)
    if principal is None or principal.name is None or principal.by not in {"session", "proxy"}:
        raise ForbiddenError("expected the session of a signed-in user")
    return principal.name


def is_admin(request: Request) -> bool:
    """Whether a request was sent by an admin."""
    principal = principal_of(request)
    return principal is not None and principal.role is Role.ADMIN


def _me(principal: Principal | None, directory: Directory) -> MeBody:
    needed = directory.sign_in()
    return MeBody(
        name=None if principal is None else principal.name,
        role=None if principal is None else principal.role,
        by=None if principal is None else principal.by,
        sign_in=SignInBody(needed=needed.needed, password=needed.password, oidc=needed.oidc),
    )


def _signed_out(request: Request, accounts: Accounts, applied: Applied) -> Response:
    value = request.cookies.get(COOKIE)
    try:
        if value:
            accounts.sign_out(value)
            applied()
    except StorageError as error:
        return answer_of(error)
    return Response(status_code=204)


def _forgotten(request: Request, cookies: Cookies) -> Response:
    response = Response(status_code=204)
    cookies.delete(request, response)
    return response


def _path(request: Request) -> str:
    return request.scope.get("root_path", "") or "/"
