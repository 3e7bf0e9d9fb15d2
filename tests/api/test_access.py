"""Everything but the page's shell and /healthz asks for the token."""

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from stream_detect.api.gate import GUESSES, AccessToken, GuessLimit, TokenGate

TOKEN = "correct-horse-battery"


@pytest.fixture
def client() -> TestClient:
    async def answer(_request):
        return PlainTextResponse("inside")

    behind = Starlette(routes=[Route("/{rest:path}", answer, methods=["GET", "POST"])])
    gate = TokenGate(behind, AccessToken(SecretStr(TOKEN)), frozenset({"/", "/healthz", "/assets/page.js"}))
    return TestClient(gate)


@pytest.mark.parametrize("path", ["/", "/healthz", "/assets/page.js"])
def test_the_open_paths_need_no_token(client, path):
    assert client.get(path).text == "inside"


@pytest.mark.parametrize(
    "path", ["/api/status", "/docs", "/assets/other.js", "/assets/", "/healthz/", "/readyz", "/absent"]
)
def test_everything_else_does(client, path):
    response = client.get(path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="stream-detect"'
    assert response.headers["content-type"] == "application/problem+json"
    assert TOKEN not in response.text


def test_open_paths_are_open_for_reading_only(client):
    assert client.post("/healthz").status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_opens(client, scheme):
    assert client.get("/api/status", headers={"Authorization": f"{scheme} {TOKEN}"}).text == "inside"


@pytest.mark.parametrize(
    "value", [TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xe9"]
)
def test_nothing_else_does(client, value):
    assert client.get("/api/status", headers={"Authorization": value.encode("latin-1")}).status_code == 401


def test_two_headers_do_not_open(client):
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer wrong")]
    assert client.get("/api/status", headers=headers).status_code == 401


def shown(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_after_many_wrong_tokens_none_is_compared_for_a_moment(client, caplog):
    answers = [client.get("/api/status", headers=shown(f"wrong-number-{n}")) for n in range(GUESSES + 1)]
    assert [answer.status_code for answer in answers] == [*[401] * GUESSES, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert client.get("/api/status", headers=shown(TOKEN)).status_code == 429
    assert client.get("/healthz").status_code == 200
    assert [record for record in caplog.messages if "refused" in record and "testclient" in record]


def test_a_page_that_shows_the_same_wrong_token_locks_nobody_out(client):
    for _ in range(3 * GUESSES):
        assert client.get("/api/status", headers=shown("the-token-of-yesterday")).status_code == 401
    assert client.get("/api/status", headers=shown(TOKEN)).status_code == 200


def test_wrong_tokens_are_forgiven_one_a_second_and_counted_by_address():
    now_s = 100.0
    limit = GuessLimit(lambda: now_s)
    for n in range(GUESSES):
        assert limit.pause_s("192.0.2.1", b"%d" % n) == 0
        limit.wrong("192.0.2.1", b"%d" % n)
    assert limit.pause_s("192.0.2.1", b"x") == 1.0
    assert limit.pause_s("192.0.2.2", b"x") == 0
    now_s += 1.5
    assert limit.pause_s("192.0.2.1", b"x") == 0
    limit.wrong("192.0.2.1", b"x")
    assert limit.pause_s("192.0.2.1", b"y") == 0.5


def test_a_subscriber_of_ipv6_is_one_client():
    limit = GuessLimit(lambda: 0.0)
    for n in range(GUESSES):
        limit.wrong(f"2001:db8:1:2::{n}", b"%d" % n)
    assert limit.pause_s("2001:db8:1:2:3:4:5:6", b"x") > 0
    assert limit.pause_s("2001:db8:1:3::1", b"x") == 0


def test_a_replaced_token_is_refused():
    token = AccessToken(SecretStr(TOKEN))
    client = TestClient(TokenGate(PlainTextResponse("inside"), token, frozenset()))
    assert client.get("/", headers=shown(TOKEN)).status_code == 200
    token.replace(SecretStr("another-token"))
    assert client.get("/", headers=shown(TOKEN)).status_code == 401
    assert client.get("/", headers=shown("another-token")).status_code == 200
