"""Single sign-on by OpenID Connect, with a real provider over HTTP."""

import threading
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey
from starlette.responses import JSONResponse, RedirectResponse, Response

from stream_detect.access.oidc import OidcProvider
from stream_detect.api.oidc import AT_ONCE
from stream_detect.errors import ProviderError
from stream_detect.settings import AccessSettings
from tests.access.provider import CLIENT, SECRET, Provider, running_provider
from tests.api.signing_in import signed_in
from tests.patience import PATIENCE_S, in_time


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def house(make, provider):
    access = {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET,
        "oidc_title": "Example login",
        "sso_role": "operator",
    }
    return signed_in(make({"access": access}))


def go(house, to: str = "/cameras") -> httpx.Response:
    """The last response to a browser that goes to the provider and back."""
    out = house.client.get("/api/oidc/login", params={"to": to}, follow_redirects=False)
    assert out.status_code == 302, out.text
    cookie = out.headers["set-cookie"].lower()
    assert all(words in cookie for words in ("httponly", "samesite=lax", "path=/api/oidc"))
    back = httpx.get(out.headers["location"], timeout=PATIENCE_S).headers["location"]
    address = urlsplit(back)
    assert back.startswith("http://127.0.0.1:8080/api/oidc/callback?")
    return house.client.get(f"{address.path}?{address.query}", follow_redirects=False)


def test_a_user_returns_signed_in(house, provider):
    assert house.client.get("/api/me").json()["sign_in"] == {
        "needed": True,
        "password": True,
        "oidc": "Example login",
    }
    back = go(house)
    assert (back.status_code, back.headers["location"]) == (302, "/cameras")
    assert "samesite=strict" in back.headers["set-cookie"].lower()
    me = house.client.get("/api/me").json()
    assert (me["name"], me["role"], me["by"]) == ("dora", "operator", "session")
    provider.user = "admin"
    assert go(house).status_code == 302
    assert house.client.get("/api/me").json()["role"] == "admin"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "another-client"},
        {"aud": [CLIENT, "another-client"]},
        {"azp": "another-client"},
        {"exp": int(time.time()) - 3600},
        {"nonce": "another"},
        {"nonce": None},
        {"preferred_username": None},
        {"preferred_username": ["admin"]},
        {"preferred_username": "no name!"},
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in_signs_nobody_in(house, provider, claims):
    provider.claims = claims
    back = go(house)
    assert back.status_code == 401, back.text
    assert "stream_detect_session" not in back.headers.get("set-cookie", "")
    assert house.client.get("/api/me").json()["role"] is None


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", "other"), ("HS256", "secret")])
def test_an_id_token_that_somebody_else_signed_signs_nobody_in(house, provider, algorithm, key):
    provider.algorithm = algorithm
    provider.signing = RSAKey.generate_key(2048) if key == "other" else OctKey.import_key(SECRET)
    assert go(house).status_code == 401


def test_a_provider_that_changes_its_keys_is_asked_again(house, provider):
    assert go(house).status_code == 302
    house.inside.access.provider._clock = lambda: time.monotonic() + 60
    provider.new_key()
    assert go(house).status_code == 302


def test_an_answer_counts_once_and_in_the_browser_that_asked(house, provider):
    out = house.client.get("/api/oidc/login", follow_redirects=False)
    back = urlsplit(httpx.get(out.headers["location"], timeout=PATIENCE_S).headers["location"])
    path = f"{back.path}?{back.query}"
    kept = dict(house.client.cookies)
    house.client.cookies.clear()
    assert house.client.get(path, follow_redirects=False).status_code == 401
    house.client.cookies.update(kept)
    assert house.client.get(path.replace("state=", "state=x"), follow_redirects=False).status_code == 401
    assert house.client.get(path, follow_redirects=False).status_code == 302
    another_code = urlsplit(httpx.get(out.headers["location"], timeout=PATIENCE_S).headers["location"])
    for answer in (path, f"{another_code.path}?{another_code.query}"):
        house.client.cookies.update(kept)
        again = house.client.get(answer, follow_redirects=False)
        assert (again.status_code, "not been used yet" in again.json()["detail"]) == (401, True)


def test_a_code_of_another_sign_in_is_refused_by_its_nonce(house):
    """The callback of an attacker who has one of the provider's codes, in a browser that is about to return."""
    outs = [house.client.get("/api/oidc/login", follow_redirects=False) for _ in range(2)]
    theirs, own = (urlsplit(httpx.get(out.headers["location"], timeout=PATIENCE_S).headers["location"]) for out in outs)
    mixed = urlencode({"state": parse_qs(own.query)["state"][0], "code": parse_qs(theirs.query)["code"][0]})
    assert house.client.get(f"{own.path}?{mixed}", follow_redirects=False).status_code == 401
    assert house.client.get("/api/me").json()["role"] is None


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/\\evil.example", "cameras", "/a\nb", ""])
def test_redirects_stay_on_this_server(house, to):
    assert house.client.get("/api/oidc/login", params={"to": to}, follow_redirects=False).status_code == 400


def test_a_client_without_a_secret_sends_its_id(make, provider):
    provider.has_secret = False
    access = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT, "sso_role": "viewer"}
    house = signed_in(make({"access": access}))
    assert go(house).status_code == 302
    assert house.client.get("/api/me").json()["name"] == "dora"


def test_a_browser_is_shown_why_the_sign_in_failed_and_a_way_back(make):
    access = {"oidc_issuer": "http://127.0.0.1:9", "oidc_client_id": CLIENT}
    inside = make({"access": access, "server": {"path_prefix": "/detect"}})
    for path, status, words in (
        ("login", 502, "127.0.0.1:9"),
        ("callback?error=%3Cscript%3E", 401, "&lt;script&gt;"),
    ):
        answer = inside.client.get(f"/detect/api/oidc/{path}", headers={"Accept": "text/html,*/*;q=0.8"})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert words in answer.text
        assert '<a href="/detect/">' in answer.text


def test_a_refusal_of_the_provider_is_reported(house):
    answer = house.client.get("/api/oidc/callback?error=access_denied&state=x", follow_redirects=False)
    assert answer.status_code == 401
    assert "access_denied" in answer.json()["detail"]


@pytest.mark.parametrize(
    "answer",
    [
        Response("out of order", 500),
        Response("", 400),
        RedirectResponse("/elsewhere", 302),
        Response("<html>", 200),
        Response("[" * 50_000, 200),
        JSONResponse([]),
        JSONResponse({"access_token": "x", "expires_in": [1]}),
    ],
    ids=lambda answer: f"{answer.status_code} {bytes(answer.body[:20])!r}",
)
def test_a_token_endpoint_that_answers_oddly_is_reported(house, provider, answer):
    provider.token_answer = answer
    back = go(house)
    assert back.status_code == 502, back.text
    assert provider.issuer in back.json()["detail"]


def test_a_token_endpoint_that_is_away_is_reported(house, provider):
    house.client.get("/api/oidc/login", follow_redirects=False)  # the configuration is known from here on
    known = house.inside.access.provider._known
    known.metadata["token_endpoint"] = "http://127.0.0.1:9/token"
    assert go(house).status_code == 502


@pytest.mark.parametrize(
    "key",
    [{"kty": "XX"}, {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"}, {"kty": "RSA", "n": "!", "e": "AQAB"}, {}, 5],
    ids=str,
)
def test_keys_that_are_not_known_are_ignored(house, provider, key):
    provider.other_keys = [key]
    assert go(house).status_code == 302


def test_a_provider_that_is_away_is_reported(make):
    access = {"oidc_issuer": "http://127.0.0.1:9", "oidc_client_id": CLIENT}
    answer = make({"access": access}).client.get("/api/oidc/login", follow_redirects=False)
    assert answer.status_code == 502
    assert "127.0.0.1:9" in answer.json()["detail"]


def test_a_provider_that_hangs_keeps_nobody_else_waiting(house):
    hangs, waiting = threading.Event(), threading.Semaphore(0)

    def way_out(*_: object) -> None:
        waiting.release()
        hangs.wait(PATIENCE_S)
        raise ProviderError("it hung")

    house.inside.access.provider.way_out = way_out
    statuses: list[int] = []
    browsers = [
        threading.Thread(target=lambda: statuses.append(house.client.get("/api/oidc/login").status_code))
        for _ in range(AT_ONCE)
    ]
    for browser in browsers:
        browser.start()
    try:
        assert all(waiting.acquire(timeout=PATIENCE_S) for _ in browsers)
        with in_time():
            assert "too many sign-ins" in house.client.get("/api/oidc/login").json()["detail"]
            house.sign_in("viewer")
    finally:
        hangs.set()
        for browser in browsers:
            browser.join()
    assert statuses == [502] * AT_ONCE


def test_a_provider_that_failed_is_not_asked_at_once_again(provider):
    now_s = 100.0
    provider.configuration_answer = Response("out of order", 500)
    known = OidcProvider(AccessSettings(oidc_issuer=provider.issuer, oidc_client_id=CLIENT), lambda: now_s)
    for now_s in (100.0, 104.0, 106.0):  # noqa: B007 - the clock reads it
        with pytest.raises(ProviderError, match="configuration"):
            known.way_out("http://127.0.0.1/callback", "/")
    assert provider.configurations == 2


def test_a_provider_of_another_name_is_refused(make, provider):
    access = {"oidc_issuer": f"{provider.issuer}/", "oidc_client_id": CLIENT}
    answer = make({"access": access}).client.get("/api/oidc/login", follow_redirects=False)
    assert answer.status_code == 502
    assert "another one" in answer.json()["detail"]


def test_without_a_provider_there_is_nothing(make):
    assert make().client.get("/api/oidc/login").status_code == 404
