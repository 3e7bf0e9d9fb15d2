"""A small OpenID Connect provider with RS256 keys, on a real HTTP server; it signs users in without asking."""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.patience import until

CLIENT, SECRET = "stream-detect", "hunter2-of-the-provider"


class Provider:
    """The provider, with faults that tests switch on.

    Args:
        user: name of the user whom it signs in, in the claim `preferred_username`.
        has_secret: whether the client has a secret, or only its id.
    """

    def __init__(self, user: str = "dora", *, has_secret: bool = True) -> None:
        self.user = user
        self.has_secret = has_secret
        self.issuer = ""
        self.claims: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.codes: dict[str, dict[str, str]] = {}
        self.new_key()
        self.signing: Any = None
        self.other_keys: list[Any] = []
        self.token_answer: Response | None = None
        self.configuration_answer: Response | None = None
        self.configurations = 0

    def new_key(self) -> None:
        """Signs with another key from now on, which is in its key set."""
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/keys", self.keys),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    async def configuration(self, _: Request) -> Response:
        self.configurations += 1
        if self.configuration_answer is not None:
            return self.configuration_answer
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
        )

    async def keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [*self.other_keys, *KeySet([self.key]).as_dict(private=False)["keys"]]})

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def token(self, request: Request) -> Response:
        if self.token_answer is not None:
            return self.token_answer
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = f"Basic {base64.b64encode(f'{CLIENT}:{SECRET}'.encode()).decode()}"
        expected = (basic, None) if self.has_secret else (None, CLIENT)
        asked = self.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if (
            (request.headers.get("authorization"), form.get("client_id")) != expected
            or asked is None
            or asked["redirect_uri"] != form["redirect_uri"]
            or asked["code_challenge"].encode() != challenge
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now_s = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "1",
            "iat": now_s,
            "exp": now_s + 60,
            "nonce": asked["nonce"],
            "preferred_username": self.user,
        } | self.claims
        header = {"alg": self.algorithm, "kid": self.key.kid}
        id_token = jwt.encode(header, claims, self.signing or self.key, algorithms=[self.algorithm])
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": id_token})


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider on a free port of this machine."""
    provider = Provider()
    config = uvicorn.Config(provider.application(), port=0, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        provider.issuer = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield provider
    finally:
        server.should_exit = True
        thread.join()
