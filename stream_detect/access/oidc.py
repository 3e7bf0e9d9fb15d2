"""OpenID Connect: sign-in at a provider, by the authorization code flow with PKCE (OpenID Connect Core 1.0).

The server keeps no state between redirect and callback: what has to be compared is in an encrypted cookie of the
browser. It remembers for a while which sign-ins were answered. Blocks on the network.
"""

import hmac
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx
from authlib.oauth2 import OAuth2Client, OAuth2Error
from cryptography.fernet import Fernet, InvalidToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from stream_detect.errors import ProviderError, SignInError
from stream_detect.settings import AccessSettings

RETURN_WITHIN_S: Final = 600
"""Time to sign in at the provider."""

_REMEMBERED: Final = 4096
"""Number of answered sign-ins that are remembered; in ten minutes there are fewer, and older ones are rejected by age.
"""

_TIMEOUT_S: Final = 10.0
_KNOWN_FOR_S: Final = 3600.0
_LOOK_AGAIN_S: Final = 10.0
_FAILED_FOR_S: Final = 5.0
"""After a failure, the provider is not asked again for this time: each request that waits for it holds a thread."""

_LEEWAY_S: Final = 60
_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with the provider's private key; neither none nor those with a shared secret."""

_UNREADABLE: Final = (ValueError, TypeError, RecursionError)
"""What reading an answer raises that is no JSON, or other JSON than expected."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """Redirection to the provider.

    Args:
        address: address to redirect the browser to.
        kept: value of the cookie with what will be compared.
        within_s: time limit for the sign-in.
    """

    address: str
    kept: str
    within_s: int = RETURN_WITHIN_S


@dataclass(frozen=True, slots=True)
class _Known:
    """Cached data of the provider.

    Args:
        metadata: its configuration (OpenID Connect Discovery 1.0).
        keys: its signing keys.
        at_s: time of the request, monotonic seconds.
    """

    metadata: dict[str, Any]
    keys: KeySet
    at_s: float


class OidcProvider:
    """An OpenID Connect provider. Thread-safe.

    Args:
        settings: issuer, client, claim.
        clock: returns monotonic seconds.
    """

    def __init__(self, settings: AccessSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._issuer = settings.oidc_issuer or ""
        self._clock = clock
        self._lock = threading.Lock()
        self._known: _Known | None = None
        self._failed: tuple[float, str] | None = None  # when, and what was said
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._box = Fernet(Fernet.generate_key())

    def way_out(self, callback: str, to: str) -> WayOut:
        """Makes the redirection to the provider.

        Args:
            callback: our address to which it redirects the browser.
            to: path to which the user returns.

        Raises:
            ProviderError: the provider does not respond as expected.
        """
        kept = {
            "state": secrets.token_urlsafe(32),
            "nonce": secrets.token_urlsafe(32),
            "verifier": secrets.token_urlsafe(48),
            "callback": callback,
            "to": to,
        }
        address, _ = self._client(callback).create_authorization_url(
            self._endpoint("authorization_endpoint"),
            state=kept["state"],
            nonce=kept["nonce"],
            code_verifier=kept["verifier"],
        )
        return WayOut(address, self._box.encrypt(json.dumps(kept).encode()).decode())

    def way_back(self, kept: str, state: str, code: str) -> tuple[str, str]:
        """Handles the provider's answer; returns the user and the path to which the user returns.

        Args:
            kept: value of the browser's cookie.
            state: state from the provider.
            code: authorization code from the provider.

        Raises:
            SignInError: it does not answer one of our requests, is too late, or names no user.
            ProviderError: the provider does not respond as expected.
        """
        try:
            known: dict[str, str] = json.loads(self._box.decrypt(kept.encode(), ttl=RETURN_WITHIN_S))
        except (InvalidToken, ValueError):
            raise SignInError(
                "expected a sign-in that was started here within the last ten minutes; sign in again"
            ) from None
        if not hmac.compare_digest(known["state"].encode(), state.encode()):
            raise SignInError("expected the provider's answer to this browser's sign-in, received another one")
        if not self._is_first(state):
            raise SignInError("expected an answer that has not been used yet; sign in again")
        try:
            with httpx.Client(timeout=_TIMEOUT_S) as session:
                token = self._token(self._client(known["callback"], session), code, known["verifier"])
        except OAuth2Error as error:
            raise SignInError(f"the sign-in provider refused: {str(error.error)[:80]}") from None
        except (httpx.HTTPError, httpx.InvalidURL, *_UNREADABLE) as error:
            raise ProviderError(f"expected a token from {self._issuer}: {type(error).__name__}") from error
        return self._user(str(token.get("id_token", "")), known["nonce"]), known["to"]

    def _is_first(self, state: str) -> bool:
        """Whether a sign-in was not answered yet: each works once (RFC 9700, 4.7.1), whatever the provider allows."""
        with self._lock:
            if state in self._answered:
                return False
            self._answered[state] = None
            if len(self._answered) > _REMEMBERED:
                self._answered.popitem(last=False)
        return True

    def _client(self, callback: str, session: httpx.Client | None = None) -> OAuth2Client:
        return OAuth2Client(
            session,
            self._settings.oidc_client_id,
            scope="openid profile email",
            redirect_uri=callback,
            code_challenge_method="S256",
        )

    def _token(self, client: OAuth2Client, code: str, verifier: str) -> dict[str, Any]:
        """Redeems a code, with the client's secret in the Authorization header, or its id alone in the form."""
        client_id, secret = self._settings.oidc_client_id or "", self._settings.oidc_client_secret
        auth = httpx.Auth() if secret is None else httpx.BasicAuth(client_id, secret.get_secret_value())
        form = {"client_id": client_id} if secret is None else {}
        token: dict[str, Any] = client.fetch_token(
            self._endpoint("token_endpoint"),
            grant_type="authorization_code",
            auth=auth,
            code=code,
            code_verifier=verifier,
            **form,
        )
        return token

    def _user(self, id_token: str, nonce: str) -> str:
        """The user name in a valid ID token: the provider's, for us, current, of this sign-in (Core 1.0, 3.1.3.7)."""
        try:
            claims = self._claims(id_token)
            registry = jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": self._issuer},
                aud={"essential": True, "value": self._settings.oidc_client_id or ""},
                nonce={"essential": True, "value": nonce},
                exp={"essential": True},
                iat={"essential": True},
            )
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise SignInError(f"expected an ID token from {self._issuer} for this sign-in: {error}") from None
        audience, party = claims["aud"], claims.get("azp")
        several = isinstance(audience, list) and len(audience) > 1
        if (several or party is not None) and party != self._settings.oidc_client_id:
            raise SignInError("expected an ID token for this server, received one for another client")
        name = claims.get(self._settings.oidc_claim)
        if not isinstance(name, str) or not name:
            raise SignInError(f"expected the claim {self._settings.oidc_claim} (access.oidc_claim) in the ID token")
        if self._settings.oidc_claim == "email" and claims.get("email_verified") is not True:
            raise SignInError("expected an e-mail address verified by the provider, received an unverified one")
        return name

    def _claims(self, id_token: str) -> dict[str, Any]:
        """The claims of a token with a valid signature; the keys are fetched again if its key is unknown."""
        try:
            return jwt.decode(id_token, self._provider().keys, algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError):
            known = self._provider()
            if self._clock() - known.at_s < _LOOK_AGAIN_S:
                raise
        return jwt.decode(id_token, self._provider(anew=True).keys, algorithms=_ALGORITHMS).claims

    def _endpoint(self, name: str) -> str:
        address = self._provider().metadata.get(name)
        if not isinstance(address, str) or not address.startswith(("https://", "http://")):
            raise ProviderError(f"expected {name} in the configuration of {self._issuer}")
        return address

    def _provider(self, *, anew: bool = False) -> _Known:
        """Its configuration and keys, fetched once an hour."""
        with self._lock:
            known = self._known
            if known is not None and not anew and self._clock() - known.at_s < _KNOWN_FOR_S:
                return known
            if self._failed is not None and self._clock() - self._failed[0] < _FAILED_FOR_S:
                raise ProviderError(self._failed[1])
            try:
                self._known = self._fetched()
            except ProviderError as error:
                self._failed = self._clock(), str(error)
                raise
            return self._known

    def _fetched(self) -> _Known:
        try:
            with httpx.Client(timeout=_TIMEOUT_S) as client:
                address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
                metadata = _object(client.get(address))
                if metadata.get("issuer") != self._issuer:
                    raise ProviderError(f"expected the issuer {self._issuer} at {address}, received another one")
                keys = _usable_keys(_object(client.get(str(metadata.get("jwks_uri")))))
        except (httpx.HTTPError, httpx.InvalidURL, *_UNREADABLE) as error:
            raise ProviderError(f"expected the configuration of {self._issuer}: {type(error).__name__}") from error
        return _Known(metadata, keys, self._clock())


def _usable_keys(key_set: dict[str, Any]) -> KeySet:
    """The keys of a set; those of kinds and curves that are not known are ignored (RFC 7517, 5)."""
    listed = key_set.get("keys")
    usable = [key for one in (listed if isinstance(listed, list) else []) if (key := _key(one)) is not None]
    if not usable:
        raise ValueError("expected a key that can be used")
    return KeySet(usable)


def _key(value: Any) -> Any:
    try:
        return KeySet.import_key_set(cast("Any", {"keys": [value]})).keys[0]
    except (JoseError, KeyError, *_UNREADABLE):
        return None


def _object(answer: httpx.Response) -> dict[str, Any]:
    value = answer.raise_for_status().json()
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004 - as for what is no JSON at all
    return value
