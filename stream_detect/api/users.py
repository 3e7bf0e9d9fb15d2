"""Routes of users, for admins: list, add, change and remove them, and end their sessions."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from stream_detect.access.accounts import Accounts
from stream_detect.access.directory import Directory
from stream_detect.api.parameters import NO_STORAGE, Responses, principal_of
from stream_detect.api.schemas.access import NewUserBody, SessionsBody, UserBody, UserChangeBody, UsersBody
from stream_detect.api.sessions import Applied
from stream_detect.errors import NotFoundError

UserName = Annotated[str, Path(max_length=64, description="of a user")]

_ABSENT: Responses = {404: {"description": "no such user"}}
_LAST: Responses = {409: {"description": "no admin would be left"}}


def router(directory: Directory, accounts: Accounts, applied: Applied) -> APIRouter:
    """The routes of users. They wait for the database and argon2, on the framework's threads.

    Args:
        directory: where users are signed in.
        accounts: changes users.
        applied: called after each change.
    """
    routes = APIRouter(prefix="/api/users", tags=["access"])

    @routes.get("", responses=NO_STORAGE)
    def listed() -> UsersBody:
        """All users, by name."""
        return UsersBody(items=tuple(map(UserBody.of, accounts.users())))

    @routes.post("", status_code=201, responses=NO_STORAGE | {409: {"description": "taken, or the first is no admin"}})
    def add(body: NewUserBody, response: Response) -> UserBody:
        """Adds a user; the first one has to be an admin. From then on everybody has to sign in."""
        added = accounts.add(body.name, body.role, body.password.get_secret_value())
        applied()
        response.headers["Location"] = f"{routes.prefix}/{added.name}"
        return UserBody.of(added)

    @routes.patch("/{user}", responses=NO_STORAGE | _ABSENT | _LAST)
    def change(user: UserName, body: UserChangeBody) -> UserBody:
        """Changes what is given; a new password, and disabling, end the user's sessions."""
        password = None if body.password is None else body.password.get_secret_value()
        changed = accounts.change(user, role=body.role, disabled=body.disabled, password=password)
        applied()
        return UserBody.of(changed)

    @routes.delete("/{user}", status_code=204, response_class=Response, responses=NO_STORAGE | _ABSENT | _LAST)
    def remove(user: UserName) -> None:
        """Removes a user with all sessions and tokens."""
        accounts.remove(user)
        applied()

    @routes.get("/{user}/sessions", responses=_ABSENT)
    def sessions(user: UserName, request: Request) -> SessionsBody:
        """Where a user is signed in, the browser used last first."""
        if not directory.knows(user):
            raise NotFoundError("expected the name of a user, received one that is not here")
        principal = principal_of(request)
        return SessionsBody.of(directory.sessions(user), "" if principal is None else principal.key)

    @routes.delete("/{user}/sessions", status_code=204, response_class=Response, responses=NO_STORAGE | _ABSENT)
    def end_sessions(user: UserName) -> None:
        """Signs a user out in all browsers."""
        accounts.sign_out_everywhere(user)
        applied()

    return routes
