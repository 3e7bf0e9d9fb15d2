"""Routes of users, for admins: list, add, change and remove them, and end their sessions; and of API tokens."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from stream_detect.access.accounts import Accounts
from stream_detect.access.directory import Directory
from stream_detect.api.middleware.audit import say
from stream_detect.api.requests import NO_STORAGE, Responses, principal_of
from stream_detect.api.schemas.users import (
    MadeTokenBody,
    NewTokenBody,
    NewUserBody,
    SessionsBody,
    TokenBody,
    TokensBody,
    UserBody,
    UserChangeBody,
    UsersBody,
)
from stream_detect.api.sessions import Applied, is_admin, signed_in
from stream_detect.errors import ForbiddenError, NotFoundError

UserName = Annotated[str, Path(max_length=64, description="name of the user")]

_NO_USER: Responses = {404: {"description": "no such user"}}
_LAST: Responses = {409: {"description": "no admin would be left"}}


def router(directory: Directory, accounts: Accounts, applied: Applied) -> APIRouter:
    """The routes of users. They wait for the database and argon2, on the framework's threads.

    Args:
        directory: sessions and tokens.
        accounts: changes users.
        applied: called after each change.
    """
    routes = APIRouter(prefix="/api/users", tags=["access"])

    @routes.get("", responses=NO_STORAGE)
    def listed() -> UsersBody:
        """All users, by name."""
        return UsersBody(items=tuple(map(UserBody.of, accounts.users())))

    @routes.post(
        "",
        status_code=201,
        responses=NO_STORAGE | {409: {"description": "a user of this name exists, or the first user is not an admin"}},
    )
    def add(body: NewUserBody, request: Request, response: Response) -> UserBody:
        """Adds a user. The first user must be an admin; from then on, everybody has to sign in."""
        added = accounts.add(body.name, body.role, body.password.get_secret_value())
        applied()
        say(request, detail=f"role {added.role.value}")
        response.headers["Location"] = f"{routes.prefix}/{added.name}"
        return UserBody.of(added)

    @routes.patch("/{user}", responses=NO_STORAGE | _NO_USER | _LAST)
    def change(user: UserName, body: UserChangeBody, request: Request) -> UserBody:
        """Changes the given values of a user; a new password, or disabling the user, ends the user's sessions."""
        password = None if body.password is None else body.password.get_secret_value()
        changed = accounts.change(user, role=body.role, disabled=body.disabled, password=password)
        applied()
        say(request, detail=_given(body))
        return UserBody.of(changed)

    @routes.delete("/{user}", status_code=204, response_class=Response, responses=NO_STORAGE | _NO_USER | _LAST)
    def remove(user: UserName) -> None:
        """Removes a user with all sessions and tokens."""
        accounts.remove(user)
        applied()

    @routes.get("/{user}/sessions", responses=_NO_USER)
    def sessions(user: UserName, request: Request) -> SessionsBody:
        """A user's sessions, one per signed-in browser, most recently used first."""
        if not directory.knows(user):
            raise NotFoundError("expected the name of a user, received an unknown name")
        principal = principal_of(request)
        return SessionsBody.of(directory.sessions(user), "" if principal is None else principal.key)

    @routes.delete("/{user}/sessions", status_code=204, response_class=Response, responses=NO_STORAGE | _NO_USER)
    def end_sessions(user: UserName) -> None:
        """Signs a user out in all browsers."""
        accounts.sign_out_everywhere(user)
        applied()

    return routes


def _given(body: UserChangeBody) -> str:
    """The given values of a change, without the password."""
    values = [
        "" if body.role is None else f"role {body.role.value}",
        "" if body.disabled is None else "disabled" if body.disabled else "enabled",
        "" if body.password is None else "new password",
    ]
    return ", ".join(filter(None, values)) or "nothing was given"


TokenId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="id of the token")]

_NO_TOKEN: Responses = {404: {"description": "you have no such token"}}
_TAKEN: Responses = {409: {"description": "you have a token of this name, or too many tokens"}}


def tokens(accounts: Accounts, applied: Applied) -> APIRouter:
    """The routes of tokens. They wait for the database, on the framework's threads.

    Args:
        accounts: creates and revokes tokens.
        applied: called after each change.
    """
    routes = APIRouter(prefix="/api/tokens", tags=["access"])

    @routes.get("", responses=NO_STORAGE)
    def listed(
        request: Request,
        *,
        everybodys: Annotated[
            bool, Query(alias="all", description="list the tokens of all users; admins only")
        ] = False,
    ) -> TokensBody:
        """The user's own tokens, newest first, without their values."""
        if everybodys and not is_admin(request):
            raise ForbiddenError("expected the role admin to see the tokens of all users")
        principal = principal_of(request)
        owner = None if everybodys or principal is None else principal.name
        found = accounts.tokens(owner) if everybodys or owner is not None else []
        return TokensBody(items=tuple(map(TokenBody.of, found)))

    @routes.post("", status_code=201, responses=NO_STORAGE | _TAKEN)
    def add(body: NewTokenBody, request: Request) -> MadeTokenBody:
        """Creates a token for the signed-in user; its value is shown only once."""
        signed_in(request)
        owner = principal_of(request)
        assert owner is not None  # noqa: S101 - signed_in() saw it
        token, value = accounts.add_token(owner, body.name, body.role, body.expires_in_days, body.camera)
        applied()
        camera = "" if token.camera is None else f", for camera {token.camera} only"
        say(request, target=f"{token.id} {token.name}", detail=f"role {token.role.value}{camera}")
        return MadeTokenBody.with_value(token, value)

    @routes.delete("/{token_id}", status_code=204, response_class=Response, responses=NO_STORAGE | _NO_TOKEN)
    def revoke(token_id: TokenId, request: Request) -> None:
        """Revokes a token at once: its streams end within two seconds."""
        accounts.remove_token(token_id, None if is_admin(request) else signed_in(request))
        applied()

    return routes
