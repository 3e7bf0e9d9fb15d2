"""An application with a user of each role, a token of each, and signed-in browsers."""

from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from starlette.testclient import TestClient

from stream_detect.access.passwords import Passwords
from stream_detect.access.principal import Principal
from stream_detect.api.middleware.authorization import COOKIE
from stream_detect.types import Role

PASSWORD = "four random words here"
ORIGIN = {"Origin": "http://127.0.0.1:8080"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass
class House:
    """The application, and credentials for it.

    Args:
        inside: the application.
        tokens: API tokens by role, each of the user with the role's name.
        publisher: a token for publishing to the camera `street`.
    """

    inside: Any
    tokens: dict[Role, str]
    publisher: str

    @property
    def client(self) -> TestClient:
        """A browser that is not signed in."""
        return self.inside.client

    def sign_in(self, name: str = "viewer", agent: str = "test") -> dict[str, str]:
        """Headers of a page in a browser in which this user is signed in."""
        headers = ORIGIN | {"User-Agent": agent}
        answer = self.client.post("/api/session", json={"name": name, "password": PASSWORD}, headers=headers)
        assert answer.status_code == 200, answer.text
        value = self.client.cookies.get(COOKIE)
        self.client.cookies.clear()
        return {"Cookie": f"{COOKIE}={value}", **ORIGIN}


def signed_in(inside: Any) -> House:
    """Adds a user of each role, named like the role."""
    accounts = inside.access.accounts
    accounts._passwords = Passwords(PasswordHasher(1, 8, 1))  # some 40 hashes per test, of 64 MiB each
    tokens = {}
    for role in reversed(Role):
        accounts.add(role.value, role, PASSWORD)
        tokens[role] = accounts.add_token(Principal(role, "session", role.value), "test", role, None, None)[1]
    admin = Principal(Role.ADMIN, "session", "admin")
    publisher = accounts.add_token(admin, "obs", Role.OPERATOR, None, "street")[1]
    inside.access.apply()
    return House(inside, tokens, publisher)
