"""Everything but the page's shell and /healthz asks for the token."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from stream_detect.api.gate import TokenGate

TOKEN = "correct-horse-battery"


@pytest.fixture
def client() -> TestClient:
    async def answer(_request):
        return PlainTextResponse("inside")

    behind = Starlette(routes=[Route("/{rest:path}", answer, methods=["GET", "POST"])])
    return TestClient(TokenGate(behind, TOKEN, frozenset({"/", "/healthz", "/assets/page.js"})))


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
