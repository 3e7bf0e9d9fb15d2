"""Routes of API tokens: users list, create and revoke their own; admins list and revoke all."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from stream_detect.access.accounts import Accounts
from stream_detect.api.audit_middleware import say
from stream_detect.api.parameters import NO_STORAGE, Responses, principal_of
from stream_detect.api.schemas.access import MadeTokenBody, NewTokenBody, TokenBody, TokensBody
from stream_detect.api.sessions import Applied, is_admin, signed_in
from stream_detect.errors import ForbiddenError

TokenId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="of a token")]

_ABSENT: Responses = {404: {"description": "no such token of yours"}}
_TAKEN: Responses = {409: {"description": "there is one of that name, or there are too many"}}


def router(accounts: Accounts, applied: Applied) -> APIRouter:
    """The routes of tokens. They wait for the database, on the framework's threads.

    Args:
        accounts: makes and revokes them.
        applied: called after each change.
    """
    routes = APIRouter(prefix="/api/tokens", tags=["access"])

    @routes.get("", responses=NO_STORAGE)
    def listed(
        request: Request,
        *,
        everybodys: Annotated[bool, Query(alias="all", description="of all users; for admins")] = False,
    ) -> TokensBody:
        """The own tokens, the newest first, without their values."""
        if everybodys and not is_admin(request):
            raise ForbiddenError("expected the role admin to see the tokens of all users")
        principal = principal_of(request)
        owner = None if everybodys or principal is None else principal.name
        found = accounts.tokens(owner) if everybodys or owner is not None else []
        return TokensBody(items=tuple(map(TokenBody.of, found)))

    @routes.post("", status_code=201, responses=NO_STORAGE | _TAKEN)
    def add(body: NewTokenBody, request: Request) -> MadeTokenBody:
        """Makes a token of the user who is signed in; its value is shown this once."""
        signed_in(request)
        owner = principal_of(request)
        assert owner is not None  # noqa: S101 - signed_in() saw it
        token, value = accounts.add_token(owner, body.name, body.role, body.expires_in_days, body.camera)
        applied()
        say(request, target=f"{token.id} {token.name}")
        return MadeTokenBody.with_value(token, value)

    @routes.delete("/{token_id}", status_code=204, response_class=Response, responses=NO_STORAGE | _ABSENT)
    def revoke(token_id: TokenId, request: Request) -> None:
        """Revokes a token at once: streams that run by it end within two seconds."""
        accounts.remove_token(token_id, None if is_admin(request) else signed_in(request))
        applied()

    return routes
